"""Where a clip of a data set lies: as a video file or as a folder of frames."""

import os
from pathlib import Path

from ...input_error import InputError


def find_clip(candidates: list[Path]) -> Path:
    """
    The first that is there, otherwise the first whose folder is, which will be reported as missing.

    Args:
        candidates (`list[Path]`): where a clip may lie; at least one.
    """
    there = (path for path in candidates if os.path.exists(path))  # `Path.exists` fails where a name is too long
    near = (path for path in candidates if os.path.isdir(path.parent))
    return next(there, next(near, candidates[0]))


def find_folder(path: Path, names: list[str]) -> Path:
    """
    The first of these folders that is there.

    Args:
        path (`Path`): the folder to look in.
        names (`list[str]`): of folders, the usual one first.

    Raises:
        `FileNotFoundError`: there is none.
    """
    for name in names:
        if (path / name).is_dir():
            return path / name
    raise FileNotFoundError(f"{path} has no folder {' or '.join(repr(name) for name in names)}: unpack it there.")


def check_fold(fold: int) -> None:
    """
    Check the number of a fold.

    Args:
        fold (`int`): from 1 to 5.

    Raises:
        `InputError`: a five-fold data set has no such fold.
    """
    if fold not in range(1, 6):
        raise InputError(f"`fold` must be from 1 to 5, got {fold}.")
