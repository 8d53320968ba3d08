"""The timeline of a clip or a stream: an iterator of rows, which knows people and segments as far as it got."""

import math
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tqdm.auto import tqdm

from ...closed_set.label_set import check_labels
from ...input_error import InputError, input_errors
from ...processing.frame_sampling import ON_ERROR, OnError
from ...processing.media_limits import MediaLimits, current_limits, media_limits
from ...processing.setting_checks import check_choice, check_flag, check_integer, check_number, check_text, shown
from ...processing.video_loading import RATES
from .faces import Asked, FaceReader
from .live import live_moments
from .moments import Moment, Moments, open_moments, reading_errors
from .people import PeopleTracker
from .row import TimelinePerson, TimelineRow, TimelineSegment
from .segments import Segments

STEPS = (1e-3, 3600.0)  # seconds from moment to moment, the least and the most
MOST_AT_ONCE = 2**16
MOST_PIXELS = 2**22
"""Of the frames of a batch, which wait in memory: 12 MB, or a single frame."""


@dataclass(frozen=True)
class TimelineMoment:
    """
    Everybody at one moment.

    Args:
        time (`float`): seconds of the frame from the first one's appearance.
        rows (`list[TimelineRow]`): one a person; none where no face is found.
    """

    time: float
    rows: list[TimelineRow]


