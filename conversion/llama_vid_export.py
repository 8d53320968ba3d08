"""A converted model back in LLaMA-VID's format: `pytorch_model-*.bin`, `eva_vit_g.pth`, and the small files."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from tqdm.auto import tqdm
from transformers import BertTokenizer
from transformers.utils import logging

from ..load_model import load_config, load_processor
from ..modeling.configuration_emo_llama import EmoLlamaConfig
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .checkpoint_files import SourceTensor, read_checkpoint, weight_files
from .conversion_error import ConversionError
from .converted_folder import converted_folder
from .face_parts import MINING_PREFIX, PRIOR_PREFIX
from .llama_vid_config import llama_vid_config
from .llama_vid_files import LAVIS_NAME
from .llama_vid_processor import BERT
from .llama_vid_weights import VISION_COPY, source_name, vision_source_name
from .local_files import read_json
from .output_folder import published_folder
from .plan import Plan, PlannedTensor, table
from .provenance import Provenance
from .write_settings import DEFAULT, WriteSettings

logger = logging.get_logger(__name__)

VISION_PREFIX = "model.vision_model."
NORM_PREFIX = "model.vision_model.post_layernorm."


def export_llama_vid(source: str | Path, output: str | Path, *, settings: WriteSettings = DEFAULT) -> str:
    """
    Write a converted model in LLaMA-VID's format; converting that again gives the same bits.

    Args:
        source (`str` or `Path`): folder or hub id of the model.
        output (`str` or `Path`): the folder to make. It is there only when everything is in it.
        settings (`WriteSettings`, *optional*): how to write; types cannot be changed.

    Returns:
        `str`: the mapping as a table: target, shape, dtype, source file, source tensors.

    Raises:
        `ConversionError`: `source` is no converted model, has a part that LLaMA-VID cannot have, or is damaged.
        `FileNotFoundError`, `FileExistsError`: of a source file, of `output`.
    """
    if settings.dtype is not None:
        raise ConversionError("LLaMA-VID's format keeps the types of the weights: leave `dtype` out.")
    folder = converted_folder(source)
    config = cast(EmoLlamaConfig, load_config(str(folder)))
    origin = Provenance.of_converted(folder)
    kept = origin.files.get("config.json")
    original_config = llama_vid_config(config) if kept is None else read_json(kept)
    if config.face_config is not None:
        logger.warning("LLaMA-VID has no face prior: it and Face Info Mining are left out.")
    shards, vision = _plan(folder, config, original_config, origin)
    if not settings.dry_run:
        with published_folder(output, settings.push_to_hub) as unfinished:
            _write_shards(shards, unfinished, settings)
            torch.save(_make_all(vision, [*vision]), unfinished / LAVIS_NAME)
            text = json.dumps(original_config, indent=2) + "\n"
            (unfinished / "config.json").write_text(text, encoding="utf-8")
            origin.copy_files(unfinished)
            processor = cast(EmoLlamaProcessor, load_processor(str(folder)))
            _write_vocabulary(processor.qformer_tokenizer, unfinished / BERT)
            if "tokenizer_config.json" not in origin.files:
                processor.tokenizer.save_pretrained(unfinished)
    return table(shards | vision)


def _plan(folder: Path, config: EmoLlamaConfig, original: dict[str, Any], origin: Provenance) -> tuple[Plan, Plan]:
    """The shards' tensors and EVA-CLIP's."""
    shards: Plan = {}
    vision: Plan = {}
    linear = original.get("mm_projector_type", "linear") == "linear"
    for name, tensor in read_checkpoint(weight_files(folder)).items():
        if name.startswith((PRIOR_PREFIX, MINING_PREFIX)):
            continue
        if name.startswith(VISION_PREFIX) and not name.startswith(NORM_PREFIX):
            vision |= _vision_tensors(name, tensor)
        else:
            target = source_name(name, linear)
            shards[target] = _planned(target, tensor)
    for name, dtype in origin.unused.items():
        if name.startswith(VISION_COPY):
            copied = vision.get(name.removeprefix(VISION_COPY))
            if copied is None:
                raise ConversionError(f"The model has no tensor for `{name}` of the original.")
            shards[name] = PlannedTensor(name, copied.shape, getattr(torch, dtype), copied.sources, copied.make)
        else:
            buffer = _buffer(name, config)
            make = partial(torch.Tensor.detach, buffer)
            shards[name] = PlannedTensor(name, tuple(buffer.shape), getattr(torch, dtype), (), make)
    return shards, vision


def _vision_tensors(name: str, tensor: SourceTensor) -> Plan:
    if match := re.fullmatch(re.escape(VISION_PREFIX) + r"encoder\.layers\.(\d+)\.self_attn\.qkv\.bias", name):
        width = tensor.shape[0] // 3
        planned = {}
        for part, index in (("q_bias", 0), ("v_bias", 2)):
            target = f"blocks.{match[1]}.attn.{part}"
            planned[target] = PlannedTensor(target, (width,), tensor.dtype, (tensor,), partial(_bias_part, index))
        return planned
    source = vision_source_name(name)
    if source is None:
        raise ConversionError(f"EVA-CLIP has no place for `{name}`.")
    return {source: _planned(source, tensor)}


def _bias_part(index: int, bias: torch.Tensor) -> torch.Tensor:
    parts = bias.chunk(3)
    if parts[1].any():
        raise ConversionError("The vision encoder's keys have a bias, which EVA-CLIP's have not.")
    return parts[index]


def _planned(target: str, tensor: SourceTensor) -> PlannedTensor:
    return PlannedTensor(target, tuple(tensor.shape), tensor.dtype, (tensor,))


def _buffer(name: str, config: EmoLlamaConfig) -> torch.Tensor:
    """A buffer that old versions of transformers kept among the weights."""
    if name.endswith("position_ids"):
        return torch.arange(config.qformer_config.max_position_embeddings).unsqueeze(0)
    text = config.text_config
    exponents = torch.arange(0, text.head_dim, 2).float() / text.head_dim
    frequencies: torch.Tensor = 1.0 / text.rope_parameters["rope_theta"] ** exponents
    return frequencies


def _write_shards(plan: Plan, folder: Path, settings: WriteSettings) -> None:
    split = split_torch_state_dict_into_shards(
        {name: torch.empty(tensor.shape, dtype=tensor.dtype, device="meta") for name, tensor in plan.items()},
        filename_pattern="pytorch_model{suffix}.bin",
        max_shard_size=settings.max_shard_size,
    )
    with tqdm(split.filename_to_tensors.items(), "Writing shards", disable=not settings.progress) as progress:
        for filename, names in progress:
            torch.save(_make_all(plan, names), folder / filename)
    # LLaMA-VID's builder reads the index even where there is one file.
    index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _make_all(plan: Plan, names: list[str]) -> dict[str, torch.Tensor]:
    # `torch.save` writes the whole storage behind a tensor, more than a part of one needs: hence the copy.
    return {name: plan[name].tensor().clone() for name in names}


def _write_vocabulary(tokenizer: BertTokenizer, folder: Path) -> None:
    """BERT's own vocabulary, without the `[DEC]` token that LLaMA-VID adds when it loads it."""
    folder.mkdir()
    vocabulary = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False)
    text = "".join(f"{token}\n" for token in sorted(vocabulary, key=vocabulary.__getitem__))
    (folder / "vocab.txt").write_text(text, encoding="utf-8")
    config = {"do_lower_case": tokenizer.do_lower_case}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
