"""Which type weights have while they learn and when they are saved."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..input_error import InputError

HALVES = (torch.float16, torch.bfloat16)


def prepare_precision(model: nn.Module, computed_in: torch.dtype | None, saved: bool) -> None:
    """
    What learns does so in float32, since small updates vanish in half precision; autocast computes in it anyway.
    Frozen weights stay as they are stored, as long as autocast can compute with them: it mixes float32 with one half
    precision, not two of them.

    Args:
        model (`nn.Module`): changed in place.
        computed_in (`torch.dtype`, *optional*): the half precision of autocast, if it is on.
        saved (`bool`):
            Whether frozen weights are saved too: those of the other half precision then become float32, which loses
            nothing; else the one that is computed in, which takes half the memory.

    Raises:
        `InputError`: weights in half precision are to learn and autocast is off.
    """
    for module in model.modules():
        learns = False
        for parameter in module.parameters(recurse=False):
            learns |= parameter.requires_grad
            parameter.data = _prepared(parameter.data, parameter.requires_grad, computed_in, saved)
        for name, buffer in module.named_buffers(recurse=False):  # of batch norms, whose weights must be of their type
            setattr(module, name, _prepared(buffer, learns, computed_in, saved))


def _prepared(values: torch.Tensor, learns: bool, computed_in: torch.dtype | None, saved: bool) -> torch.Tensor:
    if values.dtype not in HALVES:
        return values
    if learns and computed_in is None:
        raise InputError(
            f"`dtype`: weights that are to learn are stored as {values.dtype}, in which small updates vanish. Add "
            "`--bf16` (or `--fp16`) to compute in half precision, or `--dtype float32`."
        )
    if learns or (saved and computed_in not in (None, values.dtype)):
        return values.float()
    return values.to(computed_in or values.dtype)


@contextmanager
def weights_in(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """
    All weights in one type, as they are to be saved, and in the end again as they were.

    Args:
        model (`nn.Module`)
        dtype (`torch.dtype`)
    """
    tensors = [
        values for values in (*model.parameters(), *model.buffers()) if values.dtype in (*HALVES, torch.float32)
    ]
    before = [values.data for values in tensors]
    try:
        for values in tensors:
            values.data = values.data.to(dtype)
        yield
    finally:
        for values, kept in zip(tensors, before, strict=True):
            values.data = kept
