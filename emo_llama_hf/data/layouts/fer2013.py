"""FER2013 (ICML 2013 challenge): 48x48 grey faces as numbers in a table."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ...input_error import InputError
from ..record import Record, RecordError

SIDE = 48
USAGES = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}

COLUMNS = {"emotion", "pixels", "Usage"}
LOOKED_FOR = "fer2013.csv, or a table of emotion, pixels, Usage"


def is_here(path: Path) -> bool:
    """Whether it is FER2013's table, or a folder with it that has none of FERPlus."""
    if path.is_dir():
        return (path / "fer2013.csv").is_file() and not (path / "fer2013new.csv").exists()
    if path.suffix.lower() != ".csv":
        return False
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        return {name.strip() for name in next(csv.reader(file), [])} >= COLUMNS


def rows(path: Path) -> Iterator[Record | RecordError]:
    """
    Rows of `fer2013.csv` (emotion, pixels, Usage); `path` is that file or its folder.

    Args:
        path (`Path`): the file or its folder.
    """
    table = path / "fer2013.csv" if path.is_dir() else path
    for number, row, item in table_rows(table):
        try:
            visual = png_of_pixels(item["pixels"])
            split = USAGES[item["Usage"].strip()]
            yield Record(f"fer{number:07d}", visual, emotion=item["emotion"], split=split, face_crop=True, row=row)
        except (KeyError, ValueError, AttributeError) as error:
            yield RecordError(row, f"must have emotion, pixels and Usage: {error}")


def table_rows(table: Path) -> Iterator[tuple[int, str, dict[str, str]]]:
    """
    Number, place and columns of each row of a CSV file, column names stripped.

    Args:
        table (`Path`): the file.
    """
    with open(table, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        for number, item in enumerate(reader):
            yield number, f"{table}:{reader.line_num}", item


def png_of_pixels(text: str) -> bytes:
    """
    A PNG file of 48x48 grey levels written in rows, with spaces between them.

    Args:
        text (`str`): 2304 numbers from 0 to 255.

    Raises:
        `InputError`: other numbers, or another number of them.
    """
    levels = np.array(text.split(), dtype=np.int64)
    if levels.size != SIDE * SIDE or levels.min() < 0 or levels.max() > 255:
        raise InputError(f"pixels must be {SIDE * SIDE} levels from 0 to 255, got {levels.size}")
    buffer = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8).reshape(SIDE, SIDE)).save(buffer, "PNG")
    return buffer.getvalue()
