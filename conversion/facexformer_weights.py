"""FaceXFormer's weights (Kartik-3004/facexformer, ckpts/model.pt) as the face prior."""

import re
from math import isqrt
from pathlib import Path

import torch

from ..modeling.configuration_emo_llama import EmoLlamaFaceConfig
from .checkpoint_files import Checkpoint, read_checkpoint
from .conversion_error import ConversionError
from .local_files import local_file
from .plan import Plan, Planner

FILE = "ckpts/model.pt"
KEY = "state_dict_backbone"
TASKS = ("landmarks", "pose", "attribute", "visibility", "age", "gender", "race")
NUM_DECODER_HEADS = 8  # fixed in network/models/facexformer.py

# Source to target, tried in order on what is left of a name after its prefix.
_BLOCK = {
    "norm1.": "layernorm_before.",
    "norm2.": "layernorm_after.",
    "attn.proj.": "attention.o_proj.",
    "attn.relative_position_bias_table": "attention.relative_position_bias.relative_position_bias_table",
    "mlp.0.": "mlp.fc1.",
    "mlp.3.": "mlp.fc2.",
}
_RENAMED = {
    "backbone.0.0.0.": "backbone.swin.embeddings.patch_embeddings.projection.",
    "backbone.0.0.2.": "backbone.swin.embeddings.norm.",
    "backbone.1.": "backbone.swin.layernorm.",
    "pe_layer.positional_encoding_gaussian_matrix": "position.frequencies",
    "linear_fuse.": "fuse.",
    "face_decoder.mask_tokens.": "parsing_tokens.",
    "face_decoder.output_upscaling.": "upscale.",
    "face_decoder.output_hypernetwork_mlps.": "parsing_head.",
    "face_decoder.transformer.norm_final_attn.": "decoder.layer_norm_final_attn.",
    "face_decoder.transformer.": "decoder.",
}
_FEED_FORWARD = {"layers.0.": "proj_in.", "layers.1.": "layers.0.", "layers.2.": "proj_out."}


def read_facexformer(source: str | Path) -> Checkpoint:
    """
    FaceXFormer's tensors, not read yet.

    Args:
        source (`str` or `Path`): `model.pt`, or a folder or hub id that has it.

    Raises:
        `FileNotFoundError`: there is no such file.
        `ConversionError`: it is damaged, or something else.
    """
    return read_checkpoint([local_file(source, FILE)], KEY)


def face_config(source: Checkpoint, image_size: int = 224) -> EmoLlamaFaceConfig:
    """
    The configuration that the shapes of FaceXFormer's tensors tell; heads of the decoder are the original's 8.

    Args:
        source (`Checkpoint`): FaceXFormer's tensors.
        image_size (`int`, *optional*, defaults to 224): side of a face crop in pixels.

    Raises:
        `ConversionError`: a tensor is missing, or of a shape that FaceXFormer's cannot have.
    """
    # torchvision's Swin alternates stages (odd) and patch mergings (even) after the patch embedding.
    depths, heads = [], []
    for stage in (1, 3, 5, 7):
        blocks = {int(m[1]) for name in source if (m := re.match(rf"backbone\.0\.{stage}\.(\d+)\.", name))}
        if not blocks:
            raise ConversionError(f"FaceXFormer's checkpoint has no Swin stage `backbone.0.{stage}`.")
        depths.append(len(blocks))
        heads.append(_shape(source, f"backbone.0.{stage}.0.attn.relative_position_bias_table", 2)[1])
    table_size = _shape(source, "backbone.0.1.0.attn.relative_position_bias_table", 2)[0]
    embed_dim, channels, patch_size, _ = _shape(source, "backbone.0.0.0.weight", 4)
    width = _shape(source, "linear_fuse.weight", 4)[0]
    layers = {m[1] for name in source if (m := re.match(r"face_decoder\.transformer\.layers\.(\d+)\.", name))}
    return EmoLlamaFaceConfig(
        backbone_config={
            "model_type": "swin",
            "image_size": image_size,
            "patch_size": patch_size,
            "num_channels": channels,
            "embed_dim": embed_dim,
            "depths": depths,
            "num_heads": heads,
            "window_size": (isqrt(table_size) + 1) // 2,
            "mlp_ratio": _shape(source, "backbone.0.1.0.mlp.0.weight", 2)[0] / embed_dim,
            "drop_path_rate": 0.0,
            "out_features": ["stage1", "stage2", "stage3", "stage4"],
        },
        decoder_config={
            "hidden_size": width,
            "num_hidden_layers": len(layers),
            "num_attention_heads": NUM_DECODER_HEADS,
            "mlp_dim": _shape(source, "face_decoder.transformer.layers.0.mlp.lin1.weight", 2)[0],
            "layer_norm_eps": 1e-5,
        },
        image_size=image_size,
    )


