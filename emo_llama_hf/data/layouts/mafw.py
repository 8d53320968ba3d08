"""MAFW (Liu et al., ACM MM 2022; https://mafw-database.github.io/MAFW/): clips of 11 emotions in five folds."""

from collections.abc import Iterator
from pathlib import Path

from ..record import Record, RecordError
from .clips import check_fold, find_clip, find_folder

LIST_FOLDERS = ("Train & Test Set", "Train_Test_Set", "split")  # the authors', and what people rename it to

LOOKED_FOR = "Train & Test Set/single"


def is_here(path: Path) -> bool:
    """Whether a folder looks like MAFW's."""
    return any((path / name / "single").is_dir() for name in LIST_FOLDERS)


def rows(path: Path, fold: int = 1, subset: str = "single/no_caption") -> Iterator[Record | RecordError]:
    """
    Rows of `Train & Test Set/{subset}/set_{fold}/{train,test}.txt`, lines such as `00001.mp4 happiness`, with the
    clips of `data/clips`, or else the frames of `data/frames/00001`.

    Args:
        path (`Path`): MAFW's folder.
        fold (`int`, *optional*, defaults to 1): from 1 to 5.
        subset (`str`, *optional*, defaults to `"single/no_caption"`): which of the lists.
    """
    check_fold(fold)
    lists = find_folder(path, [f"{name}/{subset}/set_{fold}" for name in LIST_FOLDERS])
    data = find_folder(path, ["data"])
    for split in ("train", "test"):
        table = find_clip([lists / f"{split}.txt", lists / f"{split}.csv"])
        with open(table, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                row, fields = f"{table}:{number}", line.replace(",", " ").split()
                if len(fields) != 2:
                    if fields:
                        yield RecordError(row, f"must be a clip and an emotion, got {line.strip()!r}")
                    continue
                name, emotion = fields
                stem = Path(name).stem
                clip = find_clip([data / "clips" / name, data / "frames" / stem])
                yield Record(stem, str(clip), is_video=True, emotion=emotion, split=split, row=row)
