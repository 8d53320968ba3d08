"""
Miniature copies of the paper's six data sets, each laid out as its authors ship it:

    python recipes/paper/make_miniature.py DATA

Their faces are two public-domain portraits with a drawn mouth, which tells the emotion. Figures on them mean nothing:
`miniature.json`, which is copied beside them, shortens the recipe and tells its table to say so.
"""

import argparse
import io
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from emo_llama_hf.data.label_map import LABEL_FOLDER

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "tests" / "samples"
PORTRAITS = {"astronaut.png": (160, 45, 290, 175), "grace_hopper.jpg": (150, 110, 380, 340)}  # boxes of the faces
EMOTIONS = ("happy", "sad", "surprised", "neutral")
MOUTHS = {"happy": (0, 180), "sad": (180, 360), "surprised": (0, 360)}  # degrees of an ellipse
FOLDS = 5
SIDE, FRAMES = 96, 16
VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")


@dataclass(frozen=True)
class Item:
    """A picture or clip: its number, its emotion in the data set's words, and the fold that tests on it."""

    number: int
    emotion: str
    fold: int
    frames: list[Image.Image]

    def in_train(self, fold: int = 1) -> bool:
        return self.fold != fold

    def split(self, fold: int = 1) -> str:
        return "train" if self.in_train(fold) else "test"


class Faces:
    """Portraits with a drawn mouth; the seed decides their colours and places."""

    def __init__(self, seed: int):
        self.dice = random.Random(seed)
        self.portraits = [Image.open(SAMPLES / name).convert("RGB").crop(box) for name, box in PORTRAITS.items()]

    def items(self, layout: str, frames: int = 1) -> Iterator[Item]:
        """One of each emotion for each fold."""
        labels = json.loads((LABEL_FOLDER / f"{layout}.json").read_text("utf-8"))["labels"]
        words = {meaning: label for label, meaning in reversed(labels.items())}
        number = 0
        for fold in range(1, FOLDS + 1):
            for emotion in EMOTIONS:
                number += 1
                yield Item(number, words[emotion], fold, self.drawn(emotion, frames))

    def drawn(self, emotion: str, frames: int) -> list[Image.Image]:
        """A face that moves a little from frame to frame."""
        face = self.dice.choice(self.portraits).resize((SIDE, SIDE))
        face = ImageEnhance.Color(ImageEnhance.Brightness(face).enhance(self.dice.uniform(0.7, 1.2)))
        face = face.enhance(self.dice.uniform(0.2, 1.5))
        draw = ImageDraw.Draw(face)
        if emotion in MOUTHS:
            draw.ellipse((34, 62, 62, 80), fill=face.getpixel((48, 60)))
            draw.arc((36, 64, 60, 78), *MOUTHS[emotion], fill=(150, 0, 0), width=3)
        steps = [(self.dice.randint(-3, 3), self.dice.randint(-3, 3)) for _ in range(frames)]
        return [face.transform(face.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y)) for x, y in steps]


def put(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def save(path: Path, frame: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.save(path)


def clip(frames: list[Image.Image]) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height = frames[0].size
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(frame), "rgb24")))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def ferplus(folder: Path, faces: Faces) -> None:
    lines = ["Usage,Image name," + ",".join(VOTES)]
    for item in faces.items("ferplus"):
        usage, place = ("Training", "FER2013Train") if item.in_train() else ("PrivateTest", "FER2013Test")
        name = f"fer{item.number:07d}.png"
        save(folder / "data" / place / name, item.frames[0].convert("L").resize((48, 48)))
        lines.append(f"{usage},{name}," + ",".join(str(10 * (vote == item.emotion)) for vote in VOTES))
    put(folder / "fer2013new.csv", "\n".join(lines) + "\n")


def raf_db(folder: Path, faces: Faces) -> None:
    lines = []
    for item in faces.items("raf_db"):
        name = f"{item.split()}_{item.number:05d}"
        save(folder / "basic/Image/aligned" / f"{name}_aligned.jpg", item.frames[0])
        lines.append(f"{name}.jpg {item.emotion}\n")
    put(folder / "basic/EmoLabel/list_patition_label.txt", "".join(lines))


def affectnet(folder: Path, faces: Faces) -> None:
    lists: dict[str, str] = {"training": "", "validation": ""}
    for item in faces.items("affectnet"):
        name = f"{item.fold}/{item.number}.jpg"
        save(folder / "Manually_Annotated_Images" / name, item.frames[0])
        lists["training" if item.in_train() else "validation"] += f"{name},0,0,96,96,48;48,{item.emotion},0,0\n"
    for name, lines in lists.items():
        put(folder / "Manually_Annotated_file_lists" / f"{name}.csv", lines)


def dfew(folder: Path, faces: Faces) -> None:
    items = list(faces.items("dfew", FRAMES))
    for item in items:
        put(folder / "Clip/original" / f"{item.number}.mp4", clip(item.frames))
    for fold in range(1, FOLDS + 1):
        for split in ("train", "test"):
            rows = [f"{item.number},{item.emotion}\n" for item in items if item.split(fold) == split]
            table = folder / f"EmoLabel_DataSplit/{split}(single-labeled)/set_{fold}.csv"
            put(table, "video_name,label\n" + "".join(rows))


def ferv39k(folder: Path, faces: Faces) -> None:
    lists = {"train": "", "test": ""}
    for item in faces.items("ferv39k", FRAMES):
        name = f"Action/{item.emotion}/{item.number:04d}"
        for number, frame in enumerate(item.frames, 1):
            save(folder / "2_ClipsforFaceCrop" / name / f"{number}.jpg", frame)
        lists[item.split()] += f"{name} {item.emotion}\n"
    for split, lines in lists.items():
        put(folder / f"4_setups/All_scenes/{split}_All.csv", lines)


def mafw(folder: Path, faces: Faces) -> None:
    items = list(faces.items("mafw", FRAMES))
    for item in items:
        put(folder / f"data/clips/{item.number:05d}.mp4", clip(item.frames))
    for fold in range(1, FOLDS + 1):
        for split in ("train", "test"):
            rows = [f"{item.number:05d}.mp4 {item.emotion}\n" for item in items if item.split(fold) == split]
            put(folder / f"Train & Test Set/single/no_caption/set_{fold}/{split}.txt", "".join(rows))


SETS = {"FERPlus": ferplus, "RAF-DB": raf_db, "AffectNet": affectnet, "DFEW": dfew, "FERV39k": ferv39k, "MAFW": mafw}


def make_miniature(data: Path, seed: int = 0) -> None:
    """Write all six into a folder that is there when they are whole."""
    unfinished = data.with_name(data.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for number, (name, make) in enumerate(SETS.items()):
        make(unfinished / name, Faces(1000 * seed + number))
    shutil.copyfile(HERE / "miniature.json", unfinished / "miniature.json")
    unfinished.rename(data)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder to make")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.data.exists():
        parser.error(f"{options.data} is there already")
    make_miniature(options.data, options.seed)
