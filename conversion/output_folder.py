"""An output folder that appears under its name only when it is complete."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """
    A folder to write into that is renamed to `path` at the end, and removed if something goes wrong on the way.

    Raises:
        `FileExistsError`: `path` is there already and not an empty folder.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} is there already: name a new folder, or remove it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.unfinished-", dir=path.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)  # mkdtemp's folders are for their owner only
        unfinished.replace(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
