"""What every source of frames offers, be it a video file, an animated picture or frames already in memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from PIL import Image

from .media_source import UnreadableMediaError


class TimesChangedError(Exception):
    """Reading showed that `Clip.times` was wrong; it has been put right, so choose frames again."""


class Clip(ABC):
    """
    A sequence of frames whose times are known before any of them is kept.

    Args:
        partial (`bool`): whether the readable part of a damaged clip will do.

    Attributes:
        times (`list[float]`): when each frame appears, in seconds from the first, in order.
        start (`float`): when the first frame appears on the file's own clock, which sound has too; in seconds.
        duration (`float`, *optional*):
            Seconds from the first frame's appearance to the end of the last; `None` if unknown.
        problem (`str`, *optional*): what could not be read; `None` if nothing is amiss.
        backend (`str`, *optional*): the library that decodes the clip; `None` for frames that are decoded already.
    """

    backend: str | None = None
    start: float = 0.0
    times: list[float]
    duration: float | None

    def __init__(self, partial: bool) -> None:
        self.problem: str | None = None
        self._partial = partial

    @abstractmethod
    def read(self, indices: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
        """
        Yield (index, RGB image) of the frames with these indices, leaving out unreadable ones if partial.

        Args:
            indices (`Sequence[int]`): numbers of the wanted frames, sorted and unique.

        Raises:
            `TimesChangedError`: choose again from the new `times`.
            `UnreadableMediaError`: a frame cannot be read, and not partial.
        """

    def close(self) -> None:  # noqa: B027 - most clips hold nothing open
        """Let go of the source."""

    def _report(self, problem: str, error: Exception | None = None) -> None:
        """Raise for a damaged part, or keep the first such problem if the readable part will do."""
        if not self._partial:
            raise UnreadableMediaError(
                f"`video` is damaged or cut off: {problem}. Get a whole copy, or take the readable part with "
                "on_error='partial'."
            ) from error
        self.problem = self.problem or problem
