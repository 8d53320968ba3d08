"""Finding the files of a LLaMA-VID checkpoint in all the ways it is published."""

import json
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..input_error import InputError
from .checkpoint_files import INDEX_NAMES, SINGLE_NAMES, Checkpoint, read_checkpoint, weight_files
from .lora_adapter import PEFT_PREFIX, LoraAdapter
from .plan import ConversionError

LAVIS_NAME = "eva_vit_g.pth"
LAVIS_URL = "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2/eva_vit_g.pth"
FACE_X_FORMER_FILE = "ckpts/model.pt"
STAGE_1_NAME = "mm_projector.bin"
NON_LORA_NAME = "non_lora_trainables.bin"


@dataclass(frozen=True)
class OriginalCheckpoint:
    """
    A LLaMA-VID checkpoint.

    Args:
        folder (`Path`): where `config.json` is.
        base (`Path`): where the language model and its tokenizer are; `folder` where they are one.
        config (`dict`): LLaMA-VID's `config.json`.
        tensors (`Checkpoint`): under LLaMA-VID's names.
        adapter (`LoraAdapter`, *optional*): LoRA weights, not merged.
    """

    folder: Path
    base: Path
    config: dict
    tensors: Checkpoint
    adapter: LoraAdapter | None = None


def read_original(source: str | Path, base: str | Path | None = None) -> OriginalCheckpoint:
    """
    A full checkpoint, a stage-1 `mm_projector.bin` on a Vicuna base, or LoRA output on its base model.

    Args:
        source (`str` or `Path`): folder or hub id.
        base (`str` or `Path`, *optional*): folder or hub id of the base model, where `source` has only a part.

    Raises:
        `FileNotFoundError`: a file is missing.
        `ConversionError`: a base model is needed and not given, or given and not needed.
    """
    folder = local_folder(source)
    is_adapter = (folder / "adapter_config.json").is_file()
    is_full = not is_adapter and any((folder / name).is_file() for name in INDEX_NAMES + SINGLE_NAMES)
    if is_full:
        if base is not None:
            raise ConversionError(f"{source} is a complete checkpoint: leave `base` out.")
        return OriginalCheckpoint(folder, folder, _config(folder), read_checkpoint(weight_files(folder)))
    part = folder / (NON_LORA_NAME if is_adapter else STAGE_1_NAME)
    if not is_adapter and not part.is_file():
        raise FileNotFoundError(f"{folder} has no weights: no model, no {STAGE_1_NAME} and no adapter.")
    if base is None:
        raise ConversionError(f"{source} has only a part of a model: name the model it was trained on with `base`.")
    base_folder = local_folder(base)
    config = _config(folder if (folder / "config.json").is_file() else base_folder)
    tensors = read_checkpoint(weight_files(base_folder))
    if part.is_file():
        tensors |= read_checkpoint([part], rename=lambda name: name.removeprefix(PEFT_PREFIX))
    return OriginalCheckpoint(folder, base_folder, config, tensors, LoraAdapter(folder) if is_adapter else None)


def find_vision(original: OriginalCheckpoint, vision: str | Path | None) -> Checkpoint | None:
    """
    LAVIS' EVA-CLIP: the file `vision`, else the one that `config.json` names, else `eva_vit_g.pth` beside the
    checkpoint. `None` for `vision="checkpoint"`: the copy in the shards, which the original ignores.

    Raises:
        `FileNotFoundError`: there is none.
    """
    if vision == "checkpoint":
        return None
    if vision is not None:
        return read_checkpoint([vision])
    for candidate in (
        original.folder / LAVIS_NAME,
        original.base / LAVIS_NAME,
        Path(original.config.get("mm_vision_tower") or LAVIS_NAME),
    ):
        if candidate.is_file():
            return read_checkpoint([candidate])
    raise FileNotFoundError(
        f"There is no {LAVIS_NAME}, which LLaMA-VID reads its vision tower from. Download {LAVIS_URL} and name it "
        f"with `vision`, or use `vision='checkpoint'` for the copy in the shards, if they have one."
    )


def local_folder(source: str | Path) -> Path:
    """A folder, or the local copy of the hub repository of that name."""
    if Path(source).is_dir():
        return Path(source)
    _check_hub_id(source, "folder")
    return Path(snapshot_download(str(source)))


def local_file(source: str | Path, name: str) -> Path:
    """A file, or `name` in a folder or hub repository."""
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        for candidate in (path / name, path / Path(name).name):
            if candidate.is_file():
                return candidate
        raise FileNotFoundError(f"{path} has no {name}.")
    _check_hub_id(source, "file")
    return Path(hf_hub_download(str(source), name))


def _check_hub_id(source: str | Path, kind: str) -> None:
    text = str(source)
    if text.count("/") != 1 or text.startswith((".", "/", "~")) or text.endswith("/"):
        raise FileNotFoundError(f"There is no {kind} {text}.")
    try:
        validate_repo_id(text)
    except HFValidationError as error:
        raise InputError(f"There is no {kind} {text}, nor can it be a hub id: {error}") from error


def read_json(path: Path) -> dict:
    """What a JSON file says; nothing where there is no file."""
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error


def _config(folder: Path) -> dict:
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} has no config.json.")
    return read_json(folder / "config.json")
