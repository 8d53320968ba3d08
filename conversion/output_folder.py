"""An output folder that appears under its name only when it is complete."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi

# Windows flushes only files that are open for writing; elsewhere those that may only be read are flushed too.
_FLUSHED = "rb" if os.name == "posix" else "rb+"


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """
    A folder to write into that is renamed to `path` at the end, its files on disk, and removed if something goes wrong
    on the way.

    Args:
        path (`str` or `Path`): where the folder is wanted; the folders above it are made.

    Raises:
        `FileExistsError`: `path` is there already and not an empty folder.
        `OSError`: it cannot be written.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} is there already: name a new folder, or remove it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.unfinished-", dir=path.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)  # mkdtemp's folders are for their owner only
        _flush(unfinished)
        unfinished.replace(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


@contextmanager
def published_folder(path: str | Path, repo_id: str | None) -> Iterator[Path]:
    """
    A [`new_folder`] that is uploaded once it is complete.

    Args:
        path (`str` or `Path`): where the folder is wanted.
        repo_id (`str`, *optional*): hub repository, made where it is not there; without it nothing is uploaded.

    Raises:
        `FileExistsError`: `path` is there already and not an empty folder.
        `OSError`: it cannot be written or uploaded.
    """
    with new_folder(path) as folder:
        yield folder
    if repo_id is not None:
        api = HfApi()
        repo = api.create_repo(repo_id, exist_ok=True)
        api.upload_folder(repo_id=repo.repo_id, folder_path=path)


def _flush(folder: Path) -> None:
    """Wait until all files are on disk, so that no crash can leave `folder` with holes under its final name."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open(_FLUSHED) as file:
                os.fsync(file.fileno())
