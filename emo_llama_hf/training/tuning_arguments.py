"""What is trained, and on what kind of input: the choices that `TrainingArguments` knows nothing of."""

from dataclasses import dataclass, field

from ..closed_set.question import presets
from ..input_error import InputError
from ..processing.face_finder import MissingFace
from .trainable_parts import DEFAULT_PARTS, PARTS

AUTOMATIC, OFF = "auto", "off"  # of `feature_cache`
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass
class TuningArguments:
    """
    Model, LoRA, parts that learn, augmentation and caches of a fine-tuning run; see the fields' help.

    Raises:
        `InputError`: a value is none of its choices, or two do not go together.
    """

    model: str | None = field(
        default=None, metadata={"help": "folder or hub id (default: the one that comes with the package)"}
    )
    base: str | None = field(
        default=None, metadata={"help": "folder or hub id of the model that an adapter is for (default: as it says)"}
    )
    dtype: str = field(
        default="auto",
        metadata={"help": f"weights' type: {', '.join(DTYPES)} (auto: as stored); with --bf16 what learns is float32"},
    )
    load_in_4bit: bool = field(
        default=False, metadata={"help": "keep the language model in 4 bits (needs bitsandbytes)"}
    )
    parts: list[str] = field(
        default_factory=lambda: list(DEFAULT_PARTS),
        metadata={"help": f"parts that learn as a whole, beside LoRA: {', '.join(PARTS)}"},
    )
    lora_rank: int = field(default=16, metadata={"help": "rank of the language model's adapter, 0 for none"})
    lora_alpha: int | None = field(default=None, metadata={"help": "scale times rank (default: twice the rank)"})
    lora_dropout: float = field(default=0.05, metadata={"help": "dropout before the adapter"})
    lora_targets: list[str] | None = field(
        default=None, metadata={"help": "linear layers of the language model that get one (default: all)"}
    )
    emotion_labels: list[str] | None = field(
        default=None, metadata={"help": "label set of samples without one of their own (default: the model's)"}
    )
    missing_face: MissingFace | None = field(
        default=None,
        metadata={"help": "what becomes of a frame without a face (default: as the model's processor says)"},
    )
    num_frames: int | None = field(default=None, metadata={"help": "frames of a clip (default: as there)"})
    full_frame_below: float | None = field(
        default=None,
        metadata={"help": "longest side of a picture that, with no face found, is one as a whole (default: as there)"},
    )
    closed_question: str | None = field(
        default=None,
        metadata={
            "help": "its wording, with {labels} and {kind}, or the name of a preset (paper); saved with the processor "
            "(default: the model's)"
        },
    )
    max_length: int | None = field(default=None, metadata={"help": "longest sample, in tokens"})
    packing: bool = field(
        default=True,
        metadata={"help": "let short samples share a row, if the language model keeps them apart (off: pad them)"},
    )
    augment: bool = field(default=False, metadata={"help": "mirror, crop, recolour and hide parts at random"})
    feature_cache: str = field(
        default=AUTOMATIC,
        metadata={
            "help": "folder for what the frozen vision encoder and face prior see, computed once; not with --augment. "
            f"{OFF}: none; {AUTOMATIC}: one in the run's folder while it runs, where pictures come more than once, "
            "nothing of the eyes learns or is changed at random, and the disk has room"
        },
    )

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InputError(f"`dtype` must be one of {', '.join(DTYPES)}, got {self.dtype!r}.")
        if self.named_cache and self.augment:
            raise InputError("`feature_cache` keeps what unchanged frames look like: leave it or `augment` out.")
        if self.named_cache and "vision" in self.parts:
            raise InputError("`feature_cache` is for a frozen vision encoder: leave it out, or 'vision' in `parts`.")
        if self.load_in_4bit and not self.lora_rank:
            raise InputError("`load_in_4bit` weights cannot learn themselves: set `lora_rank` above 0.")
        if self.closed_question is not None and "{labels}" not in self.closed_question:
            if self.closed_question not in presets():
                raise InputError(
                    f"`closed_question` must have {{labels}}, where the label set goes, or be one of "
                    f"{', '.join(presets())}, got {self.closed_question!r}."
                )
            self.closed_question = presets()[self.closed_question].question

    @property
    def named_cache(self) -> str | None:
        """Folder of `feature_cache`, if it is one."""
        return None if self.feature_cache in (AUTOMATIC, OFF) else self.feature_cache
