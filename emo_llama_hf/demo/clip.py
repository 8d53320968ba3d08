"""A video: its timeline while it is made, and what the pipeline says of each person in it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..chat.pipeline import EmotionChatPipeline
from ..chat.timeline.files import timeline_files
from ..chat.timeline.row import TimelineRow
from ..chat.timeline.timeline import Timeline
from ..chat_message import VisualKind
from ..input_error import InputError
from ..processing.face_detection import Face
from ..processing.frame_sampling import frames_at
from ..processing.visual import Visual
from .limits import DemoLimits
from .person import Person
from .words import NO_FACE

PATIENCE = 0.7  # seconds between two views of a timeline that is being made


@dataclass(frozen=True)
class Clip:
    """
    A video that is being looked at, or was; see [`Shown`].

    Args:
        pipe ([`EmotionChatPipeline`])
        path (`str`): of the file.
        timeline ([`Timeline`])
        rows (`list[TimelineRow]`): so far.
        attributes (`bool`): whether age, gender and race may be perceived.
        max_people (`int`): how many people have a name, those seen most.
    """

    pipe: EmotionChatPipeline
    path: str
    timeline: Timeline
    rows: list[TimelineRow]
    attributes: bool
    max_people: int
    kind: VisualKind = field(default="video", init=False)
    _looked: dict[int, Person] = field(default_factory=dict, init=False)

    @cached_property
    def numbers(self) -> list[int]:
        """Of the people with a name, in the timeline."""
        most = sorted(self.timeline.people, key=lambda person: -person["moments"])[: self.max_people]
        return sorted(person["person"] for person in most)

    @property
    def names(self) -> list[str]:
        """By the number that is drawn on the video."""
        people = {person["person"]: person for person in self.timeline.people}
        spans = [(number, people[number]["first"], people[number]["last"]) for number in self.numbers]
        return [f"person {number}: {first:.1f} to {last:.1f} s" for number, first, last in spans] or ["no face found"]

    @property
    def notes(self) -> list[str]:
        """See [`Shown`]."""
        notes = [] if self.numbers else [NO_FACE]
        if self.timeline.problem is not None:
            notes.append(f"The video is damaged, a part of it was looked at: {self.timeline.problem}")
        everybody = len(self.timeline.people)
        if everybody > self.max_people:
            notes.append(f"There are {everybody} people; you can ask about the {self.max_people} who are seen most.")
        return notes

    @property
    def most_seen(self) -> int:
        """The number of the name of whoever is seen most."""
        moments = {person["person"]: person["moments"] for person in self.timeline.people}
        return max(range(len(self.numbers)), key=lambda i: moments[self.numbers[i]], default=0)

    def person(self, index: int) -> Person:
        """See [`Shown`]; asked about at moments that show them."""
        if index not in self._looked:
            visual = self._visual(self.numbers[index]) if self.numbers else self._nobody()
            settings = {} if self.attributes else {"attributes": False}
            result = self.pipe({"video": visual}, return_perceived=True, max_new_tokens=1, **settings)
            self._looked[index] = Person(visual, result)
        return self._looked[index]

    def _nobody(self) -> Visual:
        visual: Visual = self.pipe.processor.load_visual(self.path, True, on_error="partial")
        nothing: list[list[Face]] = [[] for _ in visual.frames]
        return Visual(visual.frames, visual.timestamps, True, detections=nothing, faces=[None] * len(nothing))

    def _visual(self, number: int) -> Visual:
        rows = [row for row in self.rows if row["person"] == number]
        most = min(self.pipe.processor.video_processor.num_frames, len(rows))
        rows = [rows[i * (len(rows) - 1) // max(most - 1, 1)] for i in range(most)]
        times = [row["time"] for row in rows]
        frames = frames_at(self.path, times, "partial")
        finder = self.pipe.processor.faces
        if finder.detector is None:
            return Visual(frames, times, True)
        detections = finder.detect(frames)
        faces = [_face_at(row, found) for row, found in zip(rows, detections, strict=True)]
        return Visual(frames, times, True, detections=detections, faces=faces)


def look_at_clip(
    pipe: EmotionChatPipeline, path: str, limits: DemoLimits, attributes: bool, rows: Path, annotated: Path
) -> Iterator[Clip]:
    """
    Look at a video moment by moment: the same [`Clip`] now and then, and at last once all of it is known.

    Args:
        pipe ([`EmotionChatPipeline`])
        path (`str`): of the file.
        limits ([`DemoLimits`])
        attributes (`bool`): whether age, gender and race may be perceived.
        rows (`Path`): where the timeline's rows are written, see [`timeline_files`].
        annotated (`Path`): where the annotated video is written, unless its sound cannot go there.

    Raises:
        `InputError`, `UnreadableMediaError`, `OSError`: the file is no video, damaged, or longer than allowed.
    """
    timeline = pipe.timeline(path, limits.every, attributes=attributes, on_error="partial")
    seen: list[TimelineRow] = []
    told = time.monotonic()
    with ExitStack() as stack:
        try:
            files = timeline_files(timeline, path, output=rows, annotated_video=annotated)
            tell = stack.enter_context(files)
        except InputError:  # sound that an MP4 file cannot hold; whatever else is wrong is told now
            tell = stack.enter_context(timeline_files(timeline, path, output=rows))
        for moment in timeline.moments():
            if (timeline.duration or 0) > limits.max_seconds:
                raise InputError(
                    f"The video takes {timeline.duration:.0f} seconds, and this page looks at up to "
                    f"{limits.max_seconds:g}: cut a part out."
                )
            tell(moment)
            seen += moment.rows
            if time.monotonic() - told > PATIENCE:
                yield Clip(pipe, path, timeline, seen, attributes, limits.max_people)
                told = time.monotonic()
    yield Clip(pipe, path, timeline, seen, attributes, limits.max_people)


def _face_at(row: TimelineRow, found: list[Face]) -> Face | None:
    """The face that overlaps a row's box most."""
    x0, y0, x1, y1 = row["box"].values()

    def overlap(face: Face) -> float:
        left, top, right, bottom = face.box
        return max(min(x1, right) - max(x0, left), 0) * max(min(y1, bottom) - max(y0, top), 0)

    best = max(found, key=overlap, default=None)
    return best if best is not None and overlap(best) > 0 else None
