"""A data set of any layout as a stream of records."""

import csv
import inspect
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..input_error import InputError
from .label_map import KEEP, LabelMap
from .layouts import afew, affectnet, class_folders, dfew, fer2013, ferplus, ferv39k, llava, mafw, raf_db, table
from .record import Record, RecordError

logger = logging.getLogger(__name__)

# What reads each layout, and the label map in `labels/` that goes with it.
LAYOUTS: dict[str, tuple[Callable[..., Iterator[Record | RecordError]], str]] = {
    "llava": (llava.rows, "common"),
    "class_folders": (class_folders.rows, "common"),
    "table": (table.rows, "common"),
    "raf_db": (raf_db.rows, "raf_db"),
    "affectnet": (affectnet.rows, "affectnet"),
    "fer2013": (fer2013.rows, "fer2013"),
    "ferplus": (ferplus.rows, "ferplus"),
    "afew": (afew.rows, "afew"),
    "sfew": (afew.rows, "afew"),
    "dfew": (dfew.rows, "dfew"),
    "ferv39k": (ferv39k.rows, "ferv39k"),
    "mafw": (mafw.rows, "mafw"),
}
SUFFIXES = {".json": "llava", ".jsonl": "llava", ".csv": "table", ".tsv": "table", ".parquet": "table"}
ON_ERROR = ("raise", "skip")


class Records:
    """
    A data set, read anew from disk each time it is iterated; nothing but the row at hand is in memory.

    Rows name files as their author wrote them, by absolute paths and by such that lead out of the folder (`../`) too,
    and these are read: give only data sets of people whom you would let choose files of yours.

    Args:
        path (`str` or `Path`): the data set's folder or file.
        layout (`str`, *optional*):
            One of `LAYOUTS`. By default JSON is LLaVA's, CSV, TSV and Parquet are tables, a folder has class folders.
        split (`str`, *optional*): `"train"`, `"validation"` or `"test"`; every split by default.
        label_map (`str`, `Path` or `LabelMap`, *optional*):
            What the labels mean: a JSON file or the name of one in `labels/`; by default the layout's own; `"keep"`
            leaves them as they are.
        on_error (`str`, *optional*, defaults to `"raise"`):
            `"raise"` a [`RecordError`] for a row that cannot be read, whose label is unknown or whose file is missing,
            or `"skip"` it: it is then logged and added to `skipped`.
        options (`Any`, *optional*): of the layout: `fold`, `aligned`, `emotion_column`, ...; see its `rows`.

    Attributes:
        skipped (`list[RecordError]`): what the latest iteration skipped.
        without_emotion (`int`): rows that the data set itself marks as no emotion, left out by the latest iteration.

    Raises:
        `FileNotFoundError`: `path` is not there, or not of this layout.
        `InputError`: an unknown layout or option, or no row has this split.
    """

    def __init__(
        self,
        path: str | Path,
        layout: str | None = None,
        split: str | None = None,
        label_map: str | Path | LabelMap | None = None,
        on_error: str = "raise",
        **options: Any,
    ) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"`path`: {path} is not there.")
        if layout is None:
            layout = "class_folders" if self.path.is_dir() else SUFFIXES.get(self.path.suffix.lower())
        if layout not in LAYOUTS:
            raise InputError(f"`layout` must be one of {', '.join(LAYOUTS)}, got {layout!r} for {path}.")
        if on_error not in ON_ERROR:
            raise InputError(f"`on_error` must be {' or '.join(ON_ERROR)}, got {on_error!r}.")
        if split is not None:
            if not isinstance(split, str):
                raise InputError(f"`split` must be train, validation or test, got {split!r}.")
            split = class_folders.SPLITS.get(split.lower(), split)
        self.layout, self.split, self.on_error, self.options = layout, split, on_error, options
        self._rows, own_labels = LAYOUTS[layout]
        known = list(inspect.signature(self._rows).parameters)[1:]
        if unknown := sorted(set(options) - set(known)):
            raise InputError(f"Layout {layout!r} has no option {unknown[0]!r}, only {', '.join(known) or 'none'}.")
        self.label_map = None
        if label_map != KEEP:
            given = label_map or own_labels
            self.label_map = given if isinstance(given, LabelMap) else LabelMap.from_file(given)
        self.skipped: list[RecordError] = []
        self.without_emotion = 0

    def __iter__(self) -> Iterator[Record]:
        self.skipped, self.without_emotion = [], 0
        splits: set[str] = set()
        found = False
        for item in self._read():
            if isinstance(item, Record):
                splits.add(item.split or "none")
                if self.split not in (None, item.split):
                    continue
            try:
                record = self._checked(item)
            except RecordError as error:
                if self.on_error == "raise":
                    raise
                logger.warning("Skipped %s", error)
                self.skipped.append(error)
                continue
            found = True
            if record is None:
                self.without_emotion += 1
            else:
                yield record
        if not found and not self.skipped:
            there = f" of split {self.split!r}, only of {', '.join(sorted(splits))}" if splits and self.split else ""
            raise InputError(f"{self.path} as {self.layout} has no rows{there}.")

    def _read(self) -> Iterator[Record | RecordError]:
        """The layout's rows; what makes the file as a whole unreadable is told of the file."""
        try:
            yield from self._rows(self.path, **self.options)
        except InputError:
            raise
        except (ValueError, csv.Error, NotImplementedError) as error:  # not UTF-8, a null character, no Parquet, ...
            raise InputError(f"{self.path} cannot be read as {self.layout}: {error}") from error

    def _checked(self, item: Record | RecordError) -> Record | None:
        """The row with its canonical label; `None` if it is marked as no emotion."""
        if isinstance(item, RecordError):
            raise item
        if item.emotion is not None and self.label_map is not None:
            if item.emotion not in self.label_map:
                raise RecordError(item.row, f"label {item.emotion!r} is not in the label map {self.label_map.name!r}")
            meaning = self.label_map.meaning(item.emotion)
            if meaning is None:
                return None
            item = replace(item, emotion=meaning)
        item.check_file()
        return item
