"""LLaMA-VID's tensors (dvlab-research/LLaMA-VID) under EmoLlama's names, and back."""

import re
from dataclasses import dataclass
from math import isqrt

import torch
from torch import nn

from .checkpoint_files import Checkpoint
from .conversion_error import ConversionError
from .plan import Plan, Planner

VISION_COPY = "model.vision_tower.vision_tower."
QUERY = "model.vlm_att_query"
TOKENS = "model.embed_tokens.weight"
NUM_VISION_LAYERS = 39  # LLaMA-VID leaves out the last of EVA-CLIP's 40 blocks (multimodal_encoder/eva_vit.py)

# Tried in order, so the language model's prefix, which begins all others, is last. {LLaMA-VID's: ours}
PREFIXES = {
    "lm_head.": "lm_head.",
    "model.mm_projector.": "model.visual_tokens.projector.",
    "model.vlm_att_encoder.bert.": "model.qformer.",
    "model.vlm_att_ln.": "model.vision_model.post_layernorm.",
    "model.vlm_att_query": "model.query_tokens",
    "model.vlm_att_projector.": "model.visual_tokens.query_projection.",
    "model.vlm_att_key_projector.": "model.visual_tokens.key_projection.",
    "model.vlm_att_val_projector.": "model.visual_tokens.value_projection.",
    "model.": "model.language_model.",
}
QFORMER_PARTS = {"embeddings.LayerNorm.": "embeddings.layernorm.", "attention.self.": "attention.attention."}
VISION_NAMES = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj.": "embeddings.patch_embedding.",
}
VISION_BLOCK = {
    "norm1.": "layer_norm1.",
    "norm2.": "layer_norm2.",
    "attn.qkv.weight": "self_attn.qkv.weight",
    "attn.proj.": "self_attn.projection.",
    "mlp.": "mlp.",
}
# InstructBLIP's names for what LLaMA-VID took over from it
INSTRUCT_BLIP = {
    "Qformer.bert.": "model.vlm_att_encoder.bert.",
    "ln_vision.": "model.vlm_att_ln.",
    "query_tokens": "model.vlm_att_query",
}

# Tensors that are known and rightly not used: buffers that follow from the configuration, ...
BUFFERS = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq|.*\.embeddings\.position_ids")
# ... the heads of EVA-CLIP's classifier, ...
UNUSED_VISION = re.compile(r"(norm|fc_norm|head)\.(weight|bias)")
# ... and InstructBLIP's own bridge to its language model.
UNUSED_INSTRUCT_BLIP = re.compile(r"(llm_proj|t5_proj|Qformer\.cls)\..*")


@dataclass(frozen=True)
class LlamaVidTensors:
    """
    The tensors of a LLaMA-VID checkpoint, not read yet.

    Args:
        shards (`Checkpoint`): LLaMA-VID's own.
        eva_clip (`Checkpoint`, *optional*): LAVIS' EVA-CLIP; by default the copy in the shards.
        instruct_blip (`Checkpoint`, *optional*): InstructBLIP's Q-Former, where the shards have none.
    """

    shards: Checkpoint
    eva_clip: Checkpoint | None = None
    instruct_blip: Checkpoint | None = None

    @property
    def vision_copy(self) -> Checkpoint:
        """The copy of EVA-CLIP in the shards, under EVA-CLIP's names; often empty, as the original ignores it."""
        return {n.removeprefix(VISION_COPY): t for n, t in self.shards.items() if n.startswith(VISION_COPY)}

    @property
    def vision(self) -> Checkpoint:
        """EVA-CLIP's tensors that are converted."""
        return self.vision_copy if self.eva_clip is None else self.eva_clip


