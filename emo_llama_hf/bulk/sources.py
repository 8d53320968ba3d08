"""Every input that files, folders, patterns, URLs, lists, tables, archives and `datasets` stand for, in one order."""

import os
import tarfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ..data.layouts import table
from ..data.layouts.class_folders import is_media, is_video_name
from ..data.media_files import media_files
from ..data.record import Record, RecordError
from ..input_error import InputError
from ..missing_package import MissingPackageError
from ..processing.download import is_url
from ..processing.media_limits import current_limits
from .item import Item

LISTS = (".txt", ".lst")
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
DATASET_FILES = ("dataset_info.json", "state.json")


def items(sources: Iterable[str | os.PathLike[str]], column: str | None = None) -> Iterator[Item]:
    """
    The inputs, one after the other; nothing but their names is read before [`Item.read`] is called.

    Args:
        sources (`Iterable[str | os.PathLike]`):
            Files, folders, patterns and URLs of photos and videos, see [`media_files`]; besides these
            `.txt` lists of paths and URLs, one a line; `.csv`, `.tsv`, `.jsonl` and `.parquet` tables; `.tar`
            archives, also packed ones, whose pictures and clips are read where they lie, as of WebDataset; and folders
            that `datasets.Dataset.save_to_disk` made. Paths in a list or a table are relative to it.
        column (`str`, *optional*): where pictures or clips stand in tables and datasets; by default the usual names.

    Raises:
        `InputError`: a source that stands for nothing or cannot be read, or a column that is not there.
    """
    for source in [os.fspath(source) for source in sources]:
        name = source.lower()
        if is_url(source):
            yield Item(source, partial(_same, source))
        elif _is_saved(source):
            for number, row in enumerate(table.rows(_dataset(source), visual_column=column)):
                yield Item(f"{source}:{number}", partial(_of_row, row))
        elif name.endswith(table.ALL_SUFFIXES):
            yield from _table(_there(source), column)
        elif name.endswith(LISTS):
            yield from _list(_there(source))
        elif name.endswith(ARCHIVES):
            yield from _archive(_there(source))
        else:
            for file in media_files([source]):
                yield Item(file, partial(_same, file))


def _same(value: Any) -> Any:
    return value


def _there(source: str) -> Path:
    if not os.path.isfile(source):
        raise InputError(f"`sources`: {source!r} is not there: check the path.")
    return Path(source)


def _list(path: Path) -> Iterator[Item]:
    with open(path, encoding="utf-8") as file:
        for line in file:
            name = line.strip()
            if name and name[0] != "#":
                place = name if is_url(name) else os.path.join(path.parent, name)
                yield Item(place, partial(_same, place))


def _table(path: Path, column: str | None) -> Iterator[Item]:
    for row in table.rows(path, visual_column=column):
        yield Item(row.row, partial(_of_row, row))


def _of_row(row: Record | RecordError) -> Any:
    if isinstance(row, RecordError):
        raise row
    return {"video": row.source()} if row.is_video else row.source()


def _archive(path: Path) -> Iterator[Item]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and is_media(member.name) and os.path.basename(member.name)[0] != ".":
                    yield Item(f"{path}/{member.name}", partial(_of_member, archive, member))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"`sources`: {path} cannot be read: {error}") from error


def _of_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    if member.size > current_limits().max_bytes:
        raise InputError(
            f"it has {member.size:,} bytes, but `MediaLimits.max_bytes` allows {current_limits().max_bytes:,}"
        )
    file = archive.extractfile(member)
    content = file.read() if file is not None else b""
    return {"video": content} if is_video_name(member.name) else content


def _is_saved(source: str) -> bool:
    return os.path.isdir(source) and all(os.path.isfile(os.path.join(source, file)) for file in DATASET_FILES)


def _dataset(folder: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingPackageError(f"{folder} needs datasets: pip install datasets.") from error
    return datasets.load_from_disk(folder)


def count(sources: Iterable[str | os.PathLike[str]], column: str | None = None) -> int | None:
    """
    How many inputs there are, where that is quickly told: not of packed archives.

    Args:
        sources, column: see [`items`].

    Raises:
        `InputError`: see [`items`].
    """
    total = 0
    for source in [os.fspath(source) for source in sources]:
        if source.lower().endswith(ARCHIVES) and not source.lower().endswith(".tar"):
            return None
        if source.lower().endswith(".parquet") and os.path.isfile(source):
            from pyarrow.parquet import read_metadata

            total += read_metadata(source).num_rows
        elif _is_saved(source):
            total += len(_dataset(source))
        else:
            total += sum(1 for _ in items([source], column))
    return total
