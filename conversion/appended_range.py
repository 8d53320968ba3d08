"""Copying a part of one file to the end of another."""

import errno
import os
from pathlib import Path
from typing import BinaryIO

KERNEL_BYTES = 2**26  # at a time; between them the process can be interrupted
BUFFER_BYTES = 2**18  # stays in the processor's cache; larger buffers halve the speed
REFUSALS = (errno.EINVAL, errno.ENOSYS, errno.ENOTSOCK, errno.EOPNOTSUPP)  # by systems that only send to sockets


def append_range(path: Path, start: int, length: int, target: BinaryIO) -> bool:
    """
    Append bytes of one file to another, inside the kernel where it does so: that saves most of the time.

    Args:
        path (`Path`): the one file.
        start (`int`), length (`int`): of the bytes in it.
        target (`BinaryIO`): the other file, open for writing, at its end.

    Returns:
        `bool`: whether there are so many bytes; otherwise those that are there were appended.

    Raises:
        `OSError`: the disk is full, say.
    """
    target.flush()
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        left = length
        while left:
            try:
                count = os.sendfile(target.fileno(), file.fileno(), None, min(left, KERNEL_BYTES))
            except (AttributeError, OSError) as error:  # there is none on Windows
                if isinstance(error, OSError) and error.errno not in REFUSALS:
                    raise
                break
            if not count:
                return False
            left -= count
        target.seek(0, os.SEEK_END)  # what buffers it does not know that it grew
        buffer = memoryview(bytearray(min(left, BUFFER_BYTES)))  # fresh memory for each part would cost more
        while left:
            count = file.readinto(buffer[:left])
            if not count:
                return False
            target.write(buffer[:count])
            left -= count
    return True
