"""EmoLlama's configuration from LLaMA-VID's `config.json` and the shapes of its tensors."""

import re
from dataclasses import dataclass
from math import isqrt
from typing import Any

from transformers import GenerationConfig, PreTrainedTokenizerBase
from transformers.utils import logging

from ..modeling.configuration_emo_llama import EmoLlamaConfig, EmoLlamaFaceConfig
from .checkpoint_files import Checkpoint
from .conversion_error import ConversionError
from .llama_vid_weights import QUERY, TOKENS, LlamaVidTensors, num_vision_layers

logger = logging.get_logger(__name__)

VISION_HEAD_WIDTH = 88  # EVA-CLIP ViT-g's 1408 channels have 16 heads
QFORMER_HEAD_WIDTH = 64  # BERT's
MAX_NEW_TOKENS = 1024  # LLaMA-VID's evaluation
TEXT_KEYS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "tie_word_embeddings",
    "attention_bias",
)


@dataclass(frozen=True)
class UnpublishedShapes:
    """
    What a checkpoint whose shapes were never published does not tell.

    Args:
        image_size (`int`, *optional*):
            Side of a frame in pixels; by default that of the shards' copy of the vision tower, else the one in the
            name of `image_processor` in `config.json`, else EVA-CLIP's.
        vision_heads (`int`, *optional*):
            Attention heads of the vision encoder; by default as wide as in the published models.
        qformer_heads (`int`, *optional*): attention heads of the Q-Former; by default BERT's.
    """

    image_size: int | None = None
    vision_heads: int | None = None
    qformer_heads: int | None = None


PUBLISHED = UnpublishedShapes()


def emo_llama_config(
    original: dict[str, Any],
    tensors: LlamaVidTensors,
    image_token_id: int,
    *,
    shapes: UnpublishedShapes = PUBLISHED,
    face_config: EmoLlamaFaceConfig | None = None,
) -> EmoLlamaConfig:
    """
    The configuration that a checkpoint's `config.json` and the shapes of its tensors tell.

    Args:
        original (`dict[str, Any]`): LLaMA-VID's `config.json`.
        tensors (`LlamaVidTensors`): the checkpoint's.
        image_token_id (`int`): the placeholder's.
        shapes (`UnpublishedShapes`, *optional*): what these do not tell.
        face_config ([`EmoLlamaFaceConfig`], *optional*): the face prior's; none by default.

    Raises:
        `ConversionError`: a setting or a shape that LLaMA-VID's published models do not have.
    """
    _check_supported(original)
    vision = tensors.vision
    width, _, patch_size, _ = _shape(vision, "patch_embed.proj.weight", 4)
    image_size = shapes.image_size or _image_size(original, tensors, patch_size)
    if image_size // patch_size % 2:
        raise ConversionError(
            f"Frames of {image_size} pixels have an odd number of patches, to which LLaMA-VID adds the class token "
            f"(llamavid_arch.py, `vlm_attention`); EmoLlama does not, so `image_size` must be a multiple of "
            f"{2 * patch_size}."
        )
    if tensors.instruct_blip is None:
        bert, prefix, query = tensors.shards, "model.vlm_att_encoder.bert.", QUERY
    else:
        bert, prefix, query = tensors.instruct_blip, "Qformer.bert.", "query_tokens"
    settings: dict[str, Any] = {
        "vision_config": {
            "hidden_size": width,
            "intermediate_size": _shape(vision, "blocks.0.mlp.fc1.weight", 2)[0],
            "num_hidden_layers": num_vision_layers(vision),
            "num_attention_heads": _heads(width, VISION_HEAD_WIDTH, shapes.vision_heads, "vision"),
            "image_size": image_size,
            "patch_size": patch_size,
        },
        "qformer_config": _qformer_config(bert, prefix, shapes.qformer_heads),
        "text_config": text_config(original, tensors.shards),
        "num_query_tokens": _shape(bert, query, 3)[1],
        "content_tokens": _content_tokens(original.get("compress_type")),
        "projector_depth": _projector_depth(original.get("mm_projector_type", "linear")),
    }
    try:
        return EmoLlamaConfig(**settings, face_config=face_config, image_token_id=image_token_id)
    except ValueError as error:  # what it says of a wrong value, which here is the checkpoint's
        raise ConversionError(f"config.json and the tensors' shapes make no EmoLlama: {error}") from error


def text_config(original: dict[str, Any], source: Checkpoint) -> dict[str, Any]:
    """
    LLaMA's settings; RoPE is written as transformers 5 has it.

    Args:
        original (`dict[str, Any]`): LLaMA-VID's `config.json`.
        source (`Checkpoint`): LLaMA-VID's shards.

    Raises:
        `ConversionError`: the shards have no language model.
    """
    scaling = original.get("rope_scaling") or {}
    rope = {key: value for key, value in scaling.items() if key not in ("type", "rope_type")}
    rope["rope_type"] = scaling.get("rope_type", scaling.get("type", "default"))
    rope["rope_theta"] = original.get("rope_theta", 10000.0)
    settings = {key: original[key] for key in TEXT_KEYS if key in original}
    # Tokens may have been added after config.json was written.
    settings["vocab_size"] = _shape(source, TOKENS, 2)[0]
    return {"model_type": "llama", **settings, "rope_parameters": rope}