class Timeline(Iterator[TimelineRow]):
    """
    Everybody's perceived emotion over time: a generator of rows, which are made while they are asked for. Frames are
    looked at one after the other and forgotten; nothing is opened before the first row is asked for.

    ```python
    timeline = pipe.timeline("clip.mp4", every=0.2)
    for row in timeline:
        print(row["time"], row["person"], row["emotion"], row["scores"])
    timeline.segments, timeline.people
    ```

    Args:
        pipe ([`EmotionChatPipeline`]): who looks.
        clip (`VideoSource` or `Iterator`):
            What [`open_clip`] takes, or a generator of frames, each of which is what [`load_image`] takes; with `live`
            a camera's device (`"/dev/video0"`) or an `rtsp://` address.
        every (`float`, *optional*, defaults to 0.2): seconds from moment to moment, 0.001 to 3600.
        labels (`list[str]`, *optional*): label set; the pipeline's, or else `config.emotion_labels`, by default.
        question (`str`, *optional*):
            How it is asked which of the labels it is: a text with `{labels}` in it, where they are named. By default
            the processor's `prompt.closed_question`.
        attributes (`bool`, *optional*, defaults to `True`):
            Whether age, gender and race may be perceived, told and written into the prompt.
        batch_size (`int`, *optional*, defaults to 8): frames that are read together, and faces a forward.
        detect_every (`float`, *optional*, defaults to 0.5):
            Seconds after which the whole of a frame is searched for faces. In between those known are followed: who
            comes in while others are there may be seen that much later. 0 searches the whole of every frame.
        min_duration (`float`, *optional*, defaults to 0.5): seconds of the shortest segment, see [`Segments`].
        patience (`float`, *optional*, defaults to 3.0):
            Seconds for which somebody who is not seen keeps their number, see [`PeopleTracker`].
        on_error (`str`, *optional*):
            Of a damaged clip, `"raise"` or look at the readable part, `"partial"`; the video processor's by default.
        video_fps (`float`, *optional*): frames a second of what is given as frames.
        live (`bool`, *optional*, defaults to `False`):
            Whether it is a stream, of which the newest frame is looked at and those that came meanwhile never.
        limits ([`MediaLimits`], *optional*): of what is fetched and asked; the pipeline's by default.
        progress (`bool`, *optional*, defaults to `False`): whether to show a progress bar.

    Attributes:
        labels (`list[str]`): the label set.
        every (`float`): as given.
        min_duration (`float`): as given.
        partial (`bool`): whether the readable part of a damaged clip will do.
        video_fps (`float`, *optional*): as given.
        duration (`float`, *optional*): seconds of the clip; `None` as long as it is not known.

    Raises:
        `InputError`: an argument is wrong; once rows are asked for, also of what is in the clip.
        `UnreadableMediaError`: the clip or stream cannot be read, or not on.
        `OSError`: there is no such file, or it may not be opened.
    """

    def __init__(
        self,
        pipe: Asked,
        clip: Any,
        every: float = 0.2,
        *,
        labels: list[str] | None = None,
        question: str | None = None,
        attributes: bool = True,
        batch_size: int = 8,
        detect_every: float = 0.5,
        min_duration: float = 0.5,
        patience: float = 3.0,
        on_error: OnError | None = None,
        video_fps: float | None = None,
        live: bool = False,
        limits: MediaLimits | None = None,
        progress: bool = False,
    ) -> None:
        if on_error is None:
            on_error = pipe.processor.video_processor.on_error
        with input_errors(), media_limits(limits):
            check_number("every", every, *STEPS)
            check_number("detect_every", detect_every, 0, math.inf)
            check_number("min_duration", min_duration, 0, math.inf)
            check_number("patience", patience, 0, math.inf)
            check_integer("batch_size", batch_size, 1, MOST_AT_ONCE)
            check_choice("on_error", on_error, ON_ERROR)
            check_flag("live", live)
            check_flag("attributes", attributes)
            if video_fps is not None:
                check_number("video_fps", video_fps, *RATES)
            labels = check_labels(pipe.model.config.emotion_labels if labels is None else labels)
            if question is not None:
                _check_question(question)
            self._reader = FaceReader(pipe, labels, question, attributes, batch_size, detect_every)
        self.labels: list[str] = labels
        self.every = every
        self.min_duration = min_duration
        self.duration: float | None = None
        self._tracker = PeopleTracker(patience)
        self._segments = Segments(min_duration)
        self._limits = limits
        self._live = live
        self._progress = progress
        self._source: Moments | None = None
        self._stopped = False
        self.partial = on_error == "partial"
        self.video_fps = video_fps
        self._clip = clip
        self._moments = self._look()
        self._rows = (row for moment in self._moments for row in moment.rows)

    @property
    def people(self) -> list[TimelinePerson]:
        """Everybody so far, by number."""
        return self._tracker.people

    @property
    def segments(self) -> list[TimelineSegment]:
        """The segments so far, in the order in which they were certain; each person's latest still grows."""
        return self._segments.found

    @property
    def problem(self) -> str | None:
        """What could not be read so far, of a damaged clip."""
        return None if self._source is None else self._source.problem

    @property
    def perceived_names(self) -> list[str]:
        """Names of the perceived attributes that rows may have; none where these are switched off."""
        return self._reader.perceived_names

    def moments(self) -> Iterator[TimelineMoment]:
        """The same rows by moment, those moments included that show nobody."""
        return self._moments

    def __next__(self) -> TimelineRow:
        return next(self._rows)

    def close(self) -> None:
        """Look no further, and let go of the clip; what has come so far is complete."""
        self._rows.close()
        self._moments.close()
        self._segments.finish(self.duration)

    def stop(self) -> None:
        """Let the rows end after those that are being made; for signal handlers too."""
        self._stopped = True
        if self._source is not None:
            self._source.stop()

    def _look(self) -> Generator[TimelineMoment, None, None]:
        with ExitStack() as stack:
            with media_limits(self._limits):  # not while the caller has his turn, whose limits are his own
                opening = (
                    live_moments(self._clip, self.every)
                    if self._live
                    else open_moments(self._clip, self.every, self.partial, self.video_fps)
                )
                with reading_errors():
                    self._source = source = stack.enter_context(opening)
            self.duration = source.duration
            bar = stack.enter_context(self._bar())
            for batch in self._batches(iter(source)):
                yield from self._read(batch)
                bar.update(batch[-1].end - bar.n)
                if self._stopped:
                    break
            self.duration = source.duration
        self._segments.finish(self.duration)

    def _read(self, batch: list[Moment]) -> Iterator[TimelineMoment]:
        try:
            with media_limits(self._limits):
                read = self._reader.read(batch)
        except FloatingPointError as error:
            raise InputError(str(error)) from error
        for moment, faces in zip(batch, read, strict=True):
            rows: list[TimelineRow] = []
            for person, one in zip(self._tracker.follow(moment.time, [one.face for one in faces]), faces, strict=True):
                row: TimelineRow = {
                    "time": moment.time,
                    "person": person,
                    "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), one.face.box, strict=True)),
                    "emotion": max(one.scores, key=one.scores.__getitem__),
                    "scores": one.scores,
                }
                if one.perceived:
                    row["perceived"] = one.perceived
                self._segments.add(row, moment.end)
                rows.append(row)
            yield TimelineMoment(moment.time, sorted(rows, key=lambda row: row["person"]))

    def _batches(self, moments: Iterator[Moment]) -> Iterator[list[Moment]]:
        """Moments to read together; of a stream one, which is to be told at once."""
        batch: list[Moment] = []
        pixels = 0
        while True:
            with reading_errors():
                moment = next(moments, None)
            if moment is None:
                break
            batch.append(moment)
            pixels += moment.frame.width * moment.frame.height
            if self._live or len(batch) == self._reader.batch_size or pixels >= MOST_PIXELS:
                yield batch
                batch, pixels = [], 0
        if batch:
            yield batch

    def _bar(self) -> Any:
        form = "{l_bar}{bar}| {n:.1f}/{total:.1f} s [{elapsed}<{remaining}]" if self.duration else None
        return tqdm(desc="timeline", total=self.duration, unit=" s", bar_format=form, disable=not self._progress)


def _check_question(question: object) -> None:
    check_text("question", question)
    if "{labels}" not in str(question):
        raise InputError(
            f"`question` must have '{{labels}}' in it, where the labels are named, got {shown(question)}."
        )
    current_limits().check("question", str(question), "max_characters")
