"""DFEW (Jiang et al., ACM MM 2020; https://dfew-dataset.github.io/): film clips in five folds."""

from collections.abc import Iterator
from pathlib import Path

from ..record import Record, RecordError
from .clips import check_fold, find_clip, find_folder
from .fer2013 import table_rows

LOOKED_FOR = "EmoLabel_DataSplit"


def is_here(path: Path) -> bool:
    """Whether a folder looks like DFEW's."""
    return (path / LOOKED_FOR).is_dir()


def rows(path: Path, fold: int = 1) -> Iterator[Record | RecordError]:
    """
    Rows of `EmoLabel_DataSplit/{train,test}(single-labeled)/set_{fold}.csv` (video_name, label), with the clips of
    `Clip/original/1.mp4` (also in part folders), `Clip/clip_224x224_avi/00001.avi`, `Clip/clip_224x224/00001/*.jpg` or
    `Clip/clip_224x224_16f/00001/*.jpg`, whichever is there.

    Args:
        path (`Path`): DFEW's folder.
        fold (`int`, *optional*, defaults to 1): from 1 to 5.
    """
    check_fold(fold)
    folder = find_folder(path, ["EmoLabel_DataSplit"])
    clips = find_folder(path, ["Clip"])
    parts = sorted(part for part in (clips / "original").glob("part*") if part.is_dir())
    for split in ("train", "test"):
        table = find_folder(folder, [f"{split}(single-labeled)", split]) / f"set_{fold}.csv"
        for _, row, item in table_rows(table):
            try:
                number = int(item["video_name"])
                emotion = str(int(item["label"]))
            except (KeyError, TypeError, ValueError) as error:
                yield RecordError(row, f"must have numbers as video_name and label: {error!r}")
                continue
            clip = find_clip(
                [
                    *(place / f"{number}.mp4" for place in (clips / "original", *parts)),
                    clips / "clip_224x224_avi" / f"{number:05d}.avi",
                    clips / "clip_224x224" / f"{number:05d}",
                    clips / "clip_224x224_16f" / f"{number:05d}",
                ]
            )
            aligned = clip.is_relative_to(clips) and clip.relative_to(clips).parts[0].startswith("clip_224x224")
            yield Record(f"{number:05d}", str(clip), True, emotion=emotion, split=split, face_crop=aligned, row=row)
