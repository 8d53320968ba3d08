"""The options that say which frames of a clip are looked at."""

from dataclasses import dataclass
from typing import Any

from ..input_error import InputError
from .options import Fps, NumFrames


@dataclass(frozen=True)
class SamplingOptions:
    """--num-frames and --fps."""

    num_frames: NumFrames = None
    fps: Fps = None

    def __post_init__(self) -> None:
        if self.num_frames is not None and self.fps is not None:
            raise InputError("`num_frames` and `fps` both say which frames of a clip: give one of them.")

    @property
    def given(self) -> dict[str, Any]:
        """What the pipeline is told."""
        return {name: value for name, value in vars(self).items() if value is not None}