def plan_face_prior(source: Checkpoint, prefix: str = "") -> Plan:
    """
    Every tensor of [`EmoLlamaFacePriorModel`] from FaceXFormer's.

    Args:
        source (`Checkpoint`): FaceXFormer's tensors.
        prefix (`str`, *optional*, defaults to `""`): what the names in the plan begin with.

    Raises:
        `ConversionError`: a tensor is missing, or is not FaceXFormer's.
    """
    planner = Planner(source, "FaceXFormer's checkpoint")
    planner.add(
        prefix + "task_tokens.weight",
        *(f"face_decoder.{task}_token.weight" for task in TASKS),
        make=lambda *tokens: torch.cat(tokens),
        shape=(len(TASKS), _shape(source, "face_decoder.mask_tokens.weight", 2)[1]),
    )
    for name in source:
        if name in planner.used:
            continue
        if name.endswith("relative_position_index"):
            planner.ignore(name)  # a buffer that follows from the window size
        elif name.endswith((".attn.qkv.weight", ".attn.qkv.bias")):
            _split_qkv(planner, name, prefix)
        elif (target := _target(name)) is not None:
            planner.add(prefix + target, name)
    return planner.finish()


def _split_qkv(planner: Planner, name: str, prefix: str) -> None:
    """torchvision's Swin packs queries, keys and values in one matrix, transformers' does not."""
    stage, block, kind = (name.split(".")[index] for index in (2, 3, -1))
    rows, *columns = planner.source[name].shape
    for i, part in enumerate("qkv"):
        planner.add(
            f"{prefix}{_stage(stage)}.blocks.{block}.attention.{part}_proj.{kind}",
            name,
            make=lambda packed, i=i: packed.chunk(3)[i],
            shape=(rows // 3, *columns),
        )


def _target(name: str) -> str | None:
    """Target of a tensor that is taken as it is, `None` if the name is unknown."""
    if match := re.fullmatch(r"backbone\.0\.([1357])\.(\d+)\.(.+)", name):
        rest = _replace(match[3], _BLOCK)
        return rest and f"{_stage(match[1])}.blocks.{match[2]}.{rest}"
    if match := re.fullmatch(r"backbone\.0\.([246])\.(reduction\.weight|norm\.weight|norm\.bias)", name):
        return f"{_stage(int(match[1]) - 1)}.downsample.{match[2]}"
    if match := re.fullmatch(r"linear_c\.(\d)\.proj\.(weight|bias)", name):
        return f"projections.{match[1]}.{match[2]}"
    if match := re.fullmatch(r"face_decoder\.(\w+)_prediction_head\.(.+)", name):
        task = {"pose": "head_pose"}.get(match[1], match[1])
        rest = _replace(match[2], _FEED_FORWARD)
        return rest and f"heads.{task}.{rest}"
    target = _replace(name, _RENAMED)
    if target and target.startswith("parsing_head."):
        rest = _replace(target.removeprefix("parsing_head."), _FEED_FORWARD)
        return rest and f"parsing_head.{rest}"
    return target and re.sub(r"^(decoder\.layers\.\d+\.)norm", r"\1layer_norm", target)


def _stage(number: str | int) -> str:
    return f"backbone.swin.encoder.layers.{(int(number) - 1) // 2}"


def _replace(name: str, table: dict[str, str]) -> str | None:
    for old, new in table.items():
        if name.startswith(old):
            return new + name[len(old) :]
    return None


def _shape(source: Checkpoint, name: str, dimensions: int) -> tuple[int, ...]:
    if name not in source:
        raise ConversionError(f"FaceXFormer's checkpoint has no tensor `{name}`: is it ckpts/model.pt?")
    shape = source[name].shape
    if len(shape) != dimensions:
        raise ConversionError(f"FaceXFormer's `{name}` has shape {shape}, but must have {dimensions} dimensions.")
    return shape
