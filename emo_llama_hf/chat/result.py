"""What the pipeline tells of a visual's faces, as plain dicts."""

from collections.abc import Sequence
from typing import TypeAlias, TypedDict, final

from PIL import Image

from ..processing.face_detection import Face
from ..processing.visual import Visual

# Perceived age, gender and race by name, each with its probability.
Perceived: TypeAlias = dict[str, tuple[str, float]]


class PerceivedAttribute(TypedDict):
    """
    What is perceived of a person.

    Args:
        label (`str`): the likeliest class.
        score (`float`): its probability.
    """

    label: str
    score: float


class _Face(TypedDict):
    box: dict[str, float]
    confidence: float | None
    landmarks: list[list[float]]
    chosen: bool


class ResultFace(_Face, total=False):
    """
    One face of a picture or frame.

    Args:
        box (`dict[str, float]`): `xmin`, `ymin`, `xmax`, `ymax`, in pixels.
        confidence (`float`, *optional*): the detector's probability of a face; `None` for a whole frame.
        landmarks (`list[list[float]]`): five points x, y, see [`Face`]; none for a whole frame.
        chosen (`bool`): whether it is the face that was looked at.
        perceived (`dict[str, PerceivedAttribute]`): age, gender and race; of the chosen face only.
    """

    perceived: dict[str, PerceivedAttribute]


class ResultFrame(TypedDict):
    """
    One sampled frame of a clip.

    Args:
        timestamp (`float`): seconds from the clip's start.
        faces (`list[ResultFace]`)
    """

    timestamp: float
    faces: list[ResultFace]


class _Result(TypedDict):
    generated_text: str | list[str]
    emotion: str | None
    scores: dict[str, float]
    faces: list[ResultFace] | list[ResultFrame]
    face_sources: list[str]
    num_frames: int


@final
class EmotionResult(_Result, total=False):
    """
    What the pipeline says of one person, see [`EmotionChatPipeline`].

    Args:
        generated_text (`str` or `list[str]`): the answer, or several where several were asked for.
        emotion (`str`, *optional*): the likeliest label; `None` where a face was looked for and none was found.
        scores (`dict[str, float]`): probability of each label.
        faces (`list[ResultFace]` or `list[ResultFrame]`): of a picture, or of each sampled frame of a clip.
        face_sources (`list[str]`): what each frame's face crop is: `"detected"`, `"full_frame"` or `"none"`.
        num_frames (`int`): sampled frames.
        problem (`str`): what could not be read of a damaged clip; only there.
        perceived (`dict[str, PerceivedAttribute]`): of the whole input; only where it was asked for.
        annotated (`PIL.Image.Image` or `list[PIL.Image.Image]`): the drawn result; only where it was asked for.
    """

    problem: str
    perceived: dict[str, PerceivedAttribute]
    annotated: Image.Image | list[Image.Image]


@final
class ErrorResult(TypedDict):
    """
    What the pipeline says of an input that it cannot answer.

    Args:
        error (`str`): why.
    """

    error: str


def as_dicts(perceived: Perceived | None) -> dict[str, PerceivedAttribute]:
    """
    Label and probability of each perceived attribute, as people read them.

    Args:
        perceived (`dict[str, tuple[str, float]]`, *optional*): from `perceived_attributes` of the model.
    """
    return {name: {"label": label, "score": score} for name, (label, score) in (perceived or {}).items()}


def faces_of(
    visual: Visual, sources: Sequence[str], perceived: Sequence[Perceived | None]
) -> list[ResultFace] | list[ResultFrame]:
    """
    The faces of a picture, or `{"timestamp", "faces"}` of each frame of a clip.

    Args:
        visual ([`Visual`]): with its faces found.
        sources (`list[str]`): of each frame, from [`~FaceFinder.sources`].
        perceived (`list[dict | None]`): attributes of each frame's chosen face, by name the label and its probability.
    """
    frames = [
        _faces_of_frame(visual, index, source, as_dicts(attributes))
        for index, (source, attributes) in enumerate(zip(sources, perceived, strict=True))
    ]
    if not visual.is_video:
        return frames[0]
    seen = zip(visual.timestamps, frames, strict=True)
    return [ResultFrame(timestamp=timestamp, faces=faces) for timestamp, faces in seen]


def _faces_of_frame(
    visual: Visual, index: int, source: str, perceived: dict[str, PerceivedAttribute]
) -> list[ResultFace]:
    chosen: Face | None = visual.faces[index] if visual.faces and source == "detected" else None
    faces = [
        _face_dict(face.box, face.confidence, face.landmarks, face is chosen, perceived)
        for face in (visual.detections[index] if visual.detections else [])
    ]
    if source == "full_frame":
        faces.append(_face_dict((0, 0, *visual.frames[index].size), None, (), True, perceived))
    return faces


def _face_dict(
    box: Sequence[float],
    confidence: float | None,
    landmarks: Sequence[tuple[float, ...]],
    chosen: bool,
    perceived: dict[str, PerceivedAttribute],
) -> ResultFace:
    face: ResultFace = {
        "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), map(float, box), strict=True)),
        "confidence": confidence,
        "landmarks": [list(point) for point in landmarks],
        "chosen": chosen,
    }
    if chosen and perceived:
        face["perceived"] = perceived
    return face
