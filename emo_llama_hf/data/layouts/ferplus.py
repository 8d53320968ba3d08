"""FERPlus (Barsoum et al., 2016; github.com/microsoft/FERPlus): ten votes for each face of FER2013."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from ..record import Record, RecordError
from .fer2013 import USAGES, png_of_pixels, table_rows

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}

LOOKED_FOR = "fer2013new.csv"


def is_here(path: Path) -> bool:
    """Whether a folder has FERPlus's table of votes."""
    return (path / LOOKED_FOR).is_file()


def rows(path: Path) -> Iterator[Record | RecordError]:
    """
    Rows of `fer2013new.csv`, with the faces of `fer2013.csv` beside it, row by row, or else of the pictures that the
    authors' script writes (`FER2013Train/fer0000000.png`, also in `data`). Rows without a file name show no face and
    are left out, as the authors do.

    Args:
        path (`Path`): the folder of both files.
    """
    votes = path / "fer2013new.csv"
    faces = path / "fer2013.csv"
    pictures = path / "data" if (path / "data" / FOLDERS["Training"]).is_dir() else path
    pixels = table_rows(faces) if faces.is_file() else None
    for item, face in zip_longest(table_rows(votes), pixels or ()):
        if item is None:
            yield RecordError(face[1], f"has no row in {votes}")
            return
        _, row, columns = item
        if pixels is not None and face is None:
            yield RecordError(row, f"has no row in {faces}")
            return
        name = (columns.get("Image name") or "").strip()
        if not name:
            continue
        try:
            usage = columns["Usage"].strip()
            visual = png_of_pixels(face[2]["pixels"]) if face else str(pictures / FOLDERS[usage] / name)
            emotion = majority({vote: int(columns[vote]) for vote in VOTES})
            yield Record(Path(name).stem, visual, emotion=emotion, split=USAGES[usage], face_crop=True, row=row)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            yield RecordError(row, f"must have Usage and ten numbers of votes, and its face pixels: {error!r}")


def majority(votes: dict[str, int]) -> str:
    """
    What more than half of the votes say, single votes left out; `"unknown"` where they do not agree (the paper).

    Args:
        votes (`dict[str, int]`): for each label.
    """
    counted = {vote: number if number > 1 else 0 for vote, number in votes.items()}
    winner = max(counted, key=counted.__getitem__)
    return winner if counted[winner] > sum(counted.values()) / 2 else "unknown"
