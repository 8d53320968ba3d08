"""What the pipeline tells of a visual's faces, as plain dicts."""

from ..processing.face_detection import Face
from ..processing.visual import Visual


def as_dicts(perceived: dict[str, tuple[str, float]] | None) -> dict[str, dict]:
    """Label and probability of each perceived attribute, as people read them."""
    return {name: {"label": label, "score": score} for name, (label, score) in (perceived or {}).items()}


def faces_of(visual: Visual, sources: list[str], perceived: list[dict | None]) -> list[dict]:
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
    return [
        {"timestamp": timestamp, "faces": faces} for timestamp, faces in zip(visual.timestamps, frames, strict=True)
    ]


def _faces_of_frame(visual: Visual, index: int, source: str, perceived: dict) -> list[dict]:
    chosen: Face | None = visual.faces[index] if visual.faces and source == "detected" else None
    faces = [
        _face_dict(face.box, face.confidence, face.landmarks, face is chosen, perceived)
        for face in (visual.detections[index] if visual.detections else [])
    ]
    if source == "full_frame":
        faces.append(_face_dict((0, 0, *visual.frames[index].size), None, (), True, perceived))
    return faces


def _face_dict(box, confidence: float | None, landmarks, chosen: bool, perceived: dict) -> dict:
    return {
        "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), map(float, box), strict=True)),
        "confidence": confidence,
        "landmarks": [list(point) for point in landmarks],
        "chosen": chosen,
        **({"perceived": perceived} if chosen and perceived else {}),
    }
