"""Several readers of one open file."""

import os
from typing import Any


class FileView:
    """
    A file object with a place of its own in a file that others read too, one at a time.

    Args:
        file (`BinaryIO`): seekable; stays open.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._place = 0

    def read(self, size: int = -1) -> bytes:
        self._file.seek(self._place)
        content: bytes = self._file.read(size)
        self._place += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset, whence = self._place + offset, os.SEEK_SET
        self._file.seek(offset, whence)
        self._place = self._file.tell()
        return self._place

    def tell(self) -> int:
        return self._place

    def seekable(self) -> bool:
        return True


def view_of(source: Any) -> Any:
    """What was given, or a [`FileView`] of an open file."""
    return FileView(source) if hasattr(source, "read") else source
