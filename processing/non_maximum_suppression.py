"""Of boxes that overlap, the most probable ones."""

import numpy as np
import torch
from torch import Tensor

BLOCK = 128  # boxes compared with each other at once: each kept one costs a line of Python, not a call of numpy a rest


def nms_per_picture(
    picture: Tensor, boxes: Tensor, scores: Tensor, threshold: float, over_smaller: bool = False
) -> Tensor:
    """`non_maximum_suppression` among the boxes of each picture; picture (N,) int64 says which a box belongs to."""
    kept = [torch.zeros(0, dtype=torch.long)]
    for index in sorted(set(picture.tolist())):
        (members,) = (picture == index).nonzero(as_tuple=True)
        kept.append(members[non_maximum_suppression(boxes[members], scores[members], threshold, over_smaller)])
    return torch.cat(kept)


def non_maximum_suppression(boxes: Tensor, scores: Tensor, threshold: float, over_smaller: bool = False) -> Tensor:
    """
    Drops every box that overlaps a kept, more probable one by more than `threshold`.

    Args:
        boxes (`torch.FloatTensor` of shape `(N, 4)`): x0, y0, x1, y1.
        scores (`torch.FloatTensor` of shape `(N,)`): what says which of two boxes is kept.
        threshold (`float`): greatest overlap allowed, 0 to 1.
        over_smaller (`bool`, *optional*, defaults to `False`):
            Overlap is intersection over the smaller area, in whole pixels (a side counts one more), not intersection
            over union.

    Returns:
        `torch.LongTensor` of shape `(M,)`: indices of the kept boxes, most probable first.
    """
    ratings = scores.numpy()
    # Among equals, the first wins by union and the last by smaller area: the original sorts down, there up. Its sort
    # for the smaller area is not stable, so with more than 16 boxes its choice among equals depends on the machine.
    order = ratings.argsort(kind="stable")[::-1] if over_smaller else (-ratings).argsort(kind="stable")
    corners = boxes.numpy()[order]
    left = np.arange(len(order))  # boxes that no kept one has dropped yet
    kept: list[int] = []
    while len(left):
        block, left = left[:BLOCK], left[BLOCK:]
        dropped = np.zeros(len(block), bool)
        overlap = _overlap(corners[block], corners[block], over_smaller) > threshold
        chosen = []
        for index in range(len(block)):
            if not dropped[index]:
                chosen.append(block[index])
                dropped |= overlap[index]
        kept += chosen
        left = left[~(_overlap(corners[chosen], corners[left], over_smaller) > threshold).any(0)]
    return torch.from_numpy(order[kept].copy()) if kept else torch.zeros(0, dtype=torch.long)


def _overlap(these: np.ndarray, those: np.ndarray, over_smaller: bool) -> np.ndarray:
    """The overlap (N, M) of boxes (N, 4) and (M, 4); 0/0, which is above no threshold, where both are empty."""
    extra_pixel = 1 if over_smaller else 0
    sides = [boxes[:, 2:] - boxes[:, :2] + extra_pixel for boxes in (these, those)]
    areas, others = (side[:, 0] * side[:, 1] for side in sides)
    x0, y0 = (np.maximum(these[:, None, axis], those[:, axis]) for axis in (0, 1))
    x1, y1 = (np.minimum(these[:, None, axis], those[:, axis]) for axis in (2, 3))
    intersection = np.maximum(x1 - x0 + extra_pixel, 0) * np.maximum(y1 - y0 + extra_pixel, 0)
    whole = np.minimum(areas[:, None], others) if over_smaller else areas[:, None] + others - intersection
    with np.errstate(invalid="ignore"):
        found: np.ndarray = intersection / whole
        return found
