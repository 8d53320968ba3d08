"""Data sets of each layout with a few drawn faces, as their authors ship them."""

import csv
from pathlib import Path

import numpy as np

from emotion_samples import drawn_face
from media import clip, encoded

VOTES = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def put(path: Path, content: bytes | str) -> None:
    """Write a file, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def face(number: int) -> bytes:
    """A picture of its own for each number."""
    return encoded(drawn_face(("happy", "sad", "neutral")[number % 3], number))


def affectnet(folder: Path) -> Path:
    """One training picture of each of three labels, the last contempt, and two to validate on."""
    lines = []
    for number, (split, expression) in enumerate((("t", 0), ("t", 1), ("t", 7), ("v", 7), ("v", 0))):
        put(folder / "Manually_Annotated_Images" / f"{split}/{number}.jpg", face(number))
        lines.append((split, f"{split}/{number}.jpg,1,1,9,9,1;2,{expression},0.1,0.2\n"))
    for name, split in (("training", "t"), ("validation", "v")):
        text = "".join(line for own, line in lines if own == split)
        put(folder / f"Manually_Annotated_file_lists/{name}.csv", text)
    return folder


def raf_db(folder: Path) -> Path:
    """Two aligned faces to train on and one to test."""
    names = (("train_00001", 4), ("train_00002", 5), ("test_0001", 7))
    put(folder / "basic/EmoLabel/list_patition_label.txt", "".join(f"{name}.jpg {label}\n" for name, label in names))
    for number, (name, _) in enumerate(names):
        put(folder / f"basic/Image/aligned/{name}_aligned.jpg", face(number))
        put(folder / f"basic/Image/original/{name}.jpg", face(number))
    return folder


def fer2013(folder: Path) -> Path:
    """Two faces to train on and one to validate."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "fer2013.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for number, (emotion, usage) in enumerate(((3, "Training"), (4, "Training"), (6, "PublicTest"))):
            writer.writerow([emotion, " ".join([str(40 * number)] * 48 * 48), usage])
    return folder


def ferplus(folder: Path) -> Path:
    """FER2013's three faces, the second of which shows contempt."""
    fer2013(folder)
    lines = ["Training,a.png,0,9,0,0,0,0,0,0,0,0", "Training,b.png,0,0,0,0,0,0,0,9,0,0"]
    lines += ["PublicTest,c.png,9,0,0,0,0,0,0,0,0,0"]
    put(folder / "fer2013new.csv", "\n".join([f"Usage,Image name,{VOTES}", *lines]) + "\n")
    return folder


def _moving(number: int) -> bytes:
    return clip(frames=[np.roll(np.asarray(drawn_face("sad", number)), 3 * step, axis=1) for step in range(3)])


def dfew(folder: Path) -> Path:
    """Ten clips in five folds, each of which tests two."""
    for number in range(1, 11):
        put(folder / f"Clip/original/{number}.mp4", _moving(number))
    _folds(folder / "EmoLabel_DataSplit", "{split}(single-labeled)/set_{fold}.csv", "video_name,label\n", "{},{}\n")
    return folder


def mafw(folder: Path) -> Path:
    """Ten clips in five folds, each of which tests two."""
    for number in range(1, 11):
        put(folder / f"data/clips/{number:05d}.mp4", _moving(number))
    names = {1: "contempt", 2: "helplessness"}
    place = "single/no_caption/set_{fold}/{split}.txt"
    _folds(folder / "Train & Test Set", place, "", "{:05d}.mp4 {}\n", names)
    return folder


def _folds(folder: Path, place: str, header: str, line: str, names: dict[int, str] | None = None) -> None:
    for fold in range(1, 6):
        for split in ("train", "test"):
            numbers = [n for n in range(1, 11) if ((n - 1) // 2 + 1 == fold) == (split == "test")]
            rows = [line.format(n, names[n % 2 + 1] if names else n % 2 + 1) for n in numbers]
            put(folder / place.format(fold=fold, split=split), header + "".join(rows))


def ferv39k(folder: Path) -> Path:
    """Folders of face frames: two clips to train on, one to test."""
    clips = {"Action/Happy/0267": "train", "Action/Sad/0010": "train", "Crime/Fear/0003": "test"}
    for number, (name, split) in enumerate(clips.items()):
        put(folder / f"2_ClipsforFaceCrop/{name}/1.jpg", face(number))
        with open(_made(folder / f"4_setups/All_scenes/{split}_All.csv"), "a") as file:
            file.write(f"{name} {name.split('/')[1]}\n")
    return folder


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def afew(folder: Path) -> Path:
    """A clip to train on and one to validate."""
    put(folder / "Train_AFEW/Happy/000046280.avi", _moving(1))
    put(folder / "Val_AFEW/Sad/000046281.avi", _moving(2))
    return folder


def sfew(folder: Path) -> Path:
    """An aligned face to train on and one to validate."""
    put(folder / "Train/Train_Aligned_Faces/Angry/a.png", face(1))
    put(folder / "Val/Val_Aligned_Faces_new/Surprise/b.png", face(2))
    return folder
