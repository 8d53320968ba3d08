"""A data set of any layout as a stream of records."""

import csv
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from huggingface_hub.dataclasses import type_validator

from ..closed_set.label_set import check_labels
from ..closed_set.question import Preset
from ..input_error import InputError
from ..processing.setting_checks import shown
from .label_map import KEEP, LabelMap
from .layouts import afew, affectnet, class_folders, dfew, fer2013, ferplus, ferv39k, llava, mafw, raf_db, table
from .layouts.loaded_dataset import is_loaded
from .record import Record, RecordError

logger = logging.getLogger(__name__)


class Layout(NamedTuple):
    """
    One way to lie on disk.

    Args:
        rows (`Callable`): reads it.
        label_map (`str`): the file in `labels/` that goes with it.
        is_here (`Callable`): whether a path looks like it.
        looked_for (`str`): by what that is told.
        folds (`int`, *optional*, defaults to 0): official folds, as option `fold` where there are several.
    """

    rows: Callable[..., Iterator[Record | RecordError]]
    label_map: str
    is_here: Callable[[Path], bool]
    looked_for: str
    folds: int = 0


# Those of any data, which are told by little, come after those of single data sets.
LAYOUTS: dict[str, Layout] = {
    "raf_db": Layout(raf_db.rows, "raf_db", raf_db.is_here, raf_db.LOOKED_FOR),
    "affectnet": Layout(affectnet.rows, "affectnet", affectnet.is_here, affectnet.LOOKED_FOR),
    "fer2013": Layout(fer2013.rows, "fer2013", fer2013.is_here, fer2013.LOOKED_FOR),
    "ferplus": Layout(ferplus.rows, "ferplus", ferplus.is_here, ferplus.LOOKED_FOR),
    "afew": Layout(afew.rows, "afew", afew.is_here, afew.LOOKED_FOR, 1),
    "sfew": Layout(afew.rows, "afew", afew.is_sfew, afew.LOOKED_FOR, 1),
    "dfew": Layout(dfew.rows, "dfew", dfew.is_here, dfew.LOOKED_FOR, 5),
    "ferv39k": Layout(ferv39k.rows, "ferv39k", ferv39k.is_here, ferv39k.LOOKED_FOR, 1),
    "mafw": Layout(mafw.rows, "mafw", mafw.is_here, mafw.LOOKED_FOR, 5),
    "llava": Layout(llava.rows, "common", llava.is_here, llava.LOOKED_FOR),
    "table": Layout(table.rows, "common", table.is_here, table.LOOKED_FOR),
    "class_folders": Layout(class_folders.rows, "common", class_folders.is_here, class_folders.LOOKED_FOR),
}
COMMON = ("llava", "table", "class_folders")
ON_ERROR = ("raise", "skip")


def layout_of(path: Path) -> str:
    """
    The layout of a data set, told from its files: of the single data set that it looks like, or else a common one.

    Args:
        path (`Path`): the data set's folder or file.

    Raises:
        `InputError`: it looks like none, or like several.
    """
    found = [name for name, layout in LAYOUTS.items() if layout.is_here(path)]
    found = [name for name in found if name not in COMMON] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"`path`: {path} looks like {' and '.join(found)}: say which it is with `layout`.")
    looked_for = "; ".join(f"{name}: {layout.looked_for}" for name, layout in LAYOUTS.items())
    raise InputError(
        f"`path`: {path} looks like no known layout: give its top folder, or its `layout`. Looked for {looked_for}."
    )


