"""Visual inputs of some of many samples: their tensors have a row a visual or a frame, not a sample."""

from collections.abc import Sequence
from copy import copy
from itertools import accumulate

import torch


class VisualRows:
    """
    Args:
        tensors (`dict[str, torch.Tensor]`):
            `frame_counts` and `qformer_*` (V, ...), a row a visual; the others (F, ...), a row a frame.
        visuals (`list[int]`): of each sample, in order, how many visuals it has.
    """

    def __init__(self, tensors: dict[str, torch.Tensor], visuals: Sequence[int]) -> None:
        self.tensors = tensors
        self._visuals = _ranges(visuals)
        self._frames = _ranges(tensors["frame_counts"].tolist())

    def repeated(self, rows: Sequence[int]) -> "VisualRows":
        """
        The same tensors, not copied, with other samples: these of its own, in this order.

        Args:
            rows (`list[int]`): places of samples, each as often as wanted.
        """
        other = copy(self)
        other._visuals = [self._visuals[row] for row in rows]
        return other

    def take(self, rows: Sequence[int]) -> dict[str, torch.Tensor]:
        """
        The tensors of these samples, in this order.

        Args:
            rows (`list[int]`): places of samples.
        """
        visuals = [visual for row in rows for visual in self._visuals[row]]
        frames = [frame for visual in visuals for frame in self._frames[visual]]
        return {
            name: tensor[visuals if name == "frame_counts" or name.startswith("qformer_") else frames]
            for name, tensor in self.tensors.items()
        }


def _ranges(counts: Sequence[int]) -> list[range]:
    ends = list(accumulate(counts))
    return [range(end - count, end) for count, end in zip(counts, ends, strict=True)]
