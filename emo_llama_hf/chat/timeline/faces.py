"""The faces that frames show, and how probable each label is of each of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from PIL import Image

from ...closed_set.question import closed_prompt, closed_question
from ...processing.face_detection import Face
from ...processing.visual import Visual
from ..result import PerceivedAttribute, as_dicts
from ..subject import Subject
from .moments import Moment


class Asked(Protocol):
    """What of an [`EmotionChatPipeline`], which itself knows the timeline, is needed to ask about faces."""

    model: Any
    processor: Any

    def pixels_of(self, visual: Visual) -> dict[str, torch.Tensor]: ...

    def scored(self, subjects: list[Subject]) -> tuple[list[Subject], list[list[float]], dict[str, Any]]: ...

    def device_placement(self) -> Any: ...

    def get_inference_context(self) -> Any: ...


@dataclass(frozen=True)
class ReadFace:
    """
    One face of a frame.

    Args:
        face ([`Face`]): where it is.
        scores (`dict[str, float]`): probability of each label.
        perceived (`dict[str, PerceivedAttribute]`): age, gender and race; empty where they are not looked at.
    """

    face: Face
    scores: dict[str, float]
    perceived: dict[str, PerceivedAttribute]


class FaceReader:
    """
    Looks for the faces of frames, and asks the closed question about each as the pipeline does about a picture.

    Args:
        pipe ([`EmotionChatPipeline`])
        labels (`list[str]`): the label set.
        phrasing (`str`, *optional*): see [`closed_question`].
        attributes (`bool`): whether age, gender and race may be looked at.
        batch_size (`int`): faces a forward.
        detect_every (`float`):
            Seconds after which the whole of a frame is searched for faces; those known are followed in between.
    """

    def __init__(
        self,
        pipe: Asked,
        labels: list[str],
        phrasing: str | None,
        attributes: bool,
        batch_size: int,
        detect_every: float,
    ) -> None:
        self.pipe = pipe
        self.labels = labels
        self.attributes = attributes
        self.batch_size = batch_size
        self.detect_every = detect_every
        self._known: list[Face] = []  # the faces of the frame before
        self._due = 0.0  # when the whole frame is searched next, in the clip's seconds
        self._prompt = closed_prompt(pipe.processor, "image", labels, phrasing)
        self._question = closed_question("image", labels, phrasing or pipe.processor.prompt.closed_question)

    @property
    def perceived_names(self) -> list[str]:
        """Names of the perceived attributes that are looked at."""
        face_config = self.pipe.model.config.face_config
        wanted = self.attributes and self.pipe.processor.prompt.use_attributes and face_config is not None
        return [*face_config.perceived_labels] if wanted else []

    def read(self, moments: Sequence[Moment]) -> list[list[ReadFace]]:
        """
        The faces of each frame.

        Args:
            moments (`list[Moment]`): those that come after the ones read before.
        """
        shown = [
            self._people(moment.frame, faces) for moment, faces in zip(moments, self._detected(moments), strict=True)
        ]
        people = [visual for visuals in shown for visual in visuals]
        read = iter(
            [
                one
                for start in range(0, len(people), self.batch_size)
                for one in self._scored(people[start : start + self.batch_size])
            ]
        )
        return [[next(read) for _ in visuals] for visuals in shown]

    def _detected(self, moments: Sequence[Moment]) -> Iterator[list[Face] | None]:
        """The faces of each frame; `None` where none is looked for."""
        if self.pipe.processor.faces.detector is None:
            yield from [None] * len(moments)
            return
        moments = list(moments)
        while moments:
            if self._known and moments[0].time < self._due:
                followed = self.pipe.processor.faces.follow(moments[0].frame, self._known)
                if followed is not None:
                    self._known = followed
                    yield followed
                    del moments[0]
                    continue
            yield from self._searched(moments)

    def _searched(self, moments: list[Moment]) -> Iterator[list[Face]]:
        """The faces in the whole of the first frame, or of all where none is to be followed; they leave the list."""
        together = moments[:1] if self.detect_every else moments[:]
        del moments[: len(together)]
        for moment, faces in zip(together, self.pipe.processor.faces.detect([m.frame for m in together]), strict=True):
            self._known, self._due = faces, moment.time + self.detect_every
            yield faces

    def _people(self, frame: Image.Image, faces: list[Face] | None) -> list[Visual]:
        """One visual a person; the whole frame where no face is looked for, or where it is taken for one."""
        visual = Visual(frames=[frame], timestamps=[0.0], is_video=False)
        if faces is None:
            return [visual]
        visual = replace(visual, detections=[faces], faces=[faces[0] if faces else None])
        if self.pipe.processor.faces.sources(visual) == ["full_frame"]:
            return [replace(visual, faces=[None])]
        return [replace(visual, faces=[face]) for face in faces]

    def _scored(self, visuals: list[Visual]) -> list[ReadFace]:
        subjects = [
            Subject(
                visuals=[visual],
                pixels=[self.pipe.pixels_of(visual)],
                prompt=self._prompt,
                questions=[self._question],
                closed_prompt=self._prompt,
                closed_question=self._question,
                labels=self.labels,
                attributes=None if self.attributes else False,
                perceived=[None],
                perceived_frames=[None],
            )
            for visual in visuals
        ]
        with self.pipe.device_placement(), self.pipe.get_inference_context()():
            subjects, scores, _ = self.pipe.scored(subjects)
        return [
            ReadFace(
                face=_face_of(visual),
                scores=dict(zip(self.labels, row, strict=True)),
                perceived=as_dicts(subject.perceived[0]),
            )
            for visual, subject, row in zip(visuals, subjects, scores, strict=True)
        ]


def _face_of(visual: Visual) -> Face:
    """The face of a visual of one frame; the whole frame, where that is taken for one."""
    face = visual.faces[0] if visual.faces else None
    width, height = visual.frames[0].size
    return face or Face((0.0, 0.0, float(width), float(height)), 1.0, ())
