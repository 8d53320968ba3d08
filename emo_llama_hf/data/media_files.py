"""The photos and videos that paths, folders, patterns and URLs stand for."""

import os
from collections.abc import Iterable
from glob import glob, has_magic

from ..input_error import InputError
from ..processing.download import is_url
from .layouts.class_folders import is_media


def media_files(sources: Iterable[str | os.PathLike[str]]) -> list[str]:
    """
    Every photo and video that is meant, in order.

    Args:
        sources (`Iterable[str | os.PathLike]`):
            A file or URL stands for itself; a folder for all files in it, and in its folders, whose name is that of a
            picture or clip; a pattern (`"photos/**/*.jpg"`) for what it matches. What lies there with a dot in
            front is left out.

    Returns:
        `list[str]`: paths and URLs, those of a folder or a pattern sorted; each file once a source.

    Raises:
        `InputError`: a folder or a pattern that stands for nothing.
    """
    found: list[str] = []
    for source in [os.fspath(source) for source in sources]:
        if is_url(source):
            found.append(source)
        elif os.path.isdir(source):
            files = _walk(source)
            if not files:
                raise InputError(f"`sources`: {source!r} has no photo or video in it (told by their names).")
            found += files
        elif has_magic(source) and not os.path.lexists(source):
            files = [path for path in sorted(glob(source, recursive=True)) if os.path.isfile(path)]
            if not files:
                raise InputError(f"`sources`: nothing matches {source!r}.")
            found += files
        else:
            found.append(source)  # whoever opens it says what is wrong
    return found


def _walk(folder: str) -> list[str]:
    paths = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        paths += [os.path.join(place, name) for name in files if name[0] != "." and is_media(name)]
    return sorted(paths)
