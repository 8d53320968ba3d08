"""A model without weights: torch's fake tensors have shapes, types and storages, and hold nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from transformers import PreTrainedConfig

from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration


def meta_model(config: PreTrainedConfig) -> EmoLlamaForConditionalGeneration:
    """
    A model in bfloat16 on the meta device: its parameters can be counted, but not computed with.

    Args:
        config ([`EmoLlamaConfig`])
    """
    with torch.device("meta"):
        model: EmoLlamaForConditionalGeneration = EmoLlamaForConditionalGeneration._from_config(
            config, dtype=torch.bfloat16
        )
    return model


@contextmanager
def faked(model: nn.Module) -> Iterator[None]:
    """
    Computing with a model from [`meta_model`], or a part of one, as if it were on the CPU.

    Args:
        model (`nn.Module`): its parameters and buffers are replaced by fake ones.
    """
    replaced: dict[int, nn.Parameter] = {}  # a tied parameter stays one
    # The checks of inputs ask for values, of which there are none: with a shape environment they become assumptions.
    with FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True):
        for module in model.modules():
            for name, parameter in module._parameters.items():
                if parameter is None:
                    continue
                if id(parameter) not in replaced:
                    fake = torch.empty(parameter.shape, dtype=parameter.dtype)
                    replaced[id(parameter)] = nn.Parameter(fake, requires_grad=parameter.requires_grad)
                module._parameters[name] = replaced[id(parameter)]
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
        yield


def example_batch(config: PreTrainedConfig, batch_size: int, frames: int, text_tokens: int) -> dict[str, torch.Tensor]:
    """
    Inputs of a training step, to be made in [`faked`]: only their shapes matter.

    Args:
        config ([`EmoLlamaConfig`])
        batch_size (`int`): samples, each with one visual.
        frames (`int`): of each visual.
        text_tokens (`int`): of each sample, beside its visual tokens; the question has a quarter of them.
    """
    tokens = text_tokens + frames * config.tokens_per_frame
    side = config.vision_config.image_size
    texts = torch.ones(batch_size, tokens, dtype=torch.long)
    questions = torch.ones(batch_size, max(text_tokens // 4, 1), dtype=torch.long)
    batch = {
        "input_ids": texts,
        "attention_mask": texts,
        "labels": texts,
        "pixel_values": torch.zeros(batch_size * frames, 3, side, side),
        "frame_counts": torch.full((batch_size,), frames),
        "qformer_input_ids": questions,
        "qformer_attention_mask": questions,
    }
    if config.face_config is not None:
        crop = config.face_config.image_size
        batch["face_pixel_values"] = torch.zeros(batch_size * frames, 3, crop, crop)
        batch["face_mask"] = torch.ones(batch_size * frames, dtype=torch.bool)
    return batch
