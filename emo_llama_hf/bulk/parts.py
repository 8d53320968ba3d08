"""A folder of Parquet files, each with the rows of so many inputs, filled in any order; it goes on after a kill."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..evaluation.result_journal import changed_settings
from ..input_error import InputError
from ..json_text import UNREADABLE, json_line
from ..only_writer import only_writer
from ..whole_file import append, remove_unfinished, whole_file
from .answer_rows import AnswerRows

SETTINGS_FILE = "_settings.json"  # what begins so is no data, for all that read folders of Parquet


class Parts:
    """
    The output of an annotation.

    Part k, `part-00000k.parquet`, has the rows of inputs k·size to (k + 1)·size - 1. While it is worked on, they are
    in a journal beside it, from which the same or another process goes on.

    Args:
        folder (`str` or `Path`): made where it is missing.
        rows ([`AnswerRows`]): the columns.
        size (`int`): inputs of a part.
        settings (`dict`): what the rows depend on besides, as JSON has it.

    Raises:
        `InputError`: it has rows of other settings, or something else.
        `MissingPackageError`: pyarrow is not installed.
    """

    def __init__(self, folder: str | Path, rows: AnswerRows, size: int, settings: dict[str, Any]) -> None:
        self.folder, self.rows, self.size, self.schema = Path(folder), rows, size, rows.schema
        settings = {**settings, "labels": rows.labels, "part_size": size}
        file = self.folder / SETTINGS_FILE
        if self.folder.is_file() or (self.folder.is_dir() and not file.exists() and any(self.folder.glob("[!.]*"))):
            raise InputError(f"`output`: {folder} is something else: name a new folder for the Parquet files.")
        self.folder.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            remove_unfinished(self.folder, SETTINGS_FILE)
        if changed := changed_settings(self.folder, settings, keep=True, name=SETTINGS_FILE):
            raise InputError(f"`output`: {folder} has rows with other {changed}: remove it, or name another folder.")

    @contextmanager
    def writing(self, number: int) -> Iterator["Part"]:
        """
        One part to go on with, as the only process that does; on leaving it is whole.

        Args:
            number (`int`)

        Raises:
            `InputError`: another process is writing it.
        """
        path = self.folder / f"part-{number:06}.parquet"
        journal = path.with_name(f"_{path.stem}.jsonl")
        with only_writer(path):
            if path.exists():
                yield Part.whole(path)
            else:
                part = Part.begun(journal)
                yield part
                self._save(path, part.rows)
            journal.unlink(missing_ok=True)

    def _save(self, path: Path, rows: list[dict[str, Any]]) -> None:
        import pyarrow as pa
        from pyarrow.parquet import write_table

        with whole_file(path) as unfinished:
            write_table(pa.Table.from_pylist(rows, self.schema), unfinished)


class Part:
    """
    The rows of some inputs, which are on disk as soon as they are known.

    Args:
        journal (`Path`): their file until all are there.
        rows (`list[dict]`): what is known.
    """

    def __init__(self, journal: Path, rows: list[dict[str, Any]]) -> None:
        self.journal, self.rows = journal, rows

    @classmethod
    def whole(cls, path: Path) -> "Part":
        """One that is there, of which only the ids are read."""
        from pyarrow.parquet import read_table

        return cls(path, read_table(path, columns=["id", "person"]).to_pylist())

    @classmethod
    def begun(cls, journal: Path) -> "Part":
        """One that may have been begun; a line that a kill cut off is as if it had never been."""
        rows, end = [], 0
        if journal.exists():
            for line in journal.read_bytes().splitlines(keepends=True):
                try:
                    rows += json.loads(line)
                except UNREADABLE:
                    break
                end += len(line)
            os.truncate(journal, end)
        return cls(journal, rows)

    @property
    def known(self) -> list[str]:
        """Ids of the inputs whose rows are there, in order."""
        return [row["id"] for row in self.rows if not row.get("person")]

    def add(self, rows: list[dict[str, Any]]) -> None:
        """
        Keep the rows of the next input; when this returns they are on disk.

        Args:
            rows (`list[dict]`)
        """
        with open(self.journal, "ab", buffering=0) as file:
            append(file, json_line(rows))
        self.rows += rows
