"""facenet-pytorch's MTCNN."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from harness.row import Peer
from inputs.pictures import load


def facenet_pytorch(case: str, inputs: Path) -> Callable[[], Any]:
    """Detects the faces of a case of [`inputs.pictures`]."""
    _have_torchvision()
    from facenet_pytorch import MTCNN

    detector, pictures = MTCNN(keep_all=True, post_process=False), load(case, inputs)
    return lambda: detector.detect(pictures if len(pictures) > 1 else pictures[0])


def _have_torchvision() -> None:
    """
    What MTCNN takes from torchvision is there: where its compiled part is not, as beside a torch for CPUs, its `nms`
    is the same greedy one by numpy, which takes 2 to 6% of the time of MTCNN.
    """
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.ops")
        for name in (*names, "torchvision.ops.boxes"):
            sys.modules[name] = ModuleType(name)
        sys.modules["torchvision.transforms"].functional = sys.modules["torchvision.transforms.functional"]
        sys.modules["torchvision.ops.boxes"].batched_nms = batched_nms


def batched_nms(boxes: Any, scores: Any, groups: Any, threshold: float) -> Any:
    """As torchvision's: boxes of different groups are moved apart, then suppressed together."""
    import torch

    if not len(boxes):
        return torch.empty(0, dtype=torch.int64)
    apart = boxes + (groups.to(boxes) * (boxes.max() + 1))[:, None]
    x0, y0, x1, y1 = apart.numpy().T
    areas, order, kept = (x1 - x0) * (y1 - y0), scores.argsort(descending=True, stable=True).numpy(), []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        width = np.minimum(x1[first], x1[rest]) - np.maximum(x0[first], x0[rest])
        height = np.minimum(y1[first], y1[rest]) - np.maximum(y0[first], y0[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        order = rest[shared <= threshold * (areas[first] + areas[rest] - shared)]
    return torch.from_numpy(np.array(kept))


FACENET = Peer(facenet_pytorch, packages=("facenet-pytorch==2.6.0",))
