"""AFEW (clips) and SFEW (pictures) of the EmotiW challenges (Dhall et al., 2011 and 2012)."""

from collections.abc import Iterator
from pathlib import Path

from ..label_map import LabelMap
from ..record import Record
from .class_folders import class_rows, subfolders

SPLITS = {"train": "train", "val": "validation", "test": "test"}


def rows(path: Path) -> Iterator[Record]:
    """
    Rows of the class folders (Angry, Disgust, ...) in `Train` and `Val`, `Train_AFEW` and `Val_AFEW`, or
    `Train_Aligned_Faces` and `Val_Aligned_Faces_new`, also where the latter lie inside the former.

    Args:
        path (`Path`): the folder that holds them.

    Raises:
        `FileNotFoundError`: there is no such folder.
    """
    classes = LabelMap.from_file("afew")
    found = False
    for folder in subfolders(path):
        split = next((split for start, split in SPLITS.items() if folder.name.lower().startswith(start)), None)
        if split is None:
            continue
        inner = subfolders(folder)
        deeper = [label for place in inner if place.name not in classes for label in subfolders(place)]
        for label in [*inner, *deeper]:
            if label.name in classes:
                found = True
                yield from class_rows(label, path, split)
    if not found:
        raise FileNotFoundError(f"{path} has no class folders such as Train/Angry: give the folder of Train and Val.")
