"""An output folder that appears under its name only when it is complete."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi

from ..only_writer import only_writer
from ..whole_file import flush_folder, named_errors


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """
    A folder to write into that is renamed to `path` at the end, its files on disk, and removed if something goes wrong
    on the way. What a killed process left of it is removed by the next.

    Args:
        path (`str` or `Path`): where the folder is wanted; the folders above it are made.

    Raises:
        `FileExistsError`: `path` is there already and not an empty folder.
        `InputError`: another process is writing it.
        `OSError`: it cannot be written.
    """
    path = Path(path).absolute()
    _check_free(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with only_writer(path):
        _check_free(path)  # another process may just have finished
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            with named_errors(path, unfinished):
                unfinished.mkdir()
                yield unfinished
                flush_folder(unfinished)
                unfinished.replace(path)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise


def _check_free(path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} is there already: name a new folder, or remove it.")


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
