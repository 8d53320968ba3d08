"""Files and folders by path or hub id, on this machine."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from .conversion_error import ConversionError


def local_folder(source: str | Path) -> Path:
    """
    A folder, or the local copy of a hub repository.

    Args:
        source (`str` or `Path`): the folder, or the repository's id.

    Raises:
        `FileNotFoundError`: there is no such folder, and it cannot be a hub id.
        `OSError`: the hub has no such repository or cannot be reached.
    """
    if Path(source).is_dir():
        return Path(source)
    _check_hub_id(source, "folder")
    return Path(snapshot_download(str(source)))


def local_file(source: str | Path, name: str) -> Path:
    """
    A file, or the one called `name` in a folder or hub repository.

    Args:
        source (`str` or `Path`): the file, the folder or the repository's id.
        name (`str`): the file's path in the repository; in a folder, it may also lie at the top.

    Raises:
        `FileNotFoundError`: there is no such file.
        `OSError`: the hub has no such repository or cannot be reached.
    """
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        for candidate in (path / name, path / Path(name).name):
            if candidate.is_file():
                return candidate
        raise FileNotFoundError(f"{path} has no {name}.")
    _check_hub_id(source, "file")
    return Path(hf_hub_download(str(source), name))


def read_json(path: Path) -> dict[str, Any]:
    """
    What a JSON file says.

    Args:
        path (`Path`): the file; where there is none, it says nothing.

    Returns:
        `dict[str, Any]`: the JSON object, empty where there is no file.

    Raises:
        `ConversionError`: the file is no JSON object.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConversionError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise ConversionError(f"{path} must hold a JSON object, not {type(content).__name__}: is it the right file?")
    return content


def _check_hub_id(source: str | Path, kind: str) -> None:
    text = str(source)
    if text.count("/") != 1 or text.startswith((".", "/", "~")) or text.endswith("/"):
        raise FileNotFoundError(f"There is no {kind} {text}.")
    try:
        validate_repo_id(text)
    except HFValidationError as error:
        raise FileNotFoundError(f"There is no {kind} {text}, nor can that be a hub id: {error}") from error