def target_name(name: str) -> str | None:
    """
    Our name of one of LLaMA-VID's tensors.

    Args:
        name (`str`): LLaMA-VID's; those of the vision tower are [`vision_target_name`]'s.

    Returns:
        `str` or `None`: ours; `None` where it has no place in the model.
    """
    if re.fullmatch(r"model\.mm_projector\.(weight|bias)", name):  # the `linear` projector is not in a Sequential
        name = name.replace("mm_projector.", "mm_projector.0.")
    for old, new in PREFIXES.items():
        if name.startswith(old):
            rest = name[len(old) :]
            if new == "model.qformer.":
                rest = _replace_all(rest, QFORMER_PARTS)
            elif new == "model.language_model." and not rest.startswith(("embed_tokens.", "layers.", "norm.")):
                return None
            return new + rest
    return None


def source_name(name: str, linear_projector: bool = False) -> str:
    """
    LLaMA-VID's name of one of our tensors, the inverse of [`target_name`].

    Args:
        name (`str`): ours.
        linear_projector (`bool`, *optional*, defaults to `False`): whether the projector is one layer.

    Raises:
        `ConversionError`: LLaMA-VID has no such tensor.
    """
    for new, old in PREFIXES.items():
        if name.startswith(old):
            rest = name[len(old) :]
            if old == "model.qformer.":
                rest = _replace_all(rest, {ours: theirs for theirs, ours in QFORMER_PARTS.items()})
            elif old == "model.visual_tokens.projector." and linear_projector:
                rest = rest.removeprefix("0.")
            return new + rest
    raise ConversionError(f"LLaMA-VID has no place for `{name}`.")


def plan_llama_vid(tensors: LlamaVidTensors, image_size: int, patch_size: int) -> Plan:
    """
    Every tensor of [`EmoLlamaForConditionalGeneration`] without a face prior.

    Args:
        tensors (`LlamaVidTensors`): the checkpoint's.
        image_size (`int`): the frames' side in pixels.
        patch_size (`int`): a patch's side in pixels.

    Raises:
        `ConversionError`: a tensor is missing, or has no place in the model.
    """
    planner = Planner(tensors.shards, "the LLaMA-VID checkpoint")
    copy = tensors.vision_copy
    planner.ignore(*(VISION_COPY + name for name in copy))
    for name in tensors.shards:
        if BUFFERS.fullmatch(name):
            planner.ignore(name)
        elif name not in planner.used and (target := target_name(name)) is not None:
            planner.add(target, name)
    plan = planner.finish()
    # The original reads the vision tower from LAVIS' file and casts it to the type of the rest.
    dtype = next((tensor.dtype for tensor in copy.values()), None)
    plan |= _plan_vision(tensors.vision, dtype, image_size // patch_size)
    if tensors.instruct_blip is not None:
        plan |= _plan_instruct_blip(tensors.instruct_blip)
    return plan


def _plan_instruct_blip(qformer: Checkpoint) -> Plan:
    planner = Planner(qformer, "InstructBLIP's Q-Former file")
    for name in qformer:
        if UNUSED_INSTRUCT_BLIP.fullmatch(name) or BUFFERS.fullmatch(name):
            planner.ignore(name)
        elif (original := _replace_prefix(name, INSTRUCT_BLIP)) and (target := target_name(original)):
            planner.add(target, name)
    return planner.finish()


def _plan_vision(vision: Checkpoint, dtype: torch.dtype | None, side: int) -> Plan:
    planner = Planner(vision, "the EVA-CLIP checkpoint")
    depth = num_vision_layers(vision)
    for name, tensor in vision.items():
        block = re.fullmatch(r"blocks\.(\d+)\.(.+)", name)
        if UNUSED_VISION.fullmatch(name) or (block and int(block[1]) >= depth):
            planner.ignore(name)
        elif name == "pos_embed":
            if len(tensor.shape) != 3 or isqrt(tensor.shape[1] - 1) ** 2 != tensor.shape[1] - 1:
                raise ConversionError(
                    f"`pos_embed` has shape {tensor.shape}, which is no square of patches and a token."
                )
            planner.add(
                "model.vision_model.embeddings.position_embedding",
                name,
                make=lambda embedding: interpolate_positions(embedding, side),
                shape=(1, side**2 + 1, tensor.shape[-1]),
                dtype=dtype,
            )
        elif block and block[2] in ("attn.q_bias", "attn.v_bias"):
            if block[2] == "attn.q_bias":
                planner.add(
                    f"model.vision_model.encoder.layers.{block[1]}.self_attn.qkv.bias",
                    name,
                    name.replace("q_bias", "v_bias"),
                    make=lambda q, v: torch.cat([q, torch.zeros_like(q), v]),  # EVA's keys have no bias
                    shape=(3 * tensor.shape[0],),
                    dtype=dtype,
                )
        elif (target := vision_target_name(name)) is not None:
            planner.add(target, name, dtype=dtype)
    return planner.finish()


def vision_target_name(name: str) -> str | None:
    """
    Our name of one of EVA-CLIP's tensors that are taken as they are.

    Args:
        name (`str`): EVA-CLIP's.

    Returns:
        `str` or `None`: ours; `None` where it has no place in the model.
    """
    if block := re.fullmatch(r"blocks\.(\d+)\.(.+)", name):
        rest = _replace_prefix(block[2], VISION_BLOCK)
        return rest and f"model.vision_model.encoder.layers.{block[1]}.{rest}"
    rest = _replace_prefix(name, VISION_NAMES)
    return rest and f"model.vision_model.{rest}"


def vision_source_name(name: str) -> str | None:
    """
    EVA-CLIP's name of one of our vision encoder's tensors, the inverse of [`vision_target_name`].

    Args:
        name (`str`): ours.

    Returns:
        `str` or `None`: EVA-CLIP's; `qkv.bias` and `post_layernorm` have none.
    """
    name = name.removeprefix("model.vision_model.")
    if block := re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)", name):
        rest = _replace_prefix(block[2], {ours: theirs for theirs, ours in VISION_BLOCK.items()})
        return rest and f"blocks.{block[1]}.{rest}"
    return _replace_prefix(name, {ours: theirs for theirs, ours in VISION_NAMES.items()})


