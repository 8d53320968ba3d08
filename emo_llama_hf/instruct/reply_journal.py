"""What has been written so far, safe against a kill at any moment."""

import os
import threading
from pathlib import Path
from typing import Any, TypedDict, cast

from ..input_error import InputError
from ..json_text import json_line, read_object
from ..whole_file import append
from .output import InstructItem


class ReplyEntry(TypedDict, total=False):
    """
    One line of a journal.

    Args:
        id (`str`): the record's.
        tokens (`list[int]`): input and output tokens that were paid for.
        description (`str`): of the record's clip, where it was described.
        items (`list[InstructItem]`): what was written, where the record is finished.
        settings (`dict`): of the first line alone: what the others depend on.
    """

    id: str
    tokens: list[int]
    description: str
    items: list[InstructItem]
    settings: dict[str, Any]


class Journal:
    """
    JSON lines that are only ever appended, each of which is on disk before anything else happens. The first one holds
    the settings; a last one that was cut off by a kill is removed.

    Args:
        path (`str` or `Path`): the file; made if it is not there.
        settings (`dict`): what its entries depend on.

    Raises:
        `InputError`: the file was begun with other settings, or is no journal.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._places: dict[str, int] = {}
        self._described: dict[str, int] = {}
        self.usage: list[int] = [0, 0]  # input and output tokens of every reply, also of rejected ones
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "a+b", buffering=0)
        try:
            self._read(settings)
        except BaseException:
            self.close()
            raise

    def _read(self, settings: dict[str, Any]) -> None:
        start, first = 0, True
        with open(self.path, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    os.truncate(self.path, start)
                    break
                entry = self._parsed(line, start)
                if first:
                    self._check(entry.get("settings"), settings)
                    first = False
                else:
                    self._note(entry, start)
                start += len(line)
        if first:
            self._append({"settings": settings})

    def _parsed(self, line: bytes, start: int) -> ReplyEntry:
        where, advice = f"{self.path} at byte {start}", "Remove the file to start anew."
        entry = cast(ReplyEntry, read_object(line, where, advice))
        tokens, items = entry.get("tokens", [0, 0]), entry.get("items", [])
        counts = isinstance(tokens, list) and [type(count) for count in tokens] == [int, int]
        named = "settings" in entry or isinstance(entry.get("id"), str)
        told = isinstance(entry.get("description", ""), str)
        written = isinstance(items, list) and all(isinstance(item, dict) for item in items)
        if not (counts and named and told and written):
            raise InputError(f"{where} is damaged: it is no entry. {advice}")
        return entry

    def _check(self, old: object, new: dict[str, Any]) -> None:
        if not isinstance(old, dict):
            raise InputError(f"{self.path} is no journal: name another output.")
        changed = sorted(name for name in new if old.get(name) != new[name])
        if changed:
            names = ", ".join(f"`{name}`" for name in changed)
            raise InputError(
                f"{self.path} was begun with other {names}: go on with the same, remove it, or name another output."
            )

    def _note(self, entry: ReplyEntry, start: int) -> None:
        for index, tokens in enumerate(entry.get("tokens", (0, 0))):
            self.usage[index] += tokens
        if "description" in entry:
            self._described[entry["id"]] = start
        if "items" in entry:
            self._places[entry["id"]] = start

    def _append(self, entry: ReplyEntry) -> int:
        return append(self._file, json_line(entry))

    def add(self, entry: ReplyEntry) -> None:
        """
        Append an entry; when this returns it is on disk.

        Args:
            entry ([`ReplyEntry`])
        """
        with self._lock:
            self._note(entry, self._append(entry))

    def __contains__(self, id: str) -> bool:
        return id in self._places

    def items(self, id: str) -> list[InstructItem]:
        """
        What was written about a finished record.

        Args:
            id (`str`): the record's.
        """
        return self._entry(self._places[id])["items"]

    def description(self, id: str) -> str | None:
        """
        The description of a record's clip, if it was described.

        Args:
            id (`str`): the record's.
        """
        return self._entry(self._described[id])["description"] if id in self._described else None

    def _entry(self, start: int) -> ReplyEntry:
        with open(self.path, "rb") as file:
            file.seek(start)
            return self._parsed(file.readline(), start)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
