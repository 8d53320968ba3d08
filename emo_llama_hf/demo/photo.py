"""A photo: everybody on it, from left to right, and what the pipeline says of each."""

from dataclasses import dataclass, field, replace

from ..chat.pipeline import EmotionChatPipeline
from ..chat_message import VisualKind
from ..input_error import input_errors
from ..processing.face_finder import FaceFinder
from ..processing.visual import Visual
from .limits import DemoLimits
from .person import Person
from .words import NO_FACE

TOGETHER = 8  # people in a forward


@dataclass(frozen=True)
class Photo:
    """
    A photo that was looked at, see [`Shown`].

    Args:
        people (`list[Person]`): from left to right; one without a face where there is nobody.
        attributes (`bool`): whether age, gender and race may be perceived.
        notes (`list[str]`)
    """

    people: list[Person]
    attributes: bool
    notes: list[str]
    kind: VisualKind = field(default="image", init=False)

    @property
    def names(self) -> list[str]:
        """By number, with the emotion that tells them apart."""
        results = [person.result for person in self.people]
        return [f"person {i}: {one['emotion'] or 'no face found'}" for i, one in enumerate(results)]

    def person(self, index: int) -> Person:
        """See [`Shown`]."""
        return self.people[index]

    def person_at(self, x: float, y: float) -> int | None:
        """
        Whose face is at a place.

        Args:
            x, y (`float`): pixels.
        """
        for index, person in enumerate(self.people):
            left, top, right, bottom = _box(person.visual)
            if left <= x <= right and top <= y <= bottom:
                return index
        return None


def look_at_photo(pipe: EmotionChatPipeline, path: str, limits: DemoLimits, attributes: bool) -> Photo:
    """
    Look for everybody's face on a photo, and ask the closed question about each.

    Args:
        pipe ([`EmotionChatPipeline`])
        path (`str`): of the file.
        limits ([`DemoLimits`])
        attributes (`bool`): whether age, gender and race may be perceived.

    Raises:
        `InputError`, `OSError`: the file is no picture, or damaged.
    """
    finder = pipe.processor.faces
    everybody = FaceFinder(finder.detector, replace(finder.settings, face_choice="all"))
    with input_errors():
        found = everybody.find([pipe.processor.load_visual(path)])
    looked = sorted(found[: limits.max_people], key=_box)
    settings = {} if attributes else {"attributes": False}
    results = pipe(
        [{"image": visual} for visual in looked],
        batch_size=min(len(looked), TOGETHER),
        on_error="raise",
        return_perceived=True,
        max_new_tokens=1,  # answers come when they are asked for
        **settings,
    )
    notes = [NO_FACE] if results[0]["emotion"] is None else []
    if len(found) > len(looked):
        notes.append(f"There are {len(found)} faces; the {len(looked)} largest are looked at.")
    people = [Person(visual, result) for visual, result in zip(looked, results, strict=True)]
    return Photo(people, attributes, notes)


def _box(visual: Visual) -> tuple[float, ...]:
    face = (visual.faces or [None])[0]
    return (-1.0, -1.0, -1.0, -1.0) if face is None else tuple(face.box)
