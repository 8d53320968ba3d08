"""The plan of a conversion: which target tensor is made of which source tensors. Nothing is read while planning."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch

from .checkpoint_files import Checkpoint, SourceTensor
from .conversion_error import ConversionError


@dataclass(frozen=True)
class PlannedTensor:
    """
    A tensor to be written.

    Args:
        name (`str`): its name in the output.
        shape (`tuple[int, ...]`): the shape that is written.
        dtype (`torch.dtype`): the type that is written.
        sources (`tuple[SourceTensor, ...]`): what it is made of; empty where it is initialised.
        make (`Callable[..., torch.Tensor]`, *optional*):
            Makes it from the tensors of `sources`, given in order; without it, the one source is taken as it is.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    sources: tuple[SourceTensor, ...]
    make: Callable[..., torch.Tensor] | None = None

    @property
    def is_unchanged(self) -> bool:
        """Whether the bytes of the source are written as they are."""
        return self.make is None and self.dtype == self.sources[0].dtype

    def tensor(self) -> torch.Tensor:
        """What is written. Nothing but the sources is read."""
        tensors = [source.read() for source in self.sources]
        made = tensors[0] if self.make is None else self.make(*tensors)
        if tuple(made.shape) != self.shape:
            raise AssertionError(f"`{self.name}` was planned as {self.shape}, not {tuple(made.shape)}.")
        return made.to(self.dtype)

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        return " + ".join(source.name for source in self.sources) or "(initialised)"


Plan = dict[str, PlannedTensor]


class Planner:
    """
    Collects planned tensors and keeps account of the source tensors that they use.

    Args:
        source (`Checkpoint`): the tensors to convert.
        label (`str`): what they are, for messages.
    """

    def __init__(self, source: Checkpoint, label: str):
        self.source = source
        self.label = label
        self.plan: Plan = {}
        self.used: set[str] = set()

    def add(
        self,
        name: str,
        *sources: str,
        make: Callable[..., torch.Tensor] | None = None,
        shape: Iterable[int] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """
        Plan a tensor.

        Args:
            name (`str`): its name in the output.
            sources (`str`): names of the source tensors that it is made of, at least one.
            make (`Callable[..., torch.Tensor]`, *optional*): see [`PlannedTensor`].
            shape (`Iterable[int]`, *optional*): the first source tensor's by default.
            dtype (`torch.dtype`, *optional*): the first source tensor's by default.

        Raises:
            `ConversionError`: there is no such source tensor.
        """
        for source in sources:
            if source not in self.source:
                raise ConversionError(f"{self.label} has no tensor `{source}`, which `{name}` is made of.")
        tensors = tuple(self.source[source] for source in sources)
        self.used.update(sources)
        self.plan[name] = PlannedTensor(
            name, tuple(tensors[0].shape if shape is None else shape), dtype or tensors[0].dtype, tensors, make
        )

    def ignore(self, *names: str) -> None:
        """Say that source tensors are known and rightly not used."""
        self.used.update(names)

    def finish(self) -> Plan:
        """
        The plan, once every source tensor is accounted for.

        Raises:
            `ConversionError`: a source tensor is neither used nor known to be left out.
        """
        unknown = [name for name in self.source if name not in self.used]
        if unknown:
            raise ConversionError(
                f"{self.label} has {len(unknown)} tensor(s) that have no place in the model, the first being "
                f"{_some(unknown)}: it is not the kind of checkpoint that it was taken for."
            )
        return self.plan


def check_plan(plan: Plan, expected: dict[str, torch.Tensor]) -> None:
    """
    Check that a plan fills a model exactly.

    Args:
        plan (`Plan`): what is to be written.
        expected (`dict[str, torch.Tensor]`): the model's tensors by name, on any device; their shapes count.

    Raises:
        `ConversionError`: a tensor is missing, has no place, or is of the wrong shape or no floating point type.
    """
    missing = [name for name in expected if name not in plan]
    if missing:
        raise ConversionError(f"{len(missing)} tensor(s) of the model would stay unfilled: {_some(missing)}.")
    extra = [name for name in plan if name not in expected]
    if extra:
        raise ConversionError(f"The model has no place for {_some(extra)}.")
    for name, planned in plan.items():
        if tuple(expected[name].shape) != planned.shape:
            raise ConversionError(
                f"`{name}` must have shape {tuple(expected[name].shape)}, but {planned.origin} gives {planned.shape}."
            )
        if not planned.dtype.is_floating_point:
            raise ConversionError(
                f"`{name}` must be of a floating point type, but {planned.origin} is {planned.dtype}."
            )


def cast(plan: Plan, dtype: torch.dtype) -> Plan:
    """
    The plan with all tensors of one type.

    Args:
        plan (`Plan`): any.
        dtype (`torch.dtype`): the type that is written.
    """
    return {name: replace(planned, dtype=dtype) for name, planned in plan.items()}


def table(plan: Plan) -> str:
    """
    The plan for people to read.

    Args:
        plan (`Plan`): any.

    Returns:
        `str`: a heading and a line for each tensor: target, shape, dtype, source file and source tensors.
    """
    rows = [("target", "shape", "dtype", "file", "source")]
    for planned in plan.values():
        file = planned.sources[0].file.path.name if planned.sources else "-"
        shape = "x".join(map(str, planned.shape)) or "scalar"
        rows.append((planned.name, shape, str(planned.dtype).removeprefix("torch."), file, planned.origin))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join("  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row[4]]) for row in rows)


def _some(names: list[str], count: int = 5) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:count])
    return f"{shown} and {len(names) - count} more" if len(names) > count else shown
