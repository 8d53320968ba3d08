"""Draw what the pipeline found on the picture."""

from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from .result import ResultFace

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

COLOR = (255, 196, 0)
PLATE = (0, 0, 0)
SMALLEST_FONT = 9  # pixels; still legible


def annotate_frame(frame: Image.Image, faces: list[ResultFace], caption: str = "") -> Image.Image:
    """
    A copy of an RGB frame with each face's box, landmarks and perceived attributes, and a caption at its chosen face.

    Args:
        frame (`PIL.Image.Image`): the frame.
        faces (`list[ResultFace]`): the frame's faces, as the pipeline's results have them.
        caption (`str`, *optional*): the perceived emotion; written at the top where there is no face.
    """
    picture = frame.convert("RGB")
    draw = ImageDraw.Draw(picture)
    unit = max(min(picture.size) / 150, 1.0)  # line and text sizes follow the picture's
    size = max(5 * unit, SMALLEST_FONT)
    font = ImageFont.load_default(size=size)
    for face in faces:
        left, top, right, bottom = face["box"].values()
        draw.rectangle(
            (left, top, right, bottom), outline=COLOR, width=round(unit if face["chosen"] else unit / 2) or 1
        )
        for x, y in face["landmarks"]:
            draw.ellipse((x - unit, y - unit, x + unit, y + unit), fill=COLOR)
        if face["chosen"]:
            perceived = [value["label"] for value in face.get("perceived", {}).values()]
            _write(
                draw,
                (left, bottom + 2 * unit),
                "perceived " + ", ".join(perceived) if perceived else "",
                font,
                size / 6,
            )
            _write(draw, (left, top - 8 * unit), caption, font, size / 6)
    if not any(face["chosen"] for face in faces):
        _write(draw, (unit, unit), caption, font, size / 6)
    return picture


def _write(draw: ImageDraw.ImageDraw, position: tuple[float, float], text: str, font: Font, margin: float) -> None:
    """Text on a dark plate, moved so that it stays inside the picture; what does not fit is cut off on the right."""
    if not text:
        return
    width, height = draw.im.size
    left, top, right, bottom = draw.textbbox(position, text, font=font)
    x = position[0] + max(min(width - margin - right, 0), margin - left)
    y = position[1] + max(min(height - margin - bottom, 0), margin - top)
    left, top, right, bottom = draw.textbbox((x, y), text, font=font)
    draw.rectangle((left - margin, top - margin, right + margin, bottom + margin), fill=PLATE)
    draw.text((x, y), text, font=font, fill=COLOR)
