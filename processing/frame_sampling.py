"""Chooses a few frames of a clip."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, get_args

from PIL import Image

from .clip import Clip, TimesChangedError
from .frame_indices import count_at_rate, evenly_in_time, evenly_spaced
from .media_source import UnreadableMediaError
from .video_loading import VideoSource, open_clip

Strategy = Literal["uniform", "fps", "face"]
STRATEGIES = get_args(Strategy)
ON_ERROR = ("raise", "partial")

CANDIDATES_PER_FRAME = 4  # frames searched for a face, for each frame wanted
FACE_BATCH = 8  # candidate frames in memory at a time


@dataclass(frozen=True)
class SampledFrames:
    """
    Frames of a clip, in order.

    Attributes:
        frames: RGB images, upright.
        timestamps: when each appears, in seconds from the clip's first frame; frame numbers if the clip was given as
            frames without `video_fps`.
        duration: length of the clip in seconds; None for a single frame of unknown length, or frames without a rate.
        strategy: how the frames were chosen: "uniform" if "face" was asked for and no face was found.
        problem: what could not be read of a damaged clip (`on_error="partial"`); None for an intact clip.
    """

    frames: list[Image.Image]
    timestamps: list[float]
    duration: float | None
    strategy: Strategy = "uniform"
    problem: str | None = None


def sample_frames(
    video: VideoSource,
    strategy: Strategy = "uniform",
    num_frames: int = 8,
    fps: float | None = None,
    max_frames: int | None = None,
    has_face: Callable[[list[Image.Image]], Sequence[bool]] | None = None,
    on_error: Literal["raise", "partial"] = "raise",
    video_fps: float | None = None,
) -> SampledFrames:
    """
    Choose frames of a clip, decoding little more than those and holding no others.

    Args:
        video: what `open_clip` takes: path, URL, bytes, file object, array or list of frames, animated picture.
        strategy: one of

            - `"uniform"`: the `num_frames` frames on screen at the centres of as many equal spans of time;
            - `"fps"`: as uniform, with `fps` frames for each second, at most `max_frames`;
            - `"face"`: `num_frames` frames spread over those with a face, out of four times as many candidates spread
              uniformly; uniform if none of them has a face.

            A clip with fewer frames gives each of them once.
        num_frames: number of frames for `"uniform"` and `"face"`.
        fps: frames a second for `"fps"`.
        max_frames: upper limit for `"fps"`; None sets none.
        has_face: for `"face"`: tells of each of up to 8 frames whether it shows a face.
        on_error: of a damaged or cut-off clip, `"raise"` an error or sample the readable part, `"partial"`.
        video_fps: frames a second of a clip given as frames.

    Raises:
        UnreadableMediaError: empty, audio only, damaged, cut off, of no known format, unreachable, or without frames.
        FileNotFoundError, IsADirectoryError, PermissionError: no such file, or it may not be opened.
        ValueError: a setting out of range or missing.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"`strategy` is {strategy!r}. Choose 'uniform', 'fps' or 'face'.")
    if on_error not in ON_ERROR:
        raise ValueError(f"`on_error` is {on_error!r}. Choose 'raise' or 'partial'.")
    if strategy == "fps" and fps is None:
        raise ValueError("`fps` is missing. Give the frames a second for strategy='fps'.")
    if strategy == "face" and has_face is None:
        raise ValueError("`has_face` is missing. Give a function that finds faces for strategy='face'.")
    for name, count in (("num_frames", num_frames), ("max_frames", max_frames)):
        if count is not None and (isinstance(count, bool) or int(count) != count or count < 1):
            raise ValueError(f"`{name}` is {count!r}. Give a whole number from 1 up.")
    for name, rate in (("fps", fps), ("video_fps", video_fps)):
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"`{name}` is {rate!r}. Give a number of frames a second above 0.")

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


def frames_at(
    video: VideoSource,
    timestamps: Sequence[float],
    on_error: Literal["raise", "partial"] = "raise",
    video_fps: float | None = None,
) -> list[Image.Image]:
    """
    The frames of a clip that appear at these times, or next to them: `SampledFrames.frames` again, by their times.

    Args:
        video, on_error, video_fps: as in `sample_frames`, which raises the same errors.
        timestamps: increasing, in seconds from the clip's first frame.
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


def _indices_with_face(
    clip: Clip, num_frames: int, has_face: Callable[[list[Image.Image]], Sequence[bool]]
) -> list[int]:
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
        timestamps=[clip.times[index] for index in taken],
        duration=clip.duration,
        strategy=strategy,
        problem=clip.problem,
    )
