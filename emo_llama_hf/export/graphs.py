"""The graphs that an EmoLlama becomes: which parts of it, from which inputs, of which sizes."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import DynamicCache, PreTrainedConfig

from ..modeling.configuration_emo_llama import EmoLlamaConfig
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration

Inputs = dict[str, Any]

CACHE = "past_key_values"
# Axes of each graph's inputs that may have any length, by what is along them; all others are the model's own sizes.
FRAMES, WORDS, TOKENS = {0: "frames"}, {0: "visuals", 1: "words"}, {0: "samples", 1: "tokens"}
AXES: dict[str, dict[str, dict[int, str]]] = {
    "face_prior": {"pixel_values": FRAMES},
    "vision_model": {"pixel_values": FRAMES},
    "visual_tokens": {
        "vision_features": FRAMES,
        "frame_counts": {0: "visuals"},
        "qformer_input_ids": WORDS,
        "qformer_attention_mask": WORDS,
        "face_map": FRAMES,
        "face_landmarks": FRAMES,
        "face_mask": FRAMES,
    },
    "embed_tokens": {"input": TOKENS},
    "language_model": {
        "inputs_embeds": TOKENS,
        "attention_mask": {0: "samples", 1: "cached + tokens"},
        "position_ids": TOKENS,
        CACHE: {0: "samples", 2: "cached"},
    },
}


@dataclass(frozen=True)
class Sizes:
    """
    Sizes of inputs.

    Args:
        samples (`int`), tokens (`int`), cached (`int`): of the language model, the last those that it has read before.
        visuals (`int`), frames (`int`), words (`int`): pictures and clips, their frames, words of their questions.
    """

    samples: int
    tokens: int
    cached: int
    visuals: int
    frames: int
    words: int


# Traced with sizes that differ, none of them 0 or 1, which an exporter would take for constants; tried with others.
TRACED = Sizes(samples=2, tokens=3, cached=5, visuals=3, frames=4, words=6)
TRIED = Sizes(samples=1, tokens=9, cached=0, visuals=1, frames=1, words=7)


class VisualTokens(nn.Module):
    """
    Q-Former, Face Info Mining and projection as a module of their own.

    Args:
        model ([`EmoLlamaModel`])
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model: Any = model

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        """Visual tokens (F, tokens a frame, E), by the inputs of [`~EmoLlamaModel.get_image_features`]."""
        tokens: torch.Tensor = self.model.get_image_features(**inputs).pooler_output
        return tokens


def modules_of(model: EmoLlamaForConditionalGeneration) -> dict[str, nn.Module]:
    """
    What becomes a graph, by its name, in the order in which they are called.

    Args:
        model ([`EmoLlamaForConditionalGeneration`])
    """
    parts = model.model
    looking = _without(parts, {"language_model", "face_prior", "vision_model.embeddings", "vision_model.encoder"})
    words = model.get_input_embeddings()
    unread = {f"model.{name}" for name, _ in parts.named_children() if name != "language_model"}
    unread |= {name for name, module in model.named_modules() if module is words}
    modules = {
        "face_prior": parts.face_prior,
        "vision_model": _without(parts.vision_model, {"post_layernorm"}),
        "visual_tokens": VisualTokens(looking),
        "embed_tokens": words,
        "language_model": _without(model, unread),
    }
    return {name: module for name, module in modules.items() if module is not None}


@torch.no_grad()
def inputs_of(model: EmoLlamaForConditionalGeneration, sizes: Sizes) -> dict[str, Inputs]:
    """
    Inputs of each graph, drawn at random.

    Args:
        model ([`EmoLlamaForConditionalGeneration`])
        sizes ([`Sizes`])
    """
    config, device = model.config, model.device
    drawing = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=drawing).to(device, model.dtype)

    def ids(vocabulary: int, *shape: int) -> torch.Tensor:
        return torch.randint(vocabulary, shape, generator=drawing).to(device)

    def ones(*shape: int) -> torch.Tensor:
        return torch.ones(shape, dtype=torch.long, device=device)

    frames = drawn(sizes.frames, 3, config.vision_config.image_size, config.vision_config.image_size)
    counts = ones(sizes.visuals)
    counts[0] += sizes.frames - sizes.visuals
    looking = {
        "vision_features": model.model.vision_model(frames).last_hidden_state,
        "frame_counts": counts,
        "qformer_input_ids": ids(config.qformer_config.vocab_size, sizes.visuals, sizes.words),
        "qformer_attention_mask": ones(sizes.visuals, sizes.words),
    }
    inputs = {"vision_model": {"pixel_values": frames}, "visual_tokens": looking}
    if config.face_config is not None:
        crops = drawn(sizes.frames, 3, config.face_config.image_size, config.face_config.image_size)
        inputs["face_prior"] = {"pixel_values": crops}
        if config.mined:
            faces = model.get_face_features(crops)
            shown = torch.arange(sizes.frames, device=device) != 1  # the second frame shows no face
            looking |= {"face_map": faces.face_map, "face_landmarks": faces.landmarks, "face_mask": shown}
    words = ids(config.image_token_id, sizes.samples, sizes.cached + sizes.tokens)
    inputs["embed_tokens"] = {"input": words}
    embeds = model.get_input_embeddings()(words)
    read = model(inputs_embeds=embeds[:, : max(1, sizes.cached)], use_cache=True).past_key_values
    # Contiguous as all others: strides of a slice would be symbols of their own in the graph.
    tensors = [[part[:, :, : sizes.cached].contiguous() for part in (row.keys, row.values)] for row in read.layers]
    inputs["language_model"] = {
        "inputs_embeds": embeds[:, sizes.cached :].contiguous(),
        "attention_mask": ones(sizes.samples, sizes.cached + sizes.tokens),
        "position_ids": torch.arange(sizes.cached, sizes.cached + sizes.tokens, device=device).repeat(
            sizes.samples, 1
        ),
        CACHE: cache_of(config, tensors),
    }
    return inputs


def cache_of(config: EmoLlamaConfig, tensors: Iterable[Sequence[torch.Tensor]]) -> DynamicCache:
    """
    A cache as the language model's graph takes it.

    Args:
        config ([`EmoLlamaConfig`])
        tensors (`Iterable[Sequence[torch.Tensor]]`): keys and values of each layer, (B, heads, T, C).
    """
    text: PreTrainedConfig = config.text_config
    cache = DynamicCache(config=text)
    for layer, (keys, values) in zip(cache.layers, tensors, strict=True):
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
    return cache


def dynamic_shapes(graph: str, inputs: Inputs) -> dict[str, Any]:
    """
    Which axes of a graph's inputs may have any length, as `torch.export` takes it.

    Args:
        graph (`str`): its name.
        inputs (`dict`): of [`inputs_of`].
    """

    shapes: dict[str, Any] = {}
    for name, value in inputs.items():
        any_length = dict.fromkeys(AXES[graph][name], torch.export.Dim.AUTO)
        shapes[name] = [any_length] * (2 * len(value.layers)) if isinstance(value, DynamicCache) else any_length
    return shapes


def _without(module: nn.Module, paths: set[str]) -> nn.Module:
    """A module that shares its tensors with another one, of which it lacks some parts: a graph carries all it sees."""
    clone = copy.copy(module)
    clone._modules = dict(module._modules)
    for name, child in module._modules.items():
        inner = {path.partition(".")[2] for path in paths if path.partition(".")[0] == name}
        if "" in inner:
            clone._modules[name] = None
        elif inner and child is not None:
            clone._modules[name] = _without(child, inner)
    return clone
