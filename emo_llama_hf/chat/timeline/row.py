"""What a timeline tells, as plain dicts."""

from typing import TypedDict, final

from ..result import PerceivedAttribute


class _Row(TypedDict):
    time: float
    person: int
    box: dict[str, float]
    emotion: str
    scores: dict[str, float]


@final
class TimelineRow(_Row, total=False):
    """
    One person at one moment.

    Args:
        time (`float`): seconds of the frame from the first one's appearance.
        person (`int`): who it is, see [`PeopleTracker`].
        box (`dict[str, float]`): `xmin`, `ymin`, `xmax`, `ymax` of the face, in pixels.
        emotion (`str`): the likeliest label.
        scores (`dict[str, float]`): probability of each label.
        perceived (`dict[str, PerceivedAttribute]`): age, gender and race, unless attributes are switched off.
    """

    perceived: dict[str, PerceivedAttribute]


@final
class TimelinePerson(TypedDict):
    """
    Whoever was followed.

    Args:
        person (`int`): their number.
        first (`float`): seconds of the first moment that shows them.
        last (`float`): seconds of the last one.
        moments (`int`): how many moments show them.
    """

    person: int
    first: float
    last: float
    moments: int


@final
class TimelineSegment(TypedDict):
    """
    A stretch of time over which a person's perceived emotion stays the same.

    Args:
        person (`int`): their number.
        emotion (`str`): the label.
        start (`float`): seconds at which it begins.
        end (`float`): seconds at which it ends.
        score (`float`): mean probability of the label over the stretch.
    """

    person: int
    emotion: str
    start: float
    end: float
    score: float
