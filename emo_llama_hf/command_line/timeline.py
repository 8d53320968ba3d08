"""The command `emo-llama timeline`."""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm.auto import tqdm

from ..chat.questions import fetched
from ..chat.timeline.file_view import view_of
from ..chat.timeline.files import timeline_files
from ..chat.timeline.row import TimelineSegment
from ..chat.timeline.timeline import Timeline
from ..input_error import InputError
from ..processing.frame_sampling import OnError
from ..processing.media_limits import MediaLimits, media_limits
from ..processing.media_source import UnreadableMediaError
from .model_options import ModelOptions
from .options import AllowPrivate, AsJson, BatchSize, Labels, NoAttributes


def timeline(
    clip: Annotated[
        str,
        typer.Argument(metavar="CLIP", help="video, a path or a URL; with --live /dev/video0, say, or rtsp://..."),
    ],
    model: ModelOptions,
    every: Annotated[float, typer.Option(metavar="S", help="seconds from moment to moment")] = 0.2,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="save all rows: .csv, .parquet, or .json with people, segments")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="save a picture of the scores over time: .png")
    ] = None,
    annotated_video: Annotated[
        Path | None,
        typer.Option("--video", metavar="FILE", help="save the clip with what was found on it: .mp4, .mov, .mkv"),
    ] = None,
    labels: Labels = None,
    question: Annotated[
        str | None,
        typer.Option(metavar="Q", help="ask which of the labels it is in these words, with {labels} in them"),
    ] = None,
    no_attributes: NoAttributes = False,
    detect_every: Annotated[
        float,
        typer.Option(metavar="S", help="seconds after which all of a frame is searched for faces; 0: of every frame"),
    ] = 0.5,
    min_duration: Annotated[
        float, typer.Option(metavar="S", help="seconds of the shortest change that is told")
    ] = 0.5,
    patience: Annotated[
        float, typer.Option(metavar="S", help="seconds for which somebody who is not seen keeps their number")
    ] = 3.0,
    batch_size: BatchSize = 8,
    on_error: Annotated[
        OnError | None, typer.Option(help="what to do about a damaged clip (default: the model's)")
    ] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="follow a camera or an RTSP address until Ctrl-C; frames it is late for are left out"
        ),
    ] = False,
    allow_private: AllowPrivate = False,
    as_json: AsJson = False,
) -> int:
    """Tell when the perceived emotion of each person in a video changes."""
    if live and annotated_video is not None:
        raise InputError("`annotated_video` needs a clip that can be read twice: leave it out with `live`.")
    pipe = model.pipeline()
    limits = MediaLimits(allow_private=allow_private)
    lost: UnreadableMediaError | None = None
    with media_limits(limits), nullcontext(clip) if live else fetched(clip) as source:
        found = pipe.timeline(
            view_of(source),
            every,
            labels=labels,
            question=question,
            attributes=not no_attributes,
            batch_size=batch_size,
            detect_every=detect_every,
            min_duration=min_duration,
            patience=patience,
            on_error=on_error,
            live=live,
            limits=limits,
            progress=not live,
        )
        changes = _Changes(as_json)
        with timeline_files(found, source, output, plot, annotated_video) as tell:
            try:
                with _ended_by_interrupt(found) if live else nullcontext():
                    for moment in found.moments():
                        tell(moment)
                        changes.tell(found.segments)
            except UnreadableMediaError as error:
                if not live or not found.people:
                    raise
                lost = error  # what was seen until then is kept
        changes.tell(found.segments)
    if lost is not None:
        raise lost
    if found.problem is not None:
        print(f"damaged: {found.problem}", file=sys.stderr)
    if not found.people:
        print("No face was found.", file=sys.stderr)
    return 0


class _Changes:
    """Prints what each person's emotion changes to, once that is certain."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._told = 0
        self._before: dict[int, str] = {}

    def tell(self, segments: list[TimelineSegment]) -> None:
        for segment in segments[self._told :]:
            person, before = segment["person"], self._before.get(segment["person"])
            self._before[person] = segment["emotion"]
            change = {"time": segment["start"], "person": person, "emotion": segment["emotion"], "before": before}
            with tqdm.external_write_mode():
                print(json.dumps(change) if self._as_json else _describe(change), flush=True)
        self._told = len(segments)


def _describe(change: dict[str, Any]) -> str:
    before = "" if change["before"] is None else f", before {change['before']}"
    return f"{change['time']:9.2f} s  person {change['person']}: perceived {change['emotion']}{before}"


@contextmanager
def _ended_by_interrupt(found: Timeline) -> Iterator[None]:
    """The first Ctrl-C ends a stream as if it was over, so that its files are kept; the second interrupts as ever."""
    if threading.current_thread() is not threading.main_thread():  # which alone is told of signals
        yield
        return

    def stop(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)
        found.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
