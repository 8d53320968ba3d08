"""What a training step takes, counted by torch: bytes of weights, gradients, optimizer, activations; operations."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count
from transformers import PreTrainedConfig

from .fake_model import example_batch, faked, meta_model
from .methods import METHODS, Method

aten = torch.ops.aten
# torch counts attention by CUDA's kernels; the CPU's has the same operations.
ATTENTION = {
    aten._scaled_dot_product_flash_attention_for_cpu: lambda query, key, value, *_, **__: sdpa_flop_count(
        query, key, value
    ),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda gradient, query, key, value, *_, **__: (
        sdpa_backward_flop_count(gradient, query, key, value)
    ),
}


@dataclass(frozen=True)
class Measurement:
    """
    What a training step takes of one GPU, in bytes unless it says otherwise.

    Args:
        parameters (`int`), trainable (`int`): numbers of weights, and of those that learn.
        weights (`int`), gradients (`int`), optimizer (`int`): the weights, their gradients and AdamW's states.
        activations (`int`): what the forward pass keeps for the backward pass.
        working (`int`):
            The most that the backward pass holds beside: gradients of the logits and, with checkpointing, the
            activations of the layer that is computed again.
        kv_cache (`int`): keys and values of one token, for generation.
        flops (`int`): operations, of the whole step.
    """

    parameters: int
    trainable: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    working: int
    kv_cache: int
    flops: int

    @property
    def total(self) -> int:
        """Bytes at the peak of a step."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.working


def measure(
    config: PreTrainedConfig, method: str, batch_size: int = 1, frames: int = 8, text_tokens: int = 160
) -> dict[bool, Measurement]:
    """
    Measure a training step with torch's fake tensors: nothing is computed, and no weights are needed.

    Weights are counted on the whole model. Activations and operations are counted with one layer and with two of the
    language model: each further layer adds what the second one does.

    Args:
        config ([`EmoLlamaConfig`])
        method (`str`): one of `METHODS`.
        batch_size (`int`, *optional*, defaults to 1): samples a step.
        frames (`int`, *optional*, defaults to 8): of each sample's visual.
        text_tokens (`int`, *optional*, defaults to 160): of each sample, beside its visual tokens.

    Returns:
        `dict[bool, Measurement]`: without (`False`) and with (`True`) gradient checkpointing.
    """
    static = {**stored(config, method), "kv_cache": _kv_cache(config)}
    kept, layer = _whole_step(config, method, False, batch_size, frames, text_tokens)
    again, _ = _whole_step(config, method, True, batch_size, frames, text_tokens)
    again["working"] += layer["activations"]  # what a layer keeps without checkpointing, it makes again with it
    return {False: Measurement(**static, **kept), True: Measurement(**static, **again)}


def operations(
    config: PreTrainedConfig, method: str, checkpointing: bool, batch_size: int, frames: int, text_tokens: int
) -> int:
    """
    The operations of a step, which are `flops` of its [`measure`], without the rest.

    Args:
        config ([`EmoLlamaConfig`]), method (`str`), batch_size (`int`), frames (`int`), text_tokens (`int`):
            see [`measure`].
        checkpointing (`bool`): gradient checkpointing.
    """
    return _whole_step(config, method, checkpointing, batch_size, frames, text_tokens)[0]["flops"]


def _whole_step(
    config: PreTrainedConfig, method: str, checkpointing: bool, batch_size: int, frames: int, text_tokens: int
) -> tuple[dict[str, int], dict[str, int]]:
    """A step of a model with all layers, and what one more layer of its language model adds to it."""
    one, two = (
        _step(_cut(config, layers), METHODS[method], checkpointing, batch_size, frames, text_tokens)
        for layers in (1, 2)
    )
    layer = {name: two[name] - first for name, first in one.items()}
    step = {name: first + (config.text_config.num_hidden_layers - 1) * layer[name] for name, first in one.items()}
    # Every method leaves the vision encoder frozen: its layers keep nothing, and compute once.
    step["flops"] += (config.vision_config.num_hidden_layers - 1) * _vision_layer(config, batch_size * frames)
    return step, layer


