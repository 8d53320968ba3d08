"""Which of the faces found in a picture can be looked at, and the part of the picture to cut out for one."""

import math
from collections.abc import Sequence

from .face_detection import Face


def usable_faces(faces: Sequence[Face], min_size: float, min_confidence: float) -> list[Face]:
    """
    The faces that are large and certain enough to look at, in the order given.

    Args:
        faces (`Sequence[Face]`): the faces of one picture, as [`~EmoLlamaFaceDetector.detect`] gives them.
        min_size (`float`): faces whose box has a side below this many pixels are left out.
        min_confidence (`float`): faces with a confidence below this, 0 to 1, are left out.

    Raises:
        `ValueError`: `min_size` is negative or `min_confidence` outside 0..1.
    """
    if not 0 <= min_size < math.inf:
        raise ValueError(f"`min_size` must be a number of pixels from 0, got {min_size}.")
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"`min_confidence` must be from 0 to 1, got {min_confidence}.")
    return [face for face in faces if min(_sides(face)) >= min_size and face.confidence >= min_confidence]


def expand_box(box: Sequence[float], margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    """
    The part of a picture to cut out for a face: its box with a margin, as FaceXFormer's `inference.py` has it.

    Args:
        box (`Sequence[float]`): x0, y0, x1, y1 in pixels; may reach beyond the picture.
        margin (`float`):
            What is added to the box in all, half on each side, as a share of its width and height; 0.5 in
            FaceXFormer.
        width (`int`): the picture's width in pixels.
        height (`int`): the picture's height in pixels.

    Returns:
        `tuple[int, int, int, int]`: x0, y0, x1, y1, cut down to whole pixels, inside the picture and at least 1x1.

    Raises:
        `ValueError`: `box` is not four finite numbers in order, `margin` is negative or not finite, or `width` or
            `height` is below 1.
    """
    if len(box) != 4 or not all(map(math.isfinite, box)) or box[0] > box[2] or box[1] > box[3]:
        raise ValueError(f"`box` must be four finite numbers x0 <= x1 and y0 <= y1 as (x0, y0, x1, y1), got {box}.")
    if not 0 <= margin < math.inf:
        raise ValueError(f"`margin` must be a finite number from 0, got {margin}.")
    for name, side in (("width", width), ("height", height)):
        if side < 1:
            raise ValueError(f"`{name}` must be at least 1 pixel, got {side}.")
    x0, x1 = _expand_side(box[0], box[2], margin, width)
    y0, y1 = _expand_side(box[1], box[3], margin, height)
    return x0, y0, x1, y1


def _expand_side(start: float, end: float, margin: float, limit: int) -> tuple[int, int]:
    grown = (end - start) * margin / 2
    first = int(min(max(start - grown, 0), limit - 1))
    return first, int(min(max(end + grown, first + 1), limit))


def _sides(face: Face) -> tuple[float, float]:
    x0, y0, x1, y1 = face.box
    return x1 - x0, y1 - y0
