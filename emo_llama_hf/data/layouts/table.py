"""CSV, TSV, JSON lines and Parquet tables, with pictures as paths or as bytes."""

import csv
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...input_error import InputError
from ...json_text import read_object
from ...missing_package import MissingPackageError
from ...processing.download import is_url
from ..record import Record, RecordError
from .class_folders import SPLITS, is_video_name

VISUAL_COLUMNS = ("image", "video", "path", "file_name", "filename", "file", "img", "clip")
EMOTION_COLUMNS = ("emotion", "label", "expression")
ATTRIBUTE_COLUMNS = ("age", "gender", "race")
BATCH_ROWS = 64

SUFFIXES = (".csv", ".tsv", ".parquet")
ALL_SUFFIXES = (*SUFFIXES, ".jsonl")  # which may be chats too, so it is no table until somebody says so
LOOKED_FOR = "a file .csv, .tsv or .parquet"


def is_here(path: Path) -> bool:
    """Whether it is a file of a table."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def rows(
    path: Path,
    root: str | Path | None = None,
    visual_column: str | None = None,
    emotion_column: str | None = None,
    id_column: str | None = None,
    split_column: str = "split",
    subject_column: str = "subject",
    attribute_columns: list[str] | None = None,
) -> Iterator[Record | RecordError]:
    """
    Rows of a `.csv`, `.tsv`, `.jsonl` or `.parquet` file (the latter needs the extra `train`).

    Args:
        path (`Path`): the file.
        root (`str` or `Path`, *optional*): what paths are relative to; the file's folder by default.
        visual_column, emotion_column (`str`, *optional*):
            By default the first of `VISUAL_COLUMNS` and of `EMOTION_COLUMNS` that is there; emotions may be missing.
            A visual is a path, or in Parquet bytes, or a struct of `bytes` and `path` as `datasets` writes.
        id_column (`str`, *optional*): by default `id` if there is one, otherwise the row's number.
        split_column (`str`, *optional*, defaults to `"split"`): where the split stands, if anywhere.
        subject_column (`str`, *optional*, defaults to `"subject"`): who is seen, if anywhere.
        attribute_columns (`list[str]`, *optional*): by default those of age, gender and race that are there.

    Raises:
        `InputError`: a column is not there.
    """
    names, items = READERS[path.suffix.lower()](path)
    visual_column = _column(visual_column, names, VISUAL_COLUMNS, path, "visual_column")
    if visual_column is None:
        raise InputError(f"{path} has none of the columns {', '.join(VISUAL_COLUMNS)}: name it in `visual_column`.")
    emotion_column = _column(emotion_column, names, EMOTION_COLUMNS, path, "emotion_column")
    id_column = _column(id_column, names, ("id",), path, "id_column")
    if attribute_columns is None:
        attribute_columns = [name for name in ATTRIBUTE_COLUMNS if name in names]
    for name in attribute_columns:
        _column(name, names, (), path, "attribute_columns")
    folder = Path(root) if root is not None else path.parent
    for number, line, item in items:
        row = f"{path}:{line}"
        try:
            visual, is_video = visual_of(item[visual_column], folder)
        except ValueError as error:
            yield RecordError(row, f"`{visual_column}` {error}")
            continue
        emotion = item[emotion_column] if emotion_column else None
        written, subject = item.get(split_column), item.get(subject_column)
        yield Record(
            id=str(item[id_column]) if id_column else str(number),
            visual=visual,
            is_video=is_video or visual_column == "video",
            emotion=None if emotion in (None, "") else str(emotion),
            attributes={name: str(item[name]) for name in attribute_columns if item[name] not in (None, "")} or None,
            split=SPLITS.get(str(written).lower(), str(written)) if written else None,
            subject=None if subject in (None, "") else str(subject),
            row=row,
        )


def _delimited(path: Path) -> tuple[list[str], Iterator[tuple[int, int, dict[str, Any]]]]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with open(path, encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file, delimiter=delimiter), [])

    def items() -> Iterator[tuple[int, int, dict[str, Any]]]:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            for number, item in enumerate(reader):
                yield number, reader.line_num, item

    return names, items()


def _parquet(path: Path) -> tuple[list[str], Iterator[tuple[int, int, dict[str, Any]]]]:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingPackageError("Parquet files need pyarrow: pip install 'emo_llama_hf[train]'.") from error
    with ParquetFile(path) as file:
        names = file.schema_arrow.names

    def items() -> Iterator[tuple[int, int, dict[str, Any]]]:
        number = 0
        with ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                for item in batch.to_pylist():
                    yield number, number, item
                    number += 1

    return names, items()


def _json_lines(path: Path) -> tuple[list[str], Iterator[tuple[int, int, dict[str, Any]]]]:
    """Columns are those of the first line; what others lack is empty."""

    def items() -> Iterator[tuple[int, int, dict[str, Any]]]:
        number = 0
        with open(path, "rb") as file:
            for line, text in enumerate(file, 1):
                if text.strip():
                    yield number, line, defaultdict(str, read_object(text, f"{path}:{line}", "Mend the line."))
                    number += 1

    first = next(items(), (0, 0, {}))[2]
    return list(first), items()


READERS = {".csv": _delimited, ".tsv": _delimited, ".jsonl": _json_lines, ".parquet": _parquet}


def _column(given: str | None, names: list[str], usual: tuple[str, ...], path: Path, argument: str) -> str | None:
    if given is None:
        return next((name for name in usual if name in names), None)
    if given not in names:
        raise InputError(f"`{argument}` is {given!r}, but {path} has the columns {', '.join(names)}.")
    return given


def visual_of(value: Any, folder: Path) -> tuple[str | bytes, bool]:
    """
    The picture or clip that a table's cell stands for, and whether its name is a clip's.

    Args:
        value (`str`, `bytes` or `dict`): path or URL, a file's content, or both as `datasets` has them.
        folder (`Path`): what paths are relative to.

    Raises:
        `InputError`: it is something else.
    """
    name = ""
    if isinstance(value, dict):
        name = value.get("path") or ""
        value = value["bytes"] if value.get("bytes") is not None else name
    if isinstance(value, bytes):
        return value, is_video_name(name)
    if not isinstance(value, str) or not value:
        raise InputError(f"must be a path or bytes, got {value!r}")
    if is_url(value):
        return value, is_video_name(value)
    file = os.path.join(folder, value)
    return file, is_video_name(value) or os.path.isdir(file)
