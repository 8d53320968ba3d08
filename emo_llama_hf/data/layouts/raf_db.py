"""RAF-DB, the basic set (Li et al., CVPR 2017; http://www.whdeng.cn/raf/model1.html)."""

import os
from collections.abc import Iterator
from pathlib import Path

from ..record import Record, RecordError

# Numbers in Annotation/manual/*_manu_attri.txt, as RAF-DB's README names them.
GENDERS = ("male", "female", None)  # the last: people were not sure
RACES = ("Caucasian", "African-American", "Asian")
AGES = ("0-3", "4-19", "20-39", "40-69", "70+")

LOOKED_FOR = "EmoLabel/list_patition_label.txt"


def is_here(path: Path) -> bool:
    """Whether a folder looks like RAF-DB's, or its `basic`."""
    return any((folder / LOOKED_FOR).is_file() for folder in (path, path / "basic"))


def rows(path: Path, aligned: bool = True) -> Iterator[Record | RecordError]:
    """
    Rows of `EmoLabel/list_patition_label.txt` (the authors' spelling), lines such as `train_00001.jpg 5`, with the
    pictures of `Image/aligned` or, without `aligned`, `Image/original`; perceived gender, race and age from
    `Annotation/manual` where that is there.

    Args:
        path (`Path`): the folder `basic`, or the one that holds it.
        aligned (`bool`, *optional*, defaults to `True`): whether aligned faces are read, or the original pictures.
    """
    if (path / "basic").is_dir():
        path = path / "basic"
    table = path / "EmoLabel" / "list_patition_label.txt"
    with open(table, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            row = f"{table}:{number}"
            fields = line.split()
            if not fields:
                continue
            if len(fields) != 2:
                yield RecordError(row, f"must be a file name and a number, got {line.strip()!r}")
                continue
            name, emotion = fields
            stem = Path(name).stem
            file_name = f"{stem}_aligned.jpg" if aligned else name
            try:
                attributes = _attributes(path / "Annotation" / "manual" / f"{stem}_manu_attri.txt")
            except (ValueError, IndexError) as error:
                yield RecordError(row, f"its manual annotation cannot be read: {error}")
                continue
            yield Record(
                id=stem,
                visual=str(path / "Image" / ("aligned" if aligned else "original") / file_name),
                emotion=emotion,
                attributes=attributes,
                split="train" if stem.startswith("train") else "test",
                face_crop=aligned,
                row=row,
            )


def _attributes(file: Path) -> dict[str, str] | None:
    """The last three numbers, after five landmarks: gender, race and age."""
    if not os.path.isfile(file):  # `Path.is_file` fails where a name is too long
        return None
    gender, race, age = (int(value) for value in file.read_text("utf-8").split()[-3:])
    attributes = {"age": AGES[age], "gender": GENDERS[gender], "race": RACES[race]}
    return {name: value for name, value in attributes.items() if value is not None}
