"""Pictures, clips or folders of frames in one folder a class, with or without folders of splits above."""

import mimetypes
from collections.abc import Iterator
from pathlib import Path

from ..record import Record, frame_files

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}

LOOKED_FOR = "LABEL/FILE or SPLIT/LABEL/FILE"


def is_here(path: Path) -> bool:
    """Whether a folder has pictures or clips in folders, or these in folders of splits."""
    if not path.is_dir():
        return False
    labels = [folder for folder in subfolders(path) if folder.name.lower() not in SPLITS]
    below = [label for folder in subfolders(path) if folder not in labels for label in subfolders(folder)]
    return any(True for label in [*labels, *below] for _ in class_rows(label, path, None))


def rows(path: Path) -> Iterator[Record]:
    """
    Rows of `path/LABEL/FILE` or `path/SPLIT/LABEL/FILE`, where SPLIT is train, val, validation, test, ...

    Args:
        path (`Path`): the data set's folder.
    """
    folders = subfolders(path)
    splits = {folder: SPLITS[folder.name.lower()] for folder in folders if folder.name.lower() in SPLITS}
    if splits:
        for folder, split in splits.items():
            for label in subfolders(folder):
                yield from class_rows(label, path, split)
    else:
        for label in folders:
            yield from class_rows(label, path, None)


def class_rows(folder: Path, root: Path, split: str | None) -> Iterator[Record]:
    """
    What lies in one class folder: media files, and folders of frames; anything else is left alone.

    Args:
        folder (`Path`): its name is the label.
        root (`Path`): the data set's folder.
        split (`str`, *optional*): of everything in it.
    """
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        is_frames = entry.is_dir() and bool(frame_files(entry))
        if not is_frames and not is_media(entry.name):
            continue
        name = entry.relative_to(root).as_posix()
        yield Record(
            id=name,
            visual=str(entry),
            is_video=is_frames or is_video_name(entry.name),
            emotion=folder.name,
            split=split,
            row=str(entry),
        )


def subfolders(path: Path) -> list[Path]:
    """
    Visible folders in `path`, by name.

    Args:
        path (`Path`): a folder.
    """
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def is_media(name: str) -> bool:
    """
    Whether a file of this name should be a picture or clip.

    Args:
        name (`str`): with its suffix.
    """
    return (mimetypes.guess_type(name)[0] or "").startswith(("image/", "video/"))


def is_video_name(name: str) -> bool:
    """
    Whether a file of this name should be a clip.

    Args:
        name (`str`): with its suffix.
    """
    kind = mimetypes.guess_type(name)[0] or ""
    return kind.startswith("video/") or kind == "image/gif"
