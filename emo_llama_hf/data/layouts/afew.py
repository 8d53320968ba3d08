"""AFEW (clips) and SFEW (pictures) of the EmotiW challenges (Dhall et al., 2011 and 2012)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..label_map import LabelMap
from ..record import Record
from .class_folders import class_rows, subfolders

CLASSES = {"Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"}
SPLITS = {"train": "train", "val": "validation", "test": "test"}


LOOKED_FOR = "Train_AFEW/Angry, Train/Angry of its seven labels, or Train_Aligned_Faces"


def is_here(path: Path) -> bool:
    """Whether a folder looks like AFEW's: as SFEW's, with clips."""
    return _is_video(path) is True


def is_sfew(path: Path) -> bool:
    """Whether a folder looks like SFEW's, with pictures."""
    return _is_video(path) is False


def _is_video(path: Path) -> bool | None:
    """Of what the folders of the challenges hold; `None` where there are no such folders."""
    found = list(_class_folders(path)) if path.is_dir() else []
    named = any(word in label.parent.name for label, _ in found for word in ("AFEW", "Aligned_Faces"))
    # Folders of splits and classes are common: without these words they must be the challenges' to the letter.
    trained = {label.name for label, _ in found if label.parent.name == "Train"}
    if not named and trained != CLASSES:
        return None
    first = next((row for label, split in found for row in class_rows(label, path, split)), None)
    return None if first is None else first.is_video


def _class_folders(path: Path) -> Iterator[tuple[Path, str]]:
    """Each class folder and its split."""
    classes = LabelMap.from_file("afew")
    for folder in subfolders(path):
        split = next((split for start, split in SPLITS.items() if folder.name.lower().startswith(start)), None)
        if split is None:
            continue
        inner = subfolders(folder)
        deeper = [label for place in inner if place.name not in classes for label in subfolders(place)]
        yield from ((label, split) for label in [*inner, *deeper] if label.name in classes)


def rows(path: Path) -> Iterator[Record]:
    """
    Rows of the class folders (Angry, Disgust, ...) in `Train` and `Val`, `Train_AFEW` and `Val_AFEW`, or
    `Train_Aligned_Faces` and `Val_Aligned_Faces_new`, also where the latter lie inside the former.

    Args:
        path (`Path`): the folder that holds them.

    Raises:
        `FileNotFoundError`: there is no such folder.
    """
    found = False
    for label, split in _class_folders(path):
        found = True
        aligned = "Aligned_Faces" in label.relative_to(path).as_posix()
        yield from (replace(row, face_crop=aligned) for row in class_rows(label, path, split))
    if not found:
        raise FileNotFoundError(f"{path} has no class folders such as Train/Angry: give the folder of Train and Val.")
