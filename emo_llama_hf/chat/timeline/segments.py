"""From the scores of each moment to stretches of the same emotion."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .row import TimelineRow, TimelineSegment

ROUNDING = 1e-6  # seconds; times are sums of fractions


@dataclass
class _Moment:
    start: float
    end: float
    scores: dict[str, float]


@dataclass
class _Course:
    """One person's: the segment they are in, and what has come since that speaks against it."""

    end: float
    segment: TimelineSegment | None = None
    count: int = 0  # moments of the segment
    other: list[_Moment] = field(default_factory=list)


class Segments:
    """
    Finds the segments of each person while the rows come.

    A segment ends when its emotion has not been the likeliest for `min_duration` seconds; the next one begins where
    that time does, and its emotion is the likeliest on average over that time. What is shorter belongs to the segment
    around it. A person who is not seen for longer than `min_duration` ends a segment too.

    Args:
        min_duration (`float`): seconds.

    Attributes:
        found (`list[TimelineSegment]`):
            In the order in which they were certain; the latest of each person still grows, and may end at the latest
            moment that agrees with it.
    """

    def __init__(self, min_duration: float) -> None:
        self.min_duration = min_duration
        self.found: list[TimelineSegment] = []
        self._courses: dict[int, _Course] = {}

    def add(self, row: TimelineRow, end: float) -> None:
        """
        Take a row into account.

        Args:
            row (`TimelineRow`): the rows of a person come in order.
            end (`float`): when the moment after it begins, in seconds.
        """
        person = row["person"]
        course = self._courses.get(person)
        if course is not None and row["time"] - course.end > self.min_duration + ROUNDING:
            self._close(person, course)
            course = None
        if course is None:
            course = self._courses[person] = _Course(end)
        if course.other and row["time"] - course.other[0].start >= self.min_duration - ROUNDING:
            self._settle(person, course)
        moment = _Moment(row["time"], end, row["scores"])
        if course.segment is not None and row["emotion"] == course.segment["emotion"]:
            self._extend(course, course.segment, [*course.other, moment])
        else:
            course.other.append(moment)
        course.end = end

    def finish(self, end: float | None = None) -> None:
        """
        No more rows come.

        Args:
            end (`float`, *optional*): when the clip ends, in seconds.
        """
        for person, course in self._courses.items():
            self._close(person, course)
        self._courses = {}
        if end is not None:
            for segment in self.found:
                segment["end"] = min(segment["end"], end)

    def _close(self, person: int, course: _Course) -> None:
        """Nothing follows what has come last."""
        if not course.other:
            return
        if course.segment is None or course.end - course.other[0].start >= self.min_duration - ROUNDING:
            self._settle(person, course)
        else:
            self._extend(course, course.segment, course.other)

    def _settle(self, person: int, course: _Course) -> None:
        """What speaks against the segment has lasted: it is a new one, unless on average it speaks for the old one."""
        scores = {label: _mean([moment.scores[label] for moment in course.other]) for label in course.other[0].scores}
        emotion = max(scores, key=scores.__getitem__)
        segment = course.segment
        if segment is None or emotion != segment["emotion"]:
            start = course.other[0].start
            segment = {"person": person, "emotion": emotion, "start": start, "end": start, "score": 0.0}
            self.found.append(segment)
            course.segment, course.count = segment, 0
        self._extend(course, segment, course.other)

    @staticmethod
    def _extend(course: _Course, segment: TimelineSegment, moments: list[_Moment]) -> None:
        total = segment["score"] * course.count + sum(moment.scores[segment["emotion"]] for moment in moments)
        course.count += len(moments)
        segment["score"] = total / course.count
        segment["end"] = moments[-1].end
        course.other = []


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