def num_vision_layers(vision: Checkpoint) -> int:
    """
    How many blocks of EVA-CLIP LLaMA-VID uses.

    Args:
        vision (`Checkpoint`): EVA-CLIP's tensors.

    Raises:
        `ConversionError`: they are not EVA-CLIP's.
    """
    blocks = {int(match[1]) for name in vision if (match := re.match(r"blocks\.(\d+)\.", name))}
    if not blocks or "pos_embed" not in vision:
        raise ConversionError("The EVA-CLIP checkpoint has no `blocks` or no `pos_embed`: is it eva_vit_g.pth?")
    return min(max(blocks) + 1, NUM_VISION_LAYERS)


def interpolate_positions(embedding: torch.Tensor, side: int) -> torch.Tensor:
    """
    A position embedding for another number of patches: bicubic, as eva_vit.py's `interpolate_pos_embed` does in
    float32; the class token's position stays.

    Args:
        embedding (`torch.Tensor` of shape `(1, 1 + patches, channels)`): for a square of patches and the class token.
        side (`int`): patches along each side of the new square.

    Returns:
        `torch.Tensor` of shape `(1, 1 + side**2, channels)`: in float32, or `embedding` itself where it fits.
    """
    old = isqrt(embedding.shape[1] - 1)
    if old == side:
        return embedding
    grid = embedding[:, 1:].float().reshape(1, old, old, -1).permute(0, 3, 1, 2)
    grid = nn.functional.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return torch.cat([embedding[:, :1].float(), grid.flatten(2).transpose(1, 2)], dim=1)


def _replace_all(name: str, table: dict[str, str]) -> str:
    for old, new in table.items():
        name = name.replace(old, new)
    return name


def _replace_prefix(name: str, table: dict[str, str]) -> str | None:
    for old, new in table.items():
        if name.startswith(old):
            return new + name[len(old) :]
    return None
