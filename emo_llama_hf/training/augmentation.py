"""Random changes of pictures and clips that leave the perceived emotion as it is."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw, ImageEnhance

from ..processing.face_detection import Face
from ..processing.visual import Visual
from .random_changes import RandomChanges

MIRRORED = (1, 0, 2, 4, 3)  # landmarks of a mirrored face: left and right change places


@dataclass(frozen=True, kw_only=True)
class Augmentation(RandomChanges):
    """
    Changes a visual; all frames of a clip change alike. A grey box may hide up to a sixth of the frame.

    Args:
        mirror, color, grey, erase (`float`, *optional*): see [`RandomChanges`].
        crop (`float`, *optional*, defaults to 0.1):
            Up to this part of each side is cut off, never into the chosen face.
        face_shift (`float`, *optional*, defaults to 0.1):
            The face's box moves, grows or shrinks by up to this part of its side.

    Raises:
        `InputError`: one of them lies outside 0 to 1.
    """

    crop: float = 0.1
    face_shift: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_parts("crop", "face_shift")

    def __call__(self, visual: Visual, dice: random.Random) -> Visual:
        """
        A changed copy of a visual.

        Args:
            visual ([`Visual`]): maybe with faces, which go where the pixels go.
            dice (`random.Random`): what is drawn depends on them alone.
        """
        if self.crop:
            visual = _crop(visual, [dice.uniform(0, self.crop) for _ in range(4)])
        if dice.random() < self.mirror:
            visual = _mirror(visual)
        frames = visual.frames
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            factor = dice.uniform(1 - self.color, 1 + self.color)
            frames = [enhance(frame).enhance(factor) for frame in frames]
        if dice.random() < self.grey:
            frames = [frame.convert("L").convert("RGB") for frame in frames]
        if dice.random() < self.erase:
            where = (dice.random(), dice.random(), dice.uniform(0.1, 0.4), dice.uniform(0.1, 0.4))
            frames = [_erase(frame, *where) for frame in frames]
        shift = [dice.uniform(-self.face_shift, self.face_shift) for _ in range(3)]
        return replace(
            visual,
            frames=frames,
            faces=None if visual.faces is None else [_shift(face, *shift) for face in visual.faces],
        )


def _moved(face: Face, point: Callable[[float, float], tuple[float, float]], mirrored: bool = False) -> Face:
    (x0, y0), (x1, y1) = point(*face.box[:2]), point(*face.box[2:])
    landmarks = [point(*landmark) for landmark in face.landmarks]
    if mirrored and landmarks:
        landmarks = [landmarks[index] for index in MIRRORED]
    return replace(face, box=(min(x0, x1), y0, max(x0, x1), y1), landmarks=tuple(landmarks))


def _with_faces(visual: Visual, frames: list[Image.Image], move: Callable[[Face], Face]) -> Visual:
    return replace(
        visual,
        frames=frames,
        faces=None if visual.faces is None else [face and move(face) for face in visual.faces],
        detections=None if visual.detections is None else [[move(f) for f in faces] for faces in visual.detections],
    )


def _mirror(visual: Visual) -> Visual:
    width = visual.frames[0].width
    frames = [frame.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for frame in visual.frames]
    return _with_faces(visual, frames, lambda face: _moved(face, lambda x, y: (width - x, y), mirrored=True))


def _crop(visual: Visual, parts: list[float]) -> Visual:
    """Cut parts of the left, top, right and bottom side off, but not into a chosen face."""
    width, height = visual.frames[0].size
    boxes = [face.box for face in visual.faces or [] if face is not None]
    left = int(min([parts[0] * width / 2, *(max(box[0], 0) for box in boxes)]))
    top = int(min([parts[1] * height / 2, *(max(box[1], 0) for box in boxes)]))
    right = width - int(min([parts[2] * width / 2, *(max(width - box[2], 0) for box in boxes)]))
    bottom = height - int(min([parts[3] * height / 2, *(max(height - box[3], 0) for box in boxes)]))
    frames = [frame.crop((left, top, right, bottom)) for frame in visual.frames]
    return _with_faces(visual, frames, lambda face: _moved(face, lambda x, y: (x - left, y - top)))


def _erase(frame: Image.Image, x: float, y: float, wide: float, high: float) -> Image.Image:
    frame = frame.copy()
    left, top = x * (1 - wide) * frame.width, y * (1 - high) * frame.height
    box = (left, top, left + wide * frame.width, top + high * frame.height)
    ImageDraw.Draw(frame).rectangle(box, fill=(128, 128, 128))
    return frame


def _shift(face: Face | None, right: float, down: float, grow: float) -> Face | None:
    """Move and resize a face's box; the frame's edges are respected where the box is cropped."""
    if face is None:
        return None
    x0, y0, x1, y1 = face.box
    width, height = x1 - x0, y1 - y0
    box = (
        x0 + (right - grow / 2) * width,
        y0 + (down - grow / 2) * height,
        x1 + (right + grow / 2) * width,
        y1 + (down + grow / 2) * height,
    )
    return replace(face, box=box)
