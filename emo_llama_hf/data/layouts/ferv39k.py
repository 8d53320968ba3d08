"""FERV39k (Wang et al., CVPR 2022; github.com/wangyanckxx/FERV39k): clips of 22 scenes."""

from collections.abc import Iterator
from pathlib import Path

from ..record import Record, RecordError
from .clips import find_clip, find_folder

FACE_CROPS = "2_ClipsforFaceCrop"
LOOKED_FOR = "4_setups"


def is_here(path: Path) -> bool:
    """Whether a folder looks like FERV39k's."""
    return (path / LOOKED_FOR).is_dir()


def rows(path: Path, setup: str = "All_scenes") -> Iterator[Record | RecordError]:
    """
    Rows of `4_setups/{setup}/train_*.csv` and `test_*.csv`, lines such as `Action/Happy/0267 Happy`, with the face
    frames of `2_ClipsforFaceCrop`, or else the scene frames of `3_ClipsforScenImages`.

    Args:
        path (`Path`): FERV39k's folder.
        setup (`str`, *optional*, defaults to `"All_scenes"`): folder of `4_setups`.
    """
    lists = find_folder(path, [f"4_setups/{setup}"])
    clips = find_folder(path, [FACE_CROPS, "3_ClipsforScenImages"])
    for split in ("train", "test"):
        tables = sorted([*lists.glob(f"{split}*.csv"), *lists.glob(f"{split}*.txt")])
        if not tables:
            raise FileNotFoundError(f"{lists} has no list {split}_*.csv: put it there, or name another `setup`.")
        for table in tables:
            with open(table, encoding="utf-8-sig") as file:
                for number, line in enumerate(file, 1):
                    row, fields = f"{table}:{number}", line.split()
                    if len(fields) != 2:
                        if fields:
                            yield RecordError(row, f"must be a clip and an emotion, got {line.strip()!r}")
                        continue
                    name, emotion = fields
                    clip = find_clip([clips / name, clips / f"{name}.mp4"])
                    crop = clips.name == FACE_CROPS
                    yield Record(name, str(clip), True, emotion=emotion, split=split, face_crop=crop, row=row)
