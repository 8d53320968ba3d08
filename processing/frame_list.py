"""A clip whose frames are already in memory, or in a list of pictures."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from .clip import Clip
from .image_loading import load_image


class FrameList(Clip):
    """
    Frames in memory.

    Args:
        frames (`Sequence`, `np.ndarray` or `torch.Tensor`):
            An array T×H×W×C or T×C×H×W, or a list of anything [`load_image`] takes.
        fps (`float`, *optional*): frames a second; without it the times are frame numbers, the duration is unknown.
        partial (`bool`): whether frames that cannot be read are left out.
    """

    def __init__(self, frames: Sequence[Any] | np.ndarray | torch.Tensor, fps: float | None, partial: bool) -> None:
        super().__init__(partial)
        self._frames = frames
        self.times = [number / (fps or 1.0) for number in range(len(frames))]
        self.duration = len(frames) / fps if fps else None

    def read(self, indices: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
        for index in indices:
            try:
                yield index, load_image(self._frames[index], f"video[{index}]")
            except (OSError, ValueError) as error:
                if not self._partial:
                    raise  # names the frame already
                self._report(str(error))
