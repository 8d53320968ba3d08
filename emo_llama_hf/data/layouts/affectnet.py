"""AffectNet (Mollahosseini et al., 2017), as the whole database and as the later, smaller release."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..record import Record, RecordError

LISTS = {"training.csv": "train", "validation.csv": "validation"}
SETS = {"train_set": "train", "val_set": "validation", "test_set": "test"}
COLUMNS = (
    "subDirectory_filePath face_x face_y face_width face_height facial_landmarks expression valence arousal".split()
)

LOOKED_FOR = "Manually_Annotated_file_lists or train_set/images"


def is_here(path: Path) -> bool:
    """Whether a folder looks like AffectNet's, of either release."""
    sets = any((path / name / "images").is_dir() for name in SETS)
    return sets or bool(_places(path, "Manually_Annotated_file_lists"))


def rows(path: Path) -> Iterator[Record | RecordError]:
    """
    Rows of `Manually_Annotated_file_lists/{training,validation}.csv` with the pictures of `Manually_Annotated_Images`
    (also inside `Manually_Annotated`), or of `{train,val}_set/images/N.jpg` with `annotations/N_exp.npy`.

    Args:
        path (`Path`): AffectNet's top folder.

    Raises:
        `FileNotFoundError`: neither is there.
    """
    sets = [(path / name, split) for name, split in SETS.items() if (path / name / "images").is_dir()]
    for folder, split in sets:
        yield from _set_rows(folder, split)
    lists = next((found for found in _places(path, "Manually_Annotated_file_lists")), path)
    images = next((found for found in _places(path, "Manually_Annotated_Images")), path)
    tables = [(lists / name, split) for name, split in LISTS.items() if (lists / name).is_file()]
    for table, split in tables:
        yield from _list_rows(table, images, split)
    if not sets and not tables:
        raise FileNotFoundError(
            f"{path} holds neither Manually_Annotated_file_lists/training.csv nor train_set/images: give AffectNet's "
            "top folder, unpacked."
        )


def _places(path: Path, name: str) -> list[Path]:
    return [place for place in (path / name, path / "Manually_Annotated" / name) if place.is_dir()]


def _list_rows(table: Path, images: Path, split: str) -> Iterator[Record | RecordError]:
    with open(table, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        for fields in reader:
            row = f"{table}:{reader.line_num}"
            if not fields or fields[0] == COLUMNS[0]:  # the authors' validation.csv has no header
                continue
            if len(fields) != len(COLUMNS):
                yield RecordError(row, f"must have {len(COLUMNS)} columns, has {len(fields)}")
                continue
            item = dict(zip(COLUMNS, fields, strict=True))
            name = item[COLUMNS[0]]
            yield Record(name, str(images / name), emotion=item["expression"], split=split, face_crop=True, row=row)


def _set_rows(folder: Path, split: str) -> Iterator[Record | RecordError]:
    annotations = folder / "annotations"
    annotated = {file.name.removesuffix("_exp.npy") for file in annotations.glob("*_exp.npy")}
    for image in sorted((folder / "images").glob("*.jpg")):
        if image.stem not in annotated:
            yield RecordError(str(image), f"has no annotation {annotations / image.stem}_exp.npy")
    for file in sorted(annotations.glob("*_exp.npy"), key=lambda file: (len(file.name), file.name)):
        stem = file.name.removesuffix("_exp.npy")
        try:
            expression = np.load(file, allow_pickle=False).item()
        except (OSError, ValueError) as error:
            yield RecordError(str(file), f"cannot be read: {error}")
            continue
        image = folder / "images" / f"{stem}.jpg"
        name = f"{folder.name}/{stem}"
        yield Record(name, str(image), emotion=str(expression), split=split, face_crop=True, row=str(file))
