"""Finding the files of a LLaMA-VID checkpoint in all the ways it is published."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checkpoint_files import INDEX_NAMES, SINGLE_NAMES, Checkpoint, read_checkpoint, weight_files
from .conversion_error import ConversionError
from .converted_folder import is_converted
from .llama_vid_weights import QUERY, LlamaVidTensors
from .local_files import local_folder, read_json
from .lora_adapter import PEFT_PREFIX, LoraAdapter

TEXT_SETTINGS = ("mm_vision_tower", "mm_projector_type", "compress_type", "bert_type", "image_processor")
LAVIS_NAME = "eva_vit_g.pth"
LAVIS_URL = "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2/eva_vit_g.pth"
STAGE_1_NAME = "mm_projector.bin"
NON_LORA_NAME = "non_lora_trainables.bin"


@dataclass(frozen=True)
class LlamaVidSource:
    """
    Where a LLaMA-VID checkpoint and what it needs besides are.

    Args:
        checkpoint (`str` or `Path`): folder or hub id: complete, a stage-1 `mm_projector.bin`, or LoRA output.
        base (`str` or `Path`, *optional*): folder or hub id of the model that a stage-1 or LoRA one was trained on.
        vision (`str` or `Path`, *optional*):
            LAVIS' `eva_vit_g.pth`; by default searched for beside the checkpoint; `"checkpoint"` for the copy in the
            shards.
        qformer (`str` or `Path`, *optional*):
            `instruct_blip_vicuna7b_trimmed.pth`, where the checkpoint has no Q-Former.
        bert (`str` or `Path`, *optional*):
            The Q-Former's vocabulary, folder or hub id; by default `bert-base-uncased`, searched for beside the
            checkpoint first.
    """

    checkpoint: str | Path
    base: str | Path | None = None
    vision: str | Path | None = None
    qformer: str | Path | None = None
    bert: str | Path | None = None


@dataclass(frozen=True)
class OriginalCheckpoint:
    """
    A LLaMA-VID checkpoint, its tensors not read yet.

    Args:
        folder (`Path`): where `config.json` is.
        base (`Path`): where the language model and its tokenizer are; `folder` where they are one.
        config (`dict[str, Any]`): LLaMA-VID's `config.json`.
        tensors (`LlamaVidTensors`): under LLaMA-VID's names.
        adapter (`LoraAdapter`, *optional*): LoRA weights, not merged.
    """

    folder: Path
    base: Path
    config: dict[str, Any]
    tensors: LlamaVidTensors
    adapter: LoraAdapter | None = None


def read_original(source: LlamaVidSource) -> OriginalCheckpoint:
    """
    A full checkpoint, a stage-1 `mm_projector.bin` on a Vicuna base, or LoRA output on its base model.

    Args:
        source (`LlamaVidSource`): where its files are.

    Raises:
        `FileNotFoundError`: a file is missing.
        `ConversionError`: a file is damaged, or one is needed and not given, or given and not needed.
    """
    folder = local_folder(source.checkpoint)
    if is_converted(folder):
        raise ConversionError(f"{source.checkpoint} is converted already: it is no LLaMA-VID checkpoint.")
    is_adapter = (folder / "adapter_config.json").is_file()
    if not is_adapter and any((folder / name).is_file() for name in INDEX_NAMES + SINGLE_NAMES):
        if source.base is not None:
            raise ConversionError(f"{source.checkpoint} is a complete checkpoint: leave `base` out.")
        base, shards = folder, read_checkpoint(weight_files(folder))
    else:
        part = folder / (NON_LORA_NAME if is_adapter else STAGE_1_NAME)
        if not is_adapter and not part.is_file():
            raise FileNotFoundError(f"{folder} has no weights: no model, no {STAGE_1_NAME} and no adapter.")
        if source.base is None:
            raise ConversionError(
                f"{source.checkpoint} has only a part of a model: name the model it was trained on with `base`."
            )
        base = local_folder(source.base)
        shards = read_checkpoint(weight_files(base))
        if part.is_file():
            shards |= read_checkpoint([part], rename=lambda name: name.removeprefix(PEFT_PREFIX))
    config_file = next((f / "config.json" for f in (folder, base) if (f / "config.json").is_file()), None)
    if config_file is None:
        raise FileNotFoundError(f"{base} has no config.json.")
    config = read_json(config_file)
    for name in TEXT_SETTINGS:
        if not isinstance(config.get(name), (str, type(None))):
            raise ConversionError(f"{config_file} has `{name}={config[name]!r}`, which must be a text.")
    if not isinstance(scaling := config.get("rope_scaling"), (dict, type(None))):
        raise ConversionError(f"{config_file} has `rope_scaling={scaling!r}`, which must be an object or null.")
    instruct_blip = _read_qformer(source.qformer, shards)
    tensors = LlamaVidTensors(shards, _read_vision(source.vision, (folder, base), config), instruct_blip)
    return OriginalCheckpoint(folder, base, config, tensors, LoraAdapter(folder) if is_adapter else None)


def _read_vision(vision: str | Path | None, folders: tuple[Path, ...], config: dict[str, Any]) -> Checkpoint | None:
    """
    LAVIS' EVA-CLIP: the file `vision`, else `eva_vit_g.pth` in one of `folders`, else the one that `config.json`
    names. `None` for `vision="checkpoint"`: the copy in the shards, which the original ignores.
    """
    if vision == "checkpoint":
        return None
    if vision is not None:
        return read_checkpoint([vision])
    named = Path(config.get("mm_vision_tower") or LAVIS_NAME)
    for candidate in (*(folder / LAVIS_NAME for folder in folders), named):
        if candidate.is_file():
            return read_checkpoint([candidate])
    raise FileNotFoundError(
        f"There is no {LAVIS_NAME}, which LLaMA-VID reads its vision tower from. Download {LAVIS_URL} and name it "
        f"with `vision`, or use `vision='checkpoint'` for the copy in the shards, if they have one."
    )


def _read_qformer(qformer: str | Path | None, shards: Checkpoint) -> Checkpoint | None:
    """InstructBLIP's Q-Former, where the shards have none."""
    if (QUERY in shards) == (qformer is not None):
        raise ConversionError(
            "The checkpoint has no Q-Former: name instruct_blip_vicuna7b_trimmed.pth with `qformer`."
            if qformer is None
            else "The checkpoint has its own Q-Former, which the original prefers: leave `qformer` out."
        )
    return None if qformer is None else read_checkpoint([qformer], "model")
