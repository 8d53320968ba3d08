"""What of a LLaMA-VID checkpoint has no place in EmoLlama's files, kept so that it can be written back."""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .llama_vid_files import OriginalCheckpoint
from .llama_vid_weights import BUFFERS, TOKENS, VISION_COPY
from .local_files import read_json

FOLDER = "llama_vid"
ORIGIN = "origin.json"
SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


@dataclass
class Provenance:
    """
    What of a LLaMA-VID checkpoint has no place in EmoLlama's files.

    Args:
        source (`str`): name of the checkpoint.
        base (`str`): name of the model that it was trained on; `source` where it is complete.
        unused (`dict[str, str]`, *optional*): name and type of each tensor of it that follows from others.
        files (`dict[str, Path]`, *optional*): small files of it, by name.
        vocabulary (`int`, *optional*): tokens that its tables have a row for, where it is known.
    """

    source: str
    base: str
    unused: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    vocabulary: int | None = None

    @classmethod
    def of_original(cls, original: OriginalCheckpoint) -> "Provenance":
        """
        What of a checkpoint that is converted has no place.

        Args:
            original (`OriginalCheckpoint`): the checkpoint.
        """
        unused = {
            name: str(tensor.dtype).removeprefix("torch.")
            for name, tensor in original.tensors.shards.items()
            if BUFFERS.fullmatch(name) or name.startswith(VISION_COPY)
        }
        return cls(
            original.folder.name,
            original.base.name,
            unused,
            _small_files(original.base, original.folder),
            original.tensors.shards[TOKENS].shape[0],
        )

    @classmethod
    def of_converted(cls, folder: Path) -> "Provenance":
        """
        What was kept beside a converted model.

        Args:
            folder (`Path`): the model's; one that was not converted from LLaMA-VID has nothing but its own name.

        Raises:
            `ConversionError`: what was kept is damaged.
        """
        origin = read_json(folder / FOLDER / ORIGIN)
        return cls(
            origin.get("source", folder.name),
            origin.get("base", folder.name),
            origin.get("unused", {}),
            _small_files(folder / FOLDER),
            origin.get("vocabulary"),
        )

    def save(self, folder: Path) -> None:
        """
        Keep it beside a converted model.

        Args:
            folder (`Path`): the model's.
        """
        (folder / FOLDER).mkdir()
        self.copy_files(folder / FOLDER)
        origin = {key: value for key, value in asdict(self).items() if key != "files"}
        (folder / FOLDER / ORIGIN).write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")

    def copy_files(self, folder: Path) -> None:
        """
        Copy the small files.

        Args:
            folder (`Path`): where to, under their own names.
        """
        for name, path in self.files.items():
            shutil.copyfile(path, folder / name)


def _small_files(*folders: Path) -> dict[str, Path]:
    """Those of `SMALL_FILES` that are there; a later folder's come before an earlier's."""
    return {name: folder / name for folder in folders for name in SMALL_FILES if (folder / name).is_file()}
