"""Samples to train and evaluate on: drawn faces whose mouth tells the emotion, as plain dicts."""

from pathlib import Path

from PIL import Image, ImageDraw

from emo_llama_hf.processing.face_detection import Face
from emo_llama_hf.processing.visual import Visual

EMOTIONS = ["happy", "sad", "neutral"]
FACE = Face((8, 4, 56, 60), 1.0, ((23, 23), (41, 23), (32, 34), (20, 48), (44, 48)))
QUESTION = "What is the emotion of the person in the image?"


def drawn_face(emotion: str, number: int = 0) -> Image.Image:
    """A 64 x 64 picture; `number` changes its colours."""
    picture = Image.new("RGB", (64, 64), (40 + 37 * number % 200, 90, 60 + 53 * number % 190))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((8, 4, 56, 60), fill=(230, 190, 150))
    draw.ellipse((20, 20, 26, 26), fill=(0, 0, 0))
    draw.ellipse((38, 20, 44, 26), fill=(0, 0, 0))
    start, end, box = {
        "happy": (0, 180, (18, 26, 46, 54)),
        "sad": (180, 360, (18, 42, 46, 66)),
        "neutral": (0, 360, (18, 46, 46, 48)),
    }[emotion]
    draw.arc(box, start, end, fill=(200, 0, 0), width=4)
    return picture


def face_folders(folder: Path, each: int) -> Path:
    """A folder a class, with `each` pictures."""
    for place, emotion in enumerate(EMOTIONS):
        (folder / emotion).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            drawn_face(emotion, 3 * number + place).save(folder / emotion / f"{number}.png")
    return folder


def picture(emotion: str = "happy", number: int = 0) -> Visual:
    """A picture whose faces need not be looked for."""
    return Visual([drawn_face(emotion, number)], [0.0], False, detections=[[FACE]], faces=[FACE])


def clip(frames: int = 3, emotion: str = "sad") -> Visual:
    """A clip of `frames` frames whose faces need not be looked for."""
    return Visual(
        [drawn_face(emotion, number) for number in range(frames)],
        [float(number) for number in range(frames)],
        True,
        detections=[[FACE] for _ in range(frames)],
        faces=[FACE] * (frames - 1) + [None],
    )


def sample(visual: Visual | None, answer: str, question: str = QUESTION, **more) -> dict:
    """One question and its answer."""
    kind = "video" if visual is not None and visual.is_video else "image"
    shown = [] if visual is None else [{"type": kind, kind: visual}]
    return {
        "messages": [
            {"role": "user", "content": [*shown, {"type": "text", "text": question}]},
            {"role": "assistant", "content": answer},
        ],
        "emotion": answer if answer in EMOTIONS and visual is not None else None,
        **more,
    }


def face_samples(count: int) -> list[dict]:
    """`count` pictures, the emotions in turn."""
    return [
        sample(picture(EMOTIONS[number % 3], number), EMOTIONS[number % 3], id=str(number)) for number in range(count)
    ]
