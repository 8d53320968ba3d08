"""Files that are whole or not there: written aside, on disk, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """
    A name beside `path` to write to; the file appears at `path`, or replaces an earlier one, on leaving.

    After an error nothing is left and an earlier file is as it was. Several threads and processes may write the same
    file: the last one to finish wins.

    Args:
        path (`str` or `os.PathLike`): where the file is wanted; its folder must be there.

    Raises:
        `OSError`: the folder is not there, may not be written to or is full.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """
    Write a [`whole_file`] of UTF-8 text, with line ends as they are.

    Args:
        path (`str` or `os.PathLike`): see [`whole_file`].
        text (`str`)
    """
    with whole_file(path) as unfinished:
        unfinished.write_bytes(text.encode())