def generation_config(config: EmoLlamaConfig, tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
    """
    Greedy, as in LLaMA-VID's evaluation; the settings in its folders are Vicuna's, and not what it ran with.

    Args:
        config ([`EmoLlamaConfig`]): the model's.
        tokenizer (`PreTrainedTokenizerBase`): the language model's.
    """
    return GenerationConfig(
        bos_token_id=config.text_config.bos_token_id,
        eos_token_id=config.text_config.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
        max_new_tokens=MAX_NEW_TOKENS,
    )


def _qformer_config(source: Checkpoint, prefix: str, heads: int | None) -> dict[str, Any]:
    layers = {int(m[1]) for name in source if (m := re.match(re.escape(prefix) + r"encoder\.layer\.(\d+)\.", name))}
    if not layers:
        raise ConversionError(f"The checkpoint has no tensor `{prefix}encoder.layer.0...`: its Q-Former is missing.")
    crossing = sorted(
        {int(m[1]) for name in source if (m := re.match(re.escape(prefix) + r"encoder\.layer\.(\d+)\.cross", name))}
    )
    vocabulary, width = _shape(source, prefix + "embeddings.word_embeddings.weight", 2)
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": max(layers) + 1,
        "num_attention_heads": _heads(width, QFORMER_HEAD_WIDTH, heads, "qformer"),
        "intermediate_size": _shape(source, prefix + "encoder.layer.0.intermediate.dense.weight", 2)[0],
        "max_position_embeddings": _shape(source, prefix + "embeddings.position_embeddings.weight", 2)[0],
        "cross_attention_frequency": crossing[1] - crossing[0] if len(crossing) > 1 else 2,
    }


def _check_supported(original: dict[str, Any]) -> None:
    for key, supported in (
        ("mm_vision_select_feature", ("patch",)),
        ("mm_use_im_start_end", (False,)),
    ):
        if original.get(key, supported[0]) not in supported:
            raise ConversionError(
                f"config.json has `{key}={original[key]!r}`, which no published LLaMA-VID model uses and EmoLlama "
                f"cannot reproduce; only {supported[0]!r} can be converted."
            )
    if "qformer_pretrain" not in original.get("bert_type", "qformer_pretrain"):
        raise ConversionError(
            f"config.json has `bert_type={original['bert_type']!r}`; only a pretrained Q-Former can be converted."
        )


def _content_tokens(compress_type: str | None) -> str:
    if compress_type is None:
        return "all"
    if match := re.search(r"grid:([1-9]\d*)$", compress_type):
        return match[0]
    if "mean" in compress_type:
        return "mean"
    raise ConversionError(f"config.json has `compress_type={compress_type!r}`; known are null, 'mean' and 'grid:k'.")


def _projector_depth(projector_type: str) -> int:
    if projector_type == "linear":
        return 1
    if match := re.fullmatch(r"mlp([1-9]\d*)x_gelu", projector_type):
        return int(match[1])
    raise ConversionError(
        f"config.json has `mm_projector_type={projector_type!r}`; known are 'linear' and 'mlp<n>x_gelu'."
    )


def _image_size(original: dict[str, Any], tensors: LlamaVidTensors, patch_size: int) -> int:
    copy = tensors.vision_copy
    size = isqrt(_shape(copy or tensors.vision, "pos_embed", 3)[1] - 1) * patch_size
    named = re.search(r"-(\d+)/?$", original.get("image_processor") or "")
    # LAVIS' file is of 224 pixels: only another number in the name asks for a resized position embedding.
    return int(named[1]) if not copy and named and int(named[1]) != 224 else size


def _heads(width: int, head_width: int, given: int | None, part: str) -> int:
    if given is None and width % head_width == 0 and width >= 4 * head_width:
        return width // head_width
    heads = 2 if given is None else given
    if width % heads:
        raise ConversionError(f"`{part}_heads={heads}` does not divide the {width} channels of that part.")
    if given is None:
        logger.warning(
            f"The number of attention heads is not in the checkpoint, and {width} channels are none of the published "
            f"models': taking {heads} heads. Say otherwise with `{part}_heads`."
        )
    return heads


def _shape(source: Checkpoint, name: str, dimensions: int) -> tuple[int, ...]:
    if name not in source:
        raise ConversionError(f"The checkpoint has no tensor `{name}`: a part of LLaMA-VID is missing.")
    shape = source[name].shape
    if len(shape) != dimensions:
        raise ConversionError(f"`{name}` has shape {shape}, but must have {dimensions} dimensions.")
    return shape


def llama_vid_config(config: EmoLlamaConfig, vocabulary: int) -> dict[str, Any]:
    """
    LLaMA-VID's `config.json` of a model that was not made from one.

    Args:
        config ([`EmoLlamaConfig`]): the model's.
        vocabulary (`int`): tokens that LLaMA-VID's tables have a row for.
    """
    text, vision = config.text_config, config.vision_config
    rope = dict(text.rope_parameters)
    rope_type, theta = rope.pop("rope_type", "default"), rope.pop("rope_theta", 10000.0)
    return {
        "architectures": ["LlavaLlamaAttForCausalLM"],
        "model_type": "llava",
        **{key: getattr(text, key) for key in TEXT_KEYS if hasattr(text, key)},
        "vocab_size": vocabulary,
        "rope_scaling": None if rope_type == "default" else {"type": rope_type, **rope},
        "rope_theta": theta,
        "bert_type": "qformer_pretrain",
        "compress_type": {"all": None}.get(config.content_tokens, config.content_tokens),
        "image_aspect_ratio": "pad",
        "image_processor": f"./llamavid/processor/clip-patch{vision.patch_size}-{vision.image_size}",
        "mm_hidden_size": vision.hidden_size,
        "mm_projector_type": "linear" if config.projector_depth == 1 else f"mlp{config.projector_depth}x_gelu",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "./model_zoo/LAVIS/eva_vit_g.pth",
        "num_query": config.num_query_tokens,
        "use_mm_proj": True,
    }
