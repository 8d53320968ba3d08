"""Chooses a few frames of a clip."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

from PIL import Image

from .clip import Clip, TimesChangedError
from .frame_indices import count_at_rate, evenly_in_time, evenly_spaced
from .media_source import UnreadableMediaError
from .setting_checks import check_choice, check_integer, check_number
from .video_loading import RATES, VideoSource, open_clip

Strategy: TypeAlias = Literal["uniform", "fps", "face"]
STRATEGIES: tuple[Strategy, ...] = ("uniform", "fps", "face")
OnError: TypeAlias = Literal["raise", "partial"]
ON_ERROR: tuple[OnError, ...] = ("raise", "partial")
HasFace: TypeAlias = Callable[[list[Image.Image]], Sequence[bool]]

CANDIDATES_PER_FRAME = 4  # frames searched for a face, for each frame wanted
FACE_BATCH = 8  # candidate frames in memory at a time


@dataclass(frozen=True)
class SampledFrames:
    """
    Frames of a clip, in order.

    Args:
        frames (`list[PIL.Image.Image]`): RGB images, upright.
        indices (`list[int]`): the number of each frame in the clip.
        timestamps (`list[float]`):
            When each appears, in seconds from the clip's first frame; frame numbers if the clip was given as frames
            without `video_fps`.
        total (`int`): frames that the clip has.
        duration (`float`, *optional*):
            Length of the clip in seconds; `None` for a single frame of unknown length, or frames without a rate.
        backend (`str`, *optional*): the library that decoded the clip.
        strategy (`str`, *optional*, defaults to `"uniform"`):
            How the frames were chosen: `"uniform"` if `"face"` was asked for and no face was found.
        problem (`str`, *optional*):
            What could not be read of a damaged clip (`on_error="partial"`); `None` for an intact clip.
    """

    frames: list[Image.Image]
    indices: list[int]
    timestamps: list[float]
    total: int
    duration: float | None
    backend: str | None = None
    strategy: Strategy = "uniform"
    problem: str | None = None


def sample_frames(
    video: VideoSource,
    strategy: Strategy = "uniform",
    num_frames: int = 8,
    fps: float | None = None,
    max_frames: int | None = None,
    has_face: HasFace | None = None,
    on_error: OnError = "raise",
    video_fps: float | None = None,
) -> SampledFrames:
    """
    Choose frames of a clip, decoding little more than those and holding no others.

    Args:
        video (`VideoSource`):
            What [`open_clip`] takes: path, URL, bytes, file object, array or list of frames, animated picture.
        strategy (`str`, *optional*, defaults to `"uniform"`): one of

            - `"uniform"`: the `num_frames` frames on screen at the centres of as many equal spans of time;
            - `"fps"`: as uniform, with `fps` frames for each second, at most `max_frames`;
            - `"face"`: `num_frames` frames spread over those with a face, out of four times as many candidates spread
              uniformly; uniform if none of them has a face.

            A clip with fewer frames gives each of them once.
        num_frames (`int`, *optional*, defaults to 8): number of frames for `"uniform"` and `"face"`.
        fps (`float`, *optional*): frames a second for `"fps"`.
        max_frames (`int`, *optional*): upper limit for `"fps"`; `None` sets none.
        has_face (`Callable`, *optional*): for `"face"`: tells of each of up to 8 frames whether it shows a face.
        on_error (`str`, *optional*, defaults to `"raise"`):
            Of a damaged or cut-off clip, `"raise"` an error or sample the readable part, `"partial"`.
        video_fps (`float`, *optional*): frames a second of a clip given as frames.

    Returns:
        [`SampledFrames`]

    Raises:
        `UnreadableMediaError`: empty, audio only, damaged, cut off, of no known format, unreachable, or no frames.
        `FileNotFoundError`, `IsADirectoryError`, `PermissionError`: no such file, or it may not be opened.
        `ValueError`: a setting out of range or missing.
    """
    check_sampling(strategy, num_frames, fps, max_frames, on_error)
    if strategy == "fps" and fps is None:
        raise ValueError("`fps` is missing. Give the frames a second for strategy='fps'.")
    if strategy != "fps" and num_frames is None:
        raise ValueError(f"`num_frames` is missing. Give the number of frames for strategy={strategy!r}.")
    if strategy == "face" and has_face is None:
        raise ValueError("`has_face` is missing. Give a function that finds faces for strategy='face'.")

    with open_clip(video, partial=on_error == "partial", video_fps=video_fps) as clip:

        def sample() -> SampledFrames:
            count = num_frames
            if fps is not None and strategy == "fps":
                count = _count_at_rate(clip, fps, max_frames)
            elif has_face is not None and strategy == "face":
                indices = _indices_with_face(clip, num_frames, has_face)
                if indices:
                    return _take(clip, indices, "face")
            indices = evenly_in_time(clip.times, clip.duration, count)
            return _take(clip, indices, "uniform" if strategy == "face" else strategy)

        try:
            return sample()
        except TimesChangedError:
            return sample()


def check_sampling(
    strategy: str,
    num_frames: int | None,
    fps: float | None,
    max_frames: int | None,
    on_error: str,
) -> None:
    """Raise `ValueError` if a setting of [`sample_frames`] is none of its choices or out of range."""
    check_choice("strategy", strategy, STRATEGIES)
    check_choice("on_error", on_error, ON_ERROR)
    for name, count in (("num_frames", num_frames), ("max_frames", max_frames)):
        if count is not None:
            check_integer(name, count, 1, sys.maxsize)
    if fps is not None:
        check_number("fps", fps, *RATES)


def frames_at(
    video: VideoSource,
    timestamps: Sequence[float],
    on_error: OnError = "raise",
    video_fps: float | None = None,
) -> list[Image.Image]:
    """
    The frames of a clip that appear at these times, or next to them: `SampledFrames.frames` again, by their times.

    Args:
        video, on_error, video_fps: as in [`sample_frames`], which raises the same errors.
        timestamps (`Sequence[float]`): increasing, in seconds from the clip's first frame.
    """
    with open_clip(video, partial=on_error == "partial", video_fps=video_fps) as clip:

        def take() -> list[Image.Image]:
            indices = [min(range(len(clip.times)), key=lambda i: abs(clip.times[i] - time)) for time in timestamps]
            return _take(clip, indices, "uniform").frames

        try:
            return take()
        except TimesChangedError:
            return take()


def _count_at_rate(clip: Clip, fps: float, max_frames: int | None) -> int:
    if clip.duration is not None:
        return count_at_rate(clip.duration, fps, max_frames)
    if len(clip.times) > 1:
        raise ValueError("`video_fps` is missing. Give the frame rate of the frames for strategy='fps'.")
    return 1


def _indices_with_face(clip: Clip, num_frames: int, has_face: HasFace) -> list[int]:
    """Up to `num_frames` indices spread over the candidates with a face."""
    candidates = evenly_in_time(clip.times, clip.duration, CANDIDATES_PER_FRAME * num_frames)
    found: list[int] = []
    reader = clip.read(candidates)
    while batch := list(islice(reader, FACE_BATCH)):
        answers = has_face([image for _, image in batch])
        if len(answers) != len(batch):
            raise ValueError(f"`has_face` gave {len(answers)} answers for {len(batch)} frames. Give one for each.")
        found += [index for (index, _), answer in zip(batch, answers, strict=True) if answer]
    return [found[i] for i in evenly_spaced(len(found), num_frames)]


def _take(clip: Clip, indices: list[int], strategy: Strategy) -> SampledFrames:
    taken = dict(sorted(clip.read(indices), key=lambda pair: pair[0]))
    if not taken:
        raise UnreadableMediaError(f"`video` has no frame that can be read: {clip.problem}. Get a whole copy.")
    return SampledFrames(
        frames=list(taken.values()),
        indices=list(taken),
        timestamps=[clip.times[index] for index in taken],
        total=len(clip.times),
        duration=clip.duration,
        backend=clip.backend,
        strategy=strategy,
        problem=clip.problem,
    )