class Records:
    """
    A data set, read anew from disk each time it is iterated; in memory are the row at hand and the names of files.

    Rows name files as their author wrote them, by absolute paths and by such that lead out of the folder (`../`) too,
    and these are read: give only data sets of people whom you would let choose files of yours.

    Args:
        path (`str`, `Path`, `datasets.Dataset` or `datasets.IterableDataset`):
            The data set's folder or file, or what the library `datasets` has loaded or streams of one.
        layout (`str`, *optional*):
            One of `LAYOUTS`, by default told from the files, see [`layout_of`].
        split (`str`, *optional*): `"train"`, `"validation"` or `"test"`; every split by default.
        label_map (`str`, `Path` or `LabelMap`, *optional*):
            What the labels mean: a JSON file or the name of one in `labels/`; by default the layout's own; `"keep"`
            leaves them as they are.
        labels (`list[str]` or [`Preset`], *optional*):
            Label set of every record, or the preset whose one it is; by default what its row names, or else what the
            label map names. Emotions take its words (`happiness` for `happy`, see `labels/common.json`) unless
            `label_map` is `"keep"`.
        default_labels (`list[str]`, *optional*):
            Label set of records whose data have none of their own; emotions take its words too.
        name (`str`, *optional*): of the data set, for messages and reports; by default that of its file or folder.
        on_error (`str`, *optional*, defaults to `"raise"`):
            `"raise"` a [`RecordError`] for a row that cannot be read, whose label is unknown or not in the set, or
            whose file is missing or also in another split, or `"skip"` it: it is then logged and added to `skipped`.
        options (`Any`, *optional*): of the layout: `fold`, `aligned`, `emotion_column`, ...; see its `rows`.

    Attributes:
        skipped (`list[RecordError]`): what the latest iteration skipped.
        without_emotion (`int`): rows that the data set itself marks as no emotion, left out by the latest iteration.

    Raises:
        `FileNotFoundError`: `path` is not there, or not of this layout.
        `InputError`: an unknown layout or option, or one that cannot be told, or no row has this split.
    """

    def __init__(
        self,
        path: Any,
        layout: str | None = None,
        split: str | None = None,
        label_map: str | Path | LabelMap | None = None,
        labels: Sequence[str] | Preset | None = None,
        default_labels: Sequence[str] | None = None,
        name: str | None = None,
        on_error: str = "raise",
        **options: Any,
    ) -> None:
        self.path: Any = None  # a data set in memory has none
        if is_loaded(path):
            self._source, layout = path, layout or "table"
            if layout != "table":
                raise InputError(f"`layout` of a loaded data set is 'table', got {layout!r}: leave it out.")
            self.name = str(name or path.info.dataset_name or "dataset")
        else:
            self._source = self.path = Path(path)
            if not self.path.exists():
                raise FileNotFoundError(f"`path`: {path} is not there.")
            self.name = name or self.path.resolve().stem
        self._place = str(self.path or self.name)
        if layout is None:
            layout = layout_of(self._source)
            logger.info("%s is read as %s.", path, layout)
        if layout not in LAYOUTS:
            raise InputError(f"`layout` must be one of {', '.join(LAYOUTS)}, got {layout!r} for {self._place}.")
        if on_error not in ON_ERROR:
            raise InputError(f"`on_error` must be {' or '.join(ON_ERROR)}, got {on_error!r}.")
        if split is not None:
            if not isinstance(split, str):
                raise InputError(f"`split` must be train, validation or test, got {split!r}.")
            split = class_folders.SPLITS.get(split.lower(), split)
        self.layout, self.split, self.on_error, self.options = layout, split, on_error, options
        self._rows = LAYOUTS[layout].rows
        known = list(inspect.signature(self._rows).parameters)[1:]
        if unknown := sorted(set(options) - set(known)):
            raise InputError(f"Layout {layout!r} has no option {unknown[0]!r}, only {', '.join(known) or 'none'}.")
        kinds = get_type_hints(self._rows)
        for option, value in options.items():
            try:
                type_validator(option, value, kinds[option])
            except TypeError as error:
                raise InputError(f"`{option}` of layout {layout!r} cannot be {shown(value)}: {error}") from error
        self.label_map = None
        if label_map != KEEP:
            given = label_map or LAYOUTS[layout].label_map
            self.label_map = given if isinstance(given, LabelMap) else LabelMap.from_file(given)
        self._mapped = label_map is not None
        self._words = LabelMap.from_file("common")
        if isinstance(labels, Preset):
            labels = labels.labels(layout)
        self.labels = None if labels is None else check_labels(labels)
        self.default_labels = None if default_labels is None else check_labels(default_labels)
        self.skipped: list[RecordError] = []
        self.without_emotion = 0

    def __iter__(self) -> Iterator[Record]:
        self.skipped, self.without_emotion = [], 0
        splits: set[str] = set()
        places: dict[str, tuple[str, str]] = {}  # split and row of each file, which no two splits share
        found = False
        for item in self._read():
            if isinstance(item, Record) and item.split and isinstance(item.visual, str):
                split, row = places.setdefault(item.visual, (item.split, item.row))
                if split != item.split:
                    item = RecordError(item.row, f"{item.visual} is in split {split} too, at {row}: leave one out")
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
            raise InputError(f"{self._place} as {self.layout} has no rows{there}.")

    def _read(self) -> Iterator[Record | RecordError]:
        """The layout's rows; what makes the file as a whole unreadable is told of the file."""
        try:
            yield from self._rows(self._source, **self.options)
        except InputError:
            raise
        except FileNotFoundError as error:
            if error.errno is None:
                raise  # a layout's own words
            options = ", ".join(list(inspect.signature(self._rows).parameters)[1:])
            others = f", or choose other files by its options ({options})" if options else ""
            raise FileNotFoundError(
                f"{error.filename} is not there, which {self.layout} is read from: put it there{others}."
            ) from error
        except (ValueError, csv.Error, NotImplementedError, OSError) as error:  # not UTF-8, no Parquet, ...
            if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
                raise  # the system's, or of a file that is not there; Arrow's are neither
            raise InputError(f"{self._place} cannot be read as {self.layout}: {error}") from error

    def _checked(self, item: Record | RecordError) -> Record | None:
        """The row with its canonical label and its label set; `None` if it is marked as no emotion."""
        if isinstance(item, RecordError):
            raise item
        # A row that names its label set names its label in the words of this set.
        own = item.emotion_labels if not self._mapped else None
        if own is None and item.emotion is not None and self.label_map is not None:
            if item.emotion not in self.label_map:
                raise RecordError(item.row, f"label {item.emotion!r} is not in the label map {self.label_map.name!r}")
            meaning = self.label_map.meaning(item.emotion)
            if meaning is None:
                return None
            item = replace(item, emotion=meaning)
        if own is None and self.label_map is not None:
            own = self.label_map.label_set
        labels = self.labels or own or self.default_labels
        emotion = item.emotion
        if labels is not None and labels is not own and emotion is not None and self.label_map is not None:
            emotion = self._words.among(emotion, labels) or emotion
        item = replace(item, dataset=item.dataset or self.name, emotion=emotion, emotion_labels=labels)
        if labels is not None:
            item.closed_set()
        item.check_file()
        return item
