"""A stand-in for a GPU: a device whose tensors may not meet the CPU's, and which counts how often Python waits for it.

Every tensor on it holds a CPU tensor with its values, so results are the CPU's. An operation that CUDA would refuse,
because tensors of two devices meet in it, is refused here too. As a tensor subclass it lies below autograd, so that
models train on it as well.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import return_and_correct_aliasing

aten = torch.ops.aten

NAME = "standin"
COPIES = ("aten::copy_", "aten::_to_copy", "aten::_copy_from")
INDEXING = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
# What CUDA computes sizes or Python values of; copies and masks as indices are looked at one by one.
WAITING = (
    "aten::_local_scalar_dense",
    "aten::_unique2",
    "aten::bincount",
    "aten::equal",
    "aten::masked_select",
    "aten::nonzero",
    "aten::unique_consecutive",
    "aten::unique_dim",
)

# What is asked for before there is a tensor of the class, or where torch leaves `__torch_dispatch__` aside.
REGISTERED = (
    aten.empty.memory_format,
    aten.empty_strided.default,
    aten.arange.default,
    aten.arange.start,
    aten.arange.start_step,
    aten.randperm.generator,
    aten.copy_.default,
)
_LIBRARY = torch.library.Library("aten", "IMPL")
_places: list[str] | None = None  # of the synchronizations, while somebody counts them


class StandInTensor(torch.Tensor):
    """A tensor on the stand-in; `raw` is the CPU tensor that has its values."""

    raw: torch.Tensor

    @staticmethod
    def __new__(cls, raw: torch.Tensor):
        made = torch.Tensor._make_wrapper_subclass(
            cls, raw.size(), raw.stride(), raw.storage_offset(), dtype=raw.dtype, device=torch.device(NAME, 0)
        )
        made.raw = raw
        return made

    def __init__(self, raw: torch.Tensor):
        pass

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled():  # where what consists of other operations comes here as a whole
            outputs = operation.decompose(*args, **kwargs)
            if outputs is not NotImplemented:
                return outputs
        return _run(operation, *args, **kwargs)

    def tolist(self):  # which torch does not let a subclass do
        return self.cpu().tolist()

    def untyped_storage(self):  # by which tensors that share memory are told, when a model is saved
        return self.raw.untyped_storage()


class _Unchosen(backend_registration._DummyBackendModule):
    """The device is there for who names it; nobody finds it by looking for an accelerator."""

    def is_available(self) -> bool:
        return False

    def device_count(self) -> int:
        return 0

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def set_up() -> None:
    """Make the device known to torch, for as long as the process lives."""
    if torch._C._get_privateuse1_backend_name() == NAME:
        return
    backend_registration._setup_privateuseone_for_python_backend(NAME, _Unchosen())
    for operation in REGISTERED:
        _LIBRARY.impl(operation, partial(_run, operation), "PrivateUse1")


@contextmanager
def synchronizations() -> Iterator[list[str]]:
    """Where Python waited for the device: `file:line` of each time."""
    global _places
    _places = []
    try:
        yield _places
    finally:
        _places = None


def _run(operation, *args, **kwargs):
    """An operation on the CPU tensors below; its outputs are on the stand-in."""
    name = operation._schema.name
    ours: list[StandInTensor] = []
    others: list[torch.Tensor] = []

    def raw(value):
        if isinstance(value, StandInTensor):
            ours.append(value)
            return value.raw
        if isinstance(value, torch.Tensor):
            others.append(value)
        return torch.device("cpu") if isinstance(value, torch.device) and value.type == NAME else value

    raw_args, raw_kwargs = _each(raw, args), {key: _each(raw, value) for key, value in kwargs.items()}
    into_ours = ours[:1] if kwargs.get("device") is None else torch.device(kwargs["device"]).type == NAME
    if name in COPIES:
        target = isinstance(args[0], StandInTensor) if name == "aten::copy_" else bool(into_ours)
        source = isinstance(args[1 if name == "aten::copy_" else 0], StandInTensor)
        if source != target and args[0].numel() and not kwargs.get("non_blocking"):
            _synchronized()
    elif name in INDEXING and isinstance(args[0], StandInTensor):
        indices = [value for value in args[1] if value is not None]
        masked = any(value.dtype in (torch.bool, torch.uint8) for value in indices)
        filled = name != "aten::index" and args[2].numel() == 1  # which is a `masked_fill`
        if (masked and not filled) or not all(isinstance(value, StandInTensor) for value in indices):
            _synchronized()  # CUDA looks how many there are, or copies indices from the CPU
    elif ours and any(value.dim() for value in others):
        shapes = ", ".join(str(tuple(value.shape)) for value in others)
        raise RuntimeError(f"Expected all tensors on one device, but in {name} tensors of {shapes} are on the CPU.")
    if name in WAITING or (name == "aten::repeat_interleave" and kwargs.get("output_size") is None):
        _synchronized()
    outputs = operation(*raw_args, **raw_kwargs)
    if not into_ours or (name == "aten::copy_" and not target):
        return outputs
    for value in ours:
        if value.shape != value.raw.shape:
            raise NotImplementedError(f"{operation} changed the shape of a tensor in place: add it to REGISTERED.")
    outputs = _each(lambda value: StandInTensor(value) if isinstance(value, torch.Tensor) else value, outputs)
    return return_and_correct_aliasing(operation, args, kwargs, outputs)


def _each(change, value):
    """What `change` makes of a value, or of each in lists and tuples; torch's `tree_map` would double the time."""
    return type(value)(_each(change, part) for part in value) if isinstance(value, (list, tuple)) else change(value)


def _synchronized() -> None:
    if _places is not None:
        frame = sys._getframe(2)
        while "/torch/" in frame.f_code.co_filename or frame.f_code.co_filename == __file__:
            frame = frame.f_back
        _places.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