def _cut(config: PreTrainedConfig, layers: int) -> PreTrainedConfig:
    """The same with fewer layers of the language model, and one of the vision encoder."""
    config = deepcopy(config)
    config.vision_config.num_hidden_layers = 1
    config.text_config.num_hidden_layers = layers
    if getattr(config.text_config, "layer_types", None):
        config.text_config.layer_types = config.text_config.layer_types[:layers]
    return config


def stored(config: PreTrainedConfig, method: str) -> dict[str, int]:
    """
    What lies in memory all the time, by the names of [`Measurement`].

    Args:
        config ([`EmoLlamaConfig`])
        method (`str`): one of `METHODS`.
    """
    model = METHODS[method].make_trainable(meta_model(config))
    parameters = list(model.parameters())
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    return {
        "parameters": sum(parameter.numel() for parameter in parameters),
        "trainable": sum(parameter.numel() for parameter in trainable),
        "weights": METHODS[method].weight_bytes(model),
        "gradients": sum(parameter.nbytes for parameter in trainable),
        "optimizer": optimizer_bytes(trainable),
    }


def optimizer_bytes(parameters: list[nn.Parameter]) -> int:
    """
    Bytes of the states that AdamW makes in its first step.

    Args:
        parameters (`list[nn.Parameter]`): on any device, meta too; their gradients are lost.
    """
    optimizer = torch.optim.AdamW(parameters, foreach=False)
    for parameter in parameters:
        parameter.grad = torch.empty_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    return sum(value.nbytes for state in optimizer.state.values() for value in state.values())


def saved_bytes(model: nn.Module, **inputs: Any) -> tuple[int, Any]:
    """
    Bytes that a forward pass keeps for the backward pass, beside weights, buffers and inputs; and what it gives.

    Args:
        model (`nn.Module`): on any device, also fake.
        inputs (`Any`): of its forward.
    """
    known = [*model.parameters(), *model.buffers(), *(v for v in inputs.values() if isinstance(v, torch.Tensor))]
    storages = {tensor.untyped_storage()._cdata for tensor in known}
    saved: dict[int, torch.UntypedStorage] = {}  # held, so that no other storage takes its address

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved.setdefault(storage._cdata, storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = model(**inputs)
    return sum(storage.nbytes() for at, storage in saved.items() if at not in storages), outputs


def _step(
    config: PreTrainedConfig, method: Method, checkpointing: bool, batch_size: int, frames: int, text_tokens: int
) -> dict[str, int]:
    """Forward and backward of a model with few layers."""
    model: Any = method.make_trainable(meta_model(config))
    with faked(model):
        if checkpointing:
            # Its name from transformers 5.23 on; before, there is only the other.
            getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
        model.train()
        batch = example_batch(config, batch_size, frames, text_tokens)
        counter = FlopCounterMode(display=False, custom_mapping=ATTENTION)
        with counter:
            with torch.autocast("cpu", torch.bfloat16):
                activations, outputs = saved_bytes(model, **batch, use_cache=False)
            outputs.loss.backward()
        logits = outputs.logits.numel() * (torch.float32.itemsize + torch.bfloat16.itemsize)
    return {"activations": activations, "working": logits, "flops": counter.get_total_flops()}


def _vision_layer(config: PreTrainedConfig, frames: int) -> int:
    """Operations of a layer of the vision encoder."""
    model: Any = meta_model(_cut(config, 1)).model.vision_model
    with faked(model), torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        side = config.vision_config.image_size
        pictures = model.embeddings(torch.zeros(frames, 3, side, side))
        counter = FlopCounterMode(display=False, custom_mapping=ATTENTION)
        with counter:
            model.encoder(inputs_embeds=pictures)
    return counter.get_total_flops()


def _kv_cache(config: PreTrainedConfig) -> int:
    """Bytes of the keys and values of one token."""
    model: Any = meta_model(_cut(config, 1)).model.language_model
    with faked(model), torch.no_grad():
        token = torch.zeros(1, 1, config.text_config.hidden_size, dtype=torch.bfloat16)
        (layer,) = model(inputs_embeds=token, use_cache=True).past_key_values.layers
        return int((layer.keys.nbytes + layer.values.nbytes) * config.text_config.num_hidden_layers)
