"""One process at a time writes an output."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .input_error import InputError
from .whole_file import remove_unfinished


@contextmanager
def only_writer(path: str | Path) -> Iterator[None]:
    """
    Be the only process that writes `path` while this lasts, until it is killed at the latest.

    What a process that was killed left of a [`whole_file`] of this path is removed.

    Args:
        path (`str` or `Path`): file or folder, in a folder that is there.

    Raises:
        `InputError`: another process is writing it.
    """
    path = Path(path)
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"Another run is writing {path}: wait for it, or name another output.") from None
    try:
        remove_unfinished(path.parent, path.name)
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            Path(lock.lock_file).unlink()
        lock.release()
