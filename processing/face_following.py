"""Find faces again, a moment later, near where they were: much less to look at than a whole frame."""

from collections.abc import Sequence

from PIL import Image

from .face_detection import EmoLlamaFaceDetector, Face
from .face_tracks import area, shift

MOST_MOVED = 0.5
"""How far a face may have moved, in its sides."""

MOST_GROWN = 2.0
"""How many times larger, or smaller, its area may have become."""


def follow_faces(detector: EmoLlamaFaceDetector, frame: Image.Image, faces: Sequence[Face]) -> list[Face] | None:
    """
    The same faces in the next frame.

    Args:
        detector ([`EmoLlamaFaceDetector`])
        frame (`PIL.Image.Image`): RGB.
        faces (`list[Face]`): of the frame before.

    Returns:
        `list[Face]`: the faces now, largest box first; `None` where one is lost, or two have become one: the whole
        frame must be looked at.
    """
    found: list[Face] = []
    for face, candidates in zip(faces, detector.detect_near(frame, faces), strict=True):
        alike = [candidate for candidate in candidates if _is_next(face, candidate)]
        if not alike:
            return None
        nearest = min(alike, key=lambda candidate: shift(face, candidate))
        if any(_is_next(nearest, other) for other in found):
            return None
        found.append(nearest)
    return sorted(found, key=area, reverse=True)


def _is_next(face: Face, candidate: Face) -> bool:
    """Whether a face may be another one a moment later."""
    smaller, larger = sorted((area(face), area(candidate)))
    return shift(face, candidate) <= MOST_MOVED and larger <= MOST_GROWN * smaller
