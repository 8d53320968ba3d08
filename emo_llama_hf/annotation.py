"""Draw what the pipeline found on the picture."""

from PIL import Image, ImageDraw, ImageFont

COLOR = (255, 196, 0)


def annotate_frame(frame: Image.Image, faces: list[dict], caption: str = "") -> Image.Image:
    """
    A copy of an RGB frame with each face's box, landmarks and perceived attributes, and a caption at its chosen face.

    Args:
        frame (`PIL.Image.Image`): the frame.
        faces (`list[dict]`): the frame's faces, as the pipeline's results have them.
        caption (`str`, *optional*): the perceived emotion; written at the top where there is no face.
    """
    picture = frame.convert("RGB")
    draw = ImageDraw.Draw(picture)
    unit = max(min(picture.size) / 100, 1.0)  # line and text sizes follow the picture's
    font = ImageFont.load_default(size=max(4 * unit, 10))
    for face in faces:
        box = tuple(face["box"].values())
        draw.rectangle(box, outline=COLOR, width=round(unit * (1 if face["chosen"] else 0.5)) or 1)
        for x, y in face["landmarks"]:
            draw.ellipse((x - unit, y - unit, x + unit, y + unit), fill=COLOR)
        if face["chosen"]:
            perceived = [value["label"] for value in face.get("perceived", {}).values()]
            _write(draw, (box[0], box[3] + unit), ", ".join(perceived), font, picture.size)
            _write(draw, (box[0], box[1] - 6 * unit), caption, font, picture.size)
    if not any(face["chosen"] for face in faces):
        _write(draw, (unit, unit), caption, font, picture.size)
    return picture


def _write(draw: ImageDraw.ImageDraw, position, text: str, font, size) -> None:
    """Text on a dark plate, moved so that it stays inside the picture."""
    if not text:
        return
    left, top, right, bottom = draw.textbbox(position, text, font=font)
    x = position[0] - max(right - size[0], 0) + max(-left, 0)
    y = position[1] - max(bottom - size[1], 0) + max(-top, 0)
    draw.rectangle(draw.textbbox((x, y), text, font=font), fill=(0, 0, 0))
    draw.text((x, y), text, font=font, fill=COLOR)
