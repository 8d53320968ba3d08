"""Follow people through a stream, where only what was already seen is known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...processing.face_detection import Face
from ...processing.face_tracks import area, shift
from .row import TimelinePerson

REACH = 1.5
"""How far a face may lie from where its person is expected, in sides of the smaller of both faces."""

GROWTH = 4.0
"""How many times larger in area one of two faces of a person may be."""

FORESIGHT = 1.0
"""Seconds over which somebody is expected to go on moving as before."""


@dataclass
class _Seen:
    """Where somebody was last, and how they moved, in pixels a second."""

    face: Face
    time: float
    velocity: tuple[float, float] = (0.0, 0.0)

    def expected(self, time: float) -> Face:
        """The face moved to where it is expected now."""
        ahead = min(time - self.time, FORESIGHT)
        dx, dy = (speed * ahead for speed in self.velocity)
        x0, y0, x1, y1 = self.face.box
        return replace(self.face, box=(x0 + dx, y0 + dy, x1 + dx, y1 + dy))

    def moved_to(self, face: Face, time: float) -> "_Seen":
        """The same person here and now."""
        past = time - self.time
        if not 0 < past <= FORESIGHT:
            return _Seen(face, time)
        steps = [(b - a) / past for a, b in zip(_centre(self.face), _centre(face), strict=True)]
        x, y = ((old + new) / 2 for old, new in zip(self.velocity, steps, strict=True))  # boxes jitter
        return _Seen(face, time, (x, y))


class PeopleTracker:
    """
    Gives faces the numbers of people by place, movement and size; whose face it is by its looks, it does not know.

    Whoever is not seen for a while and is then found near where they were keeps their number. Faces are given to the
    people seen at the moment before first, the nearest to where they are expected first of all, then to those who have
    been away; the others are new people, numbered in order of appearance.

    Args:
        patience (`float`): seconds for which somebody who is not seen is waited for; a moment at least.

    Attributes:
        people (`list[TimelinePerson]`): everybody so far, by number.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.people: list[TimelinePerson] = []
        self._seen: dict[int, _Seen] = {}
        self._before = -math.inf  # the moment before

    def follow(self, time: float, faces: Sequence[Face]) -> list[int]:
        """
        Who the faces of a moment are.

        Args:
            time (`float`): seconds, more than at the moment before.
            faces (`list[Face]`): found at that moment.

        Returns:
            `list[int]`: the number of each face's person.
        """
        oldest = min(time - self.patience, self._before)
        self._seen = {person: seen for person, seen in self._seen.items() if seen.time >= oldest}
        owners: dict[int, int] = {}  # by the face's place in the list
        for away in (False, True):
            pairs = sorted(
                (shift(expected, face), person, index)
                for person, seen in self._seen.items()
                if (seen.time < self._before) == away
                for expected in [seen.expected(time)]
                for index, face in enumerate(faces)
                if index not in owners and _alike(expected, face)
            )
            taken: set[int] = set()
            for distance, person, index in pairs:
                if distance <= REACH and person not in taken and index not in owners:
                    owners[index] = person
                    taken.add(person)
        for index, face in enumerate(faces):
            person = owners.setdefault(index, len(self.people))
            if person == len(self.people):
                self.people.append({"person": person, "first": time, "last": time, "moments": 0})
            seen = self._seen.get(person)
            self._seen[person] = _Seen(face, time) if seen is None else seen.moved_to(face, time)
            self.people[person]["last"] = time
            self.people[person]["moments"] += 1
        self._before = time
        return [owners[index] for index in range(len(faces))]


def _alike(first: Face, second: Face) -> bool:
    """Whether two faces' sizes can be one person's."""
    smaller, larger = sorted((area(first), area(second)))
    return larger <= GROWTH * smaller


def _centre(face: Face) -> tuple[float, float]:
    return (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
