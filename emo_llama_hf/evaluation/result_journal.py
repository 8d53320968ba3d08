"""Results as they come, one JSON object a line: an evaluation that was stopped goes on where it was."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..input_error import InputError
from ..json_text import UNREADABLE, json_line, read_object
from ..only_writer import only_writer
from ..whole_file import append, remove_unfinished, write_text
from .predictor import Answer

PATTERN = "results-*.jsonl"
SETTINGS_FILE = "settings.json"
ADVICE = "Remove the folder to start anew."


class ResultEntry(Answer, total=False):
    """
    The result of one sample.

    Args:
        id (`str`): the sample's.
        target (`str`): its emotion.
        dataset (`str`, *optional*): the data set that it belongs to.
        fold (`str`, *optional*): its fold.
        kind (`str`): `"static"` or `"dynamic"`: whether a picture or a clip was asked about.
        attributes (`dict[str, str]`): what the sample says of the person, or else what was perceived.
        answer, scores, refusal, error: see [`Answer`].
    """

    id: str
    target: str
    dataset: str
    fold: str | None
    kind: str
    attributes: dict[str, str]


def changed_settings(folder: Path, settings: dict[str, Any], keep: bool, name: str = SETTINGS_FILE) -> str:
    """
    What a folder's results were begun with otherwise.

    Args:
        folder (`Path`)
        settings (`dict`): what results depend on now, as JSON has it.
        keep (`bool`): whether to write them down in a folder that has none.
        name (`str`, *optional*): of the file that has them.

    Returns:
        `str`: the settings' names, sorted, as arguments are named; empty in a folder that has no settings yet.

    Raises:
        `InputError`: the file of settings is damaged.
    """
    file = folder / name
    if not file.exists():
        if keep:
            write_text(file, json.dumps(settings, indent=2) + "\n")
        return ""
    old = read_object(file.read_bytes(), str(file), ADVICE)
    return ", ".join(f"`{name}`" for name in sorted({*old, *settings}) if old.get(name) != settings.get(name))


class Journal:
    """
    A folder where every process writes a file of its own, which no other may write meanwhile, and reads everybody's.

    Args:
        folder (`str` or `Path`): made where it is missing.
        settings (`dict`): what the results depend on.
        process (`int`, *optional*, defaults to 0): number of this process.

    Raises:
        `InputError`: the folder has results of other settings.
    """

    def __init__(self, folder: str | Path, settings: dict[str, Any], process: int = 0) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = process
        self._own = self.folder / f"results-{process:05d}.jsonl"
        if changed := changed_settings(self.folder, settings, keep=process == 0):
            raise InputError(f"{folder} has results with other {changed}: remove it, or name another folder.")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """
        While this lasts, [`add`] may be called.

        Raises:
            `InputError`: another run is writing this process's file.
        """
        with only_writer(self._own):
            if self._process == 0:
                remove_unfinished(self.folder)
            if self._own.exists():
                whole = self._own.read_bytes().rfind(b"\n") + 1
                os.truncate(self._own, whole)  # after a line that a kill cut off
            yield

    def read(self) -> dict[str, ResultEntry]:
        """
        Every result by its sample's id, an answer before an error; a line that was cut off or damaged is as if it had
        never been begun.
        """
        results: dict[str, ResultEntry] = {}
        for file in sorted(self.folder.glob(PATTERN)):
            for line in file.read_bytes().split(b"\n"):
                try:
                    entry = json.loads(line)
                except UNREADABLE:
                    continue
                if _is_result(entry) and (entry["id"] not in results or "error" in results[entry["id"]]):
                    results[entry["id"]] = entry
        return results

    def add(self, entries: list[ResultEntry]) -> None:
        """
        Write results down; when this returns they are on disk.

        Args:
            entries (`list[ResultEntry]`)
        """
        with open(self._own, "ab", buffering=0) as file:
            append(file, b"".join(map(json_line, entries)))


def _is_result(entry: Any) -> bool:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("id", "target", "kind")):
        return False
    if isinstance(entry.get("error"), str):
        return True
    return isinstance(entry.get("answer"), str) and isinstance(entry.get("scores"), dict)
