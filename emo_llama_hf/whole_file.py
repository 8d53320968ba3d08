"""Files that are whole or not there: written aside, on disk, then renamed."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Windows flushes only files that are open for writing; elsewhere those that may only be read are flushed too.
_FLUSHED = "rb" if os.name == "posix" else "rb+"


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
        with named_errors(path, unfinished):
            yield unfinished
            _flush(unfinished)
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


@contextmanager
def whole_files(folder: str | os.PathLike[str], last: tuple[str, ...] = ()) -> Iterator[Path]:
    """
    A folder to write to whose files, when all are there, replace those of the same names in `folder`.

    Args:
        folder (`str` or `os.PathLike`): where the files are wanted, made if it is not there; one process at a time.
        last (`tuple[str, ...]`, *optional*): names of the files without which nobody reads the others.

    Raises:
        `OSError`: see [`whole_file`].
    """
    folder = Path(folder)
    unfinished = folder / ".unfinished"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    try:
        with named_errors(folder, unfinished):
            unfinished.mkdir()
            yield unfinished
            flush_folder(unfinished)
            files = [path.relative_to(unfinished) for path in unfinished.rglob("*") if path.is_file()]
            for file in sorted(files, key=lambda file: (str(file) in last, file)):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(unfinished / file, folder / file)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def flush_folder(folder: Path) -> None:
    """
    Wait until all files are on disk.

    Args:
        folder (`Path`)
    """
    for path in folder.rglob("*"):
        if path.is_file():
            _flush(path)


def _flush(path: Path) -> None:
    with open(path, _FLUSHED) as file:
        os.fsync(file.fileno())


def remove_unfinished(folder: Path, name: str | None = None) -> None:
    """
    Remove what killed processes left of [`whole_file`]s.

    Args:
        folder (`Path`): where no other process is writing such files.
        name (`str`, *optional*): of the one that was to be; all by default.
    """
    for path in folder.glob(f".{'*' if name is None else escape(name)}.????????.part"):
        path.unlink(missing_ok=True)


def append(file: BinaryIO, content: bytes) -> int:
    """
    Append to a file, all or nothing; when this returns it is on disk.

    Args:
        file (`BinaryIO`): open for appending, without a buffer.
        content (`bytes`)

    Returns:
        `int`: where it begins.

    Raises:
        `OSError`: the disk is full, say; the file is as it was.
    """
    start = os.fstat(file.fileno()).st_size
    try:
        with named_errors(file.name):
            written = 0
            while written < len(content):  # a raw write may be short
                written += file.write(content[written:])
            os.fsync(file.fileno())
    except BaseException:
        os.truncate(file.fileno(), start)
        raise
    return start


@contextmanager
def named_errors(path: str | os.PathLike[str], unfinished: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """
    Errors of writing name what was written, and are an `OSError` also where a library raises something else.

    Args:
        path (`str` or `os.PathLike`): what is wanted.
        unfinished (`str` or `os.PathLike`, *optional*): what it is called until it is whole.

    Raises:
        `OSError`
    """
    try:
        yield
    except OSError as error:
        hidden = unfinished is not None and str(error.filename).startswith(str(unfinished))
        if not hidden and (error.filename is not None or error.errno not in NO_ROOM):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    except Exception as error:
        number = _error_number(error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), os.fspath(path)) from error


def _error_number(error: Exception) -> int | None:
    """What the system said to safetensors, tokenizers or `torch.save`, where it was that there is no room."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    if found and int(found[1]) in NO_ROOM:
        return int(found[1])
    if isinstance(error, RuntimeError) and re.search("PytorchStreamWriter|unexpected pos", str(error)):
        return errno.ENOSPC  # torch does not tell, and hardly anything else stops a file that was begun
    return None
