"""Opens a picture or clip given as a path, URL, bytes, base64 text or file object as one seekable binary file."""

import base64
import binascii
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, BinaryIO, TypeAlias
from urllib.parse import unquote_to_bytes

from .download import MEMORY_LIMIT, DownloadError, download, is_url

MediaSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Mapping[str, bytes | str | None]
)

SHORTEST_BASE64 = 32  # characters; shorter text is a mistyped file name, the smallest GIF already takes 36


class UnreadableMediaError(ValueError):
    """A picture or clip was found, but it cannot be read: empty, damaged, cut off, of no known format, unreachable."""


@contextmanager
def open_media(source: MediaSource, argument: str) -> Iterator[BinaryIO]:
    """
    Open `source` as a seekable, non-empty binary file, at its beginning.

    Args:
        source (`MediaSource`):
            Path, `http(s)://` URL, `data:` URL, base64 text, bytes, or binary file object; or, as `datasets` keeps a
            file, a dict of its `bytes` or, where these are `None`, its `path`. A file object is read from its start,
            whatever its position, and stays open; everything else is closed on leaving.
        argument (`str`): name of the caller's argument, for error messages.

    Raises:
        `FileNotFoundError`, `IsADirectoryError`, `PermissionError`: the path cannot be opened.
        `UnreadableMediaError`: nothing there (0 bytes), or the URL could not be fetched within [`MediaLimits`].
        `TypeError`: `source` is none of the above.
    """
    if isinstance(source, Mapping) and set(source) == {"bytes", "path"}:
        source = source["path"] if source["bytes"] is None else source["bytes"]  # type: ignore[assignment]
    if isinstance(source, (bytes, bytearray, memoryview)):
        file: IO[bytes] = io.BytesIO(source)
    elif isinstance(source, str) and is_url(source):
        file = _fetched(source, argument)
    elif isinstance(source, str) and (content := _embedded_content(source, argument)) is not None:
        file = io.BytesIO(content)
    elif isinstance(source, (str, os.PathLike)):
        file = _open_path(source, argument)
    else:
        file = _seekable(source, argument)  # type: ignore[arg-type]
    try:
        file.seek(0, os.SEEK_END)
        if file.tell() == 0:
            raise UnreadableMediaError(f"`{argument}` is empty (0 bytes). Give a file that has content.")
        file.seek(0)
        yield file  # type: ignore[misc]
    finally:
        if file is not source:
            file.close()


def _open_path(path: "str | os.PathLike[str]", argument: str) -> IO[bytes]:
    shown = os.fspath(path) if len(os.fspath(path)) <= 200 else os.fspath(path)[:200] + "…"
    try:
        return open(path, "rb")
    except IsADirectoryError:
        raise IsADirectoryError(f"`{argument}`: {shown!r} is a directory. Give the path of one file in it.") from None
    except PermissionError:
        if os.path.isdir(path):  # what Windows says of a directory
            raise IsADirectoryError(f"`{argument}`: {shown!r} is a directory. Give one file in it.") from None
        raise PermissionError(f"`{argument}`: {shown!r} may not be read. Check the file's permissions.") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise FileNotFoundError(
            f"`{argument}`: {shown!r} is neither a file that can be opened ({error}), nor an http(s) or data URL, nor "
            "base64 text. Check the path."
        ) from error


def _embedded_content(text: str, argument: str) -> bytes | None:
    """The bytes that a data URL or base64 text carries; None if `text` is neither."""
    if text.startswith("data:"):
        header, comma, payload = text.partition(",")
        if not comma:
            raise UnreadableMediaError(f"`{argument}` is a data URL without a comma. Write 'data:image/png;base64,…'.")
        content = unquote_to_bytes(payload)
        if not header.endswith(";base64"):
            return content
        try:
            return base64.b64decode(content)
        except binascii.Error as error:
            raise UnreadableMediaError(
                f"`{argument}` is a data URL with broken base64 ({error}). Encode the file again."
            ) from error
    if len(text) < SHORTEST_BASE64 or os.path.isfile(text):
        return None
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:  # binascii.Error, or a character beyond ASCII
        return None


def _fetched(url: str, argument: str) -> IO[bytes]:
    try:
        return download(url)
    except DownloadError as error:
        raise UnreadableMediaError(
            f"`{argument}`: {url} could not be fetched ({error}). Check the address and the connection, or download "
            "the file and give its path."
        ) from error


def _seekable(file: IO[bytes], argument: str) -> IO[bytes]:
    """`file` itself, or its content in a temporary file when it cannot be read twice (a pipe, a socket)."""
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"`{argument}` is a file opened as text. Open it with mode 'rb'.")
    if not hasattr(file, "read"):
        raise TypeError(
            f"`{argument}` has type {type(file).__name__}. Give a path, URL, bytes, base64 text, file object, PIL "
            "image, numpy array or torch tensor."
        )
    if hasattr(file, "seek") and (not hasattr(file, "seekable") or file.seekable()):
        return file
    copy = tempfile.SpooledTemporaryFile(max_size=MEMORY_LIMIT)
    shutil.copyfileobj(file, copy)
    return copy
