"""The frames of a clip, or of an endless supply of them, at even steps of time, one after the other."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

from PIL import Image

from ...input_error import InputError
from ...processing.clip import Clip, TimesChangedError
from ...processing.image_loading import load_image
from ...processing.media_source import UnreadableMediaError
from ...processing.video_loading import open_clip

ROUNDING = 1e-6  # seconds; times are sums of fractions


@dataclass(frozen=True)
class Moment:
    """
    A frame to look at.

    Args:
        time (`float`): seconds of the frame from the first one's appearance.
        end (`float`): when the next moment begins, in seconds.
        frame (`PIL.Image.Image`): RGB, upright.
    """

    time: float
    end: float
    frame: Image.Image


class Moments:
    """
    What is looked at, as it is read.

    Attributes:
        duration (`float`, *optional*): length of what is read in seconds; `None` as long as it is unknown.
    """

    duration: float | None = None

    @property
    def problem(self) -> str | None:
        """What could not be read so far, of a damaged clip."""
        return None

    def stop(self) -> None:
        """Wait for nothing more."""

    def __iter__(self) -> Iterator[Moment]:
        raise NotImplementedError


@contextmanager
def open_moments(source: Any, every: float, partial: bool, video_fps: float | None) -> Iterator[Moments]:
    """
    Open a clip, or a generator of frames; it is closed on leaving.

    Args:
        source (`VideoSource` or `Iterator`): see [`open_clip`]; an iterator gives frames, see [`load_image`].
        every (`float`): seconds from moment to moment; the frame on screen then is taken, each frame once.
        partial (`bool`): whether the readable part of a damaged clip will do.
        video_fps (`float`, *optional*): frames a second of what is given as frames.

    Raises:
        `InputError`: frames without a rate, or a file with one.
        `UnreadableMediaError`, `FileNotFoundError`, `IsADirectoryError`, `PermissionError`: see [`open_clip`].
    """
    if gives_frames(source):
        if video_fps is None:
            raise InputError("`video_fps` is missing: say how many frames a second the generator gives.")
        yield _GivenFrames(source, every, video_fps)
        return
    with open_clip(source, partial=partial, video_fps=video_fps) as clip:
        if clip.duration is None and len(clip.times) > 1:
            raise InputError("`video_fps` is missing: say how many frames a second the list has.")
        yield _ClipFrames(clip, every)


def gives_frames(source: object) -> bool:
    """Whether a source is a generator of frames, which nobody can read twice; open files give lines, but are clips."""
    return isinstance(source, Iterator) and not hasattr(source, "read")


@contextmanager
def reading_errors() -> Iterator[None]:
    """
    Make an [`InputError`] of a `ValueError` of `processing` about what was given; what is unreadable stays so.

    Raises:
        `InputError`
    """
    try:
        yield
    except (InputError, UnreadableMediaError):
        raise
    except ValueError as error:
        raise InputError(str(error)) from error


def frames_on_screen(starts: Iterable[float], every: float) -> Iterator[tuple[int, float]]:
    """
    Which frames are on screen at the times 0, `every`, 2 `every`, ...

    Args:
        starts (`Iterable[float]`): when each frame appears, in seconds from 0, and at last when the last one ends.
        every (`float`): seconds.

    Returns:
        `Iterator[tuple[int, float]]`: number and appearance of each, once, however many such times it covers.
    """
    step = 0
    for number, (start, end) in enumerate(pairwise(starts)):
        if step * every < end - ROUNDING:
            yield number, start
            step = max(step + 1, math.ceil((end - ROUNDING) / every))


def read_in_order(clip: Clip, choose: Callable[[Clip], list[int]]) -> Iterator[tuple[int, Image.Image]]:
    """
    Frames of a clip with their numbers.

    Args:
        clip ([`Clip`])
        choose (`Callable`):
            Gives the sorted numbers of the wanted frames. Asked again for those that come later where reading showed
            that the clip's times were wrong.

    Raises:
        `UnreadableMediaError`: a frame cannot be read, and the readable part will not do.
    """
    last = -1.0
    while True:
        numbers = [number for number in choose(clip) if clip.times[number] > last]
        try:
            for number, frame in clip.read(numbers):
                last = clip.times[number]
                yield number, frame
            return
        except TimesChangedError:
            continue


class _ClipFrames(Moments):
    def __init__(self, clip: Clip, every: float) -> None:
        self._clip = clip
        self._every = every
        self.duration = clip.duration

    @property
    def problem(self) -> str | None:
        return self._clip.problem

    def __iter__(self) -> Iterator[Moment]:
        ends: dict[int, float] = {}

        def choose(clip: Clip) -> list[int]:
            self.duration = clip.duration
            last = clip.times[-1] + self._every if clip.duration is None else clip.duration
            chosen = [*frames_on_screen([*clip.times, last], self._every), (len(clip.times), last)]
            ends.clear()
            ends.update({number: following for (number, _), (_, following) in pairwise(chosen)})
            return list(ends)

        for number, frame in read_in_order(self._clip, choose):
            yield Moment(self._clip.times[number], ends[number], frame)


class _GivenFrames(Moments):
    def __init__(self, frames: Iterator[Any], every: float, video_fps: float) -> None:
        self._frames = enumerate(frames)
        self._fps = video_fps
        self._every = every

    def __iter__(self) -> Iterator[Moment]:
        due = pairwise(frames_on_screen((number / self._fps for number in count()), self._every))
        (wanted, start), (_, end) = next(due)
        seen = 0
        for number, frame in self._frames:
            seen += 1
            if number == wanted:
                yield Moment(start, end, load_image(frame, f"video[{number}]"))
                (wanted, start), (_, end) = next(due)
        if not seen:
            raise InputError("`clip` gave no frames. Give at least one.")
        self.duration = seen / self._fps
