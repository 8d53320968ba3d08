"""`TrainingArguments` with what EmoLlama adds."""

from dataclasses import dataclass, field, replace

from transformers import TrainingArguments
from transformers.trainer_pt_utils import AcceleratorConfig

from ..input_error import InputError
from .trainable_parts import PARTS


@dataclass
class EmoLlamaTrainingArguments(TrainingArguments):
    """
    All of `TrainingArguments`, with defaults for EmoLlama: evaluation and a checkpoint each epoch, the checkpoint
    with the best UAR in the end, and a hundred points of the loss curve. What is new is said in the fields' help.

    Raises:
        `InputError`: a wrong learning rate of a part, or a setting that would lose visual inputs.
    """

    remove_unused_columns: bool = field(default=False, metadata={"help": "must stay off: samples are chats"})
    learning_rate: float = field(default=2e-4, metadata={"help": "learning rate of parts without one of their own"})
    eval_strategy: str = field(default="epoch", metadata={"help": "when to evaluate: no, steps or epoch"})
    save_strategy: str = field(default="epoch", metadata={"help": "when to save: no, steps, epoch or best"})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "keep the best checkpoint's weights"})
    logging_steps: float = field(
        default=0.01, metadata={"help": "log the loss every so many steps; below 1, this share of all steps"}
    )
    metric_for_best_model: str | None = field(default="uar", metadata={"help": "uar, war or loss"})
    learning_rates: list[str] = field(
        default_factory=list,
        metadata={"help": f"learning rate of a part, as PART=RATE; parts: {', '.join(PARTS)}"},
    )
    class_balance: float = field(
        default=0.0, metadata={"help": "0: samples as they come, 1: all emotions equally often, or between"}
    )
    closed_set_weight: float = field(
        default=0.0, metadata={"help": "weight of the cross-entropy between label words, 0 for none"}
    )
    early_stopping_patience: int = field(
        default=0, metadata={"help": "stop after so many evaluations without a better one, 0 for never"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rates: dict[str, float] = {}
        for text in self.learning_rates:
            part, _, rate = text.partition("=")
            if part not in PARTS:
                raise InputError(f"`learning_rates` has {text!r}: write PART=RATE, with one of {', '.join(PARTS)}.")
            try:
                self.rates[part] = float(rate)
            except ValueError:
                raise InputError(f"`learning_rates` has {text!r}, whose rate is no number.") from None
        if self.remove_unused_columns:
            raise InputError("`remove_unused_columns` must stay off: it would remove the samples' chats.")
        accelerator: AcceleratorConfig = vars(self)["accelerator_config"]
        if accelerator.dispatch_batches:
            raise InputError("`dispatch_batches` must stay off: visual inputs have one row a frame, not a sample.")
        # None would mean on for iterable datasets.
        self.accelerator_config = replace(accelerator, dispatch_batches=False)

    @property
    def n_gpu(self) -> int:
        """At most one a process: DataParallel would cut visual inputs by rows. Several GPUs need several processes."""
        return int(min(super().n_gpu, 1))
