"""What of a LLaMA-VID checkpoint has no place in EmoLlama's files, kept so that it can be written back."""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .llama_vid_files import OriginalCheckpoint, read_json
from .llama_vid_weights import BUFFERS, VISION_COPY

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
    Args:
        source, base (`str`): names of the checkpoint and of the model it was trained on.
        unused (`dict[str, str]`): name and type of each tensor of the checkpoint that follows from others.
        files (`dict[str, Path]`): small files of the checkpoint, by name.
    """

    source: str
    base: str
    unused: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def of_original(cls, original: OriginalCheckpoint) -> "Provenance":
        unused = {
            name: str(tensor.dtype).removeprefix("torch.")
            for name, tensor in original.tensors.items()
            if BUFFERS.fullmatch(name) or name.startswith(VISION_COPY)
        }
        return cls(original.folder.name, original.base.name, unused, _small_files(original.base, original.folder))

    @classmethod
    def of_converted(cls, folder: Path) -> "Provenance":
        origin = read_json(folder / FOLDER / ORIGIN) or {"source": folder.name, "base": folder.name}
        return cls(**origin, files=_small_files(folder / FOLDER))

    def save(self, folder: Path) -> None:
        (folder / FOLDER).mkdir()
        self.copy_files(folder / FOLDER)
        origin = {key: value for key, value in asdict(self).items() if key != "files"}
        (folder / FOLDER / ORIGIN).write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")

    def copy_files(self, folder: Path) -> None:
        for name, path in self.files.items():
            shutil.copyfile(path, folder / name)


def _small_files(*folders: Path) -> dict[str, Path]:
    """Those of `SMALL_FILES` that are there; a later folder's come before an earlier's."""
    return {name: folder / name for folder in folders for name in SMALL_FILES if (folder / name).is_file()}
