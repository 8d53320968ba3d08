"""Data sets of the library `datasets`, already loaded or streamed: their columns, rows, classes and split."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any


def is_loaded(value: object) -> bool:
    """Whether it is a `datasets.Dataset` or `datasets.IterableDataset`: whoever has one has imported the library."""
    library = sys.modules.get("datasets")
    return library is not None and isinstance(value, (library.Dataset, library.IterableDataset))


def split_of(dataset: Any) -> str | None:
    """The split that a data set is, or is a part of, as it names it."""
    return None if dataset.split is None else str(dataset.split).partition("[")[0]


def loaded_rows(dataset: Any) -> tuple[list[str], Iterator[tuple[int, int, dict[str, Any]]]]:
    """
    Columns of a data set, and its rows with their numbers: pictures and clips as files, classes by name.

    Args:
        dataset (`datasets.Dataset` or `datasets.IterableDataset`)
    """
    features = dataset.features or {}
    for name, feature in features.items():
        if getattr(feature, "decode", False):  # files are read when they are needed
            dataset = dataset.cast_column(name, replace(feature, decode=False))
    classes = {name: feature.names for name, feature in features.items() if getattr(feature, "names", None)}
    names = list(dataset.column_names or next(iter(dataset), {}))
    return names, ((number, number, with_classes(item, classes)) for number, item in enumerate(dataset))


def with_classes(item: dict[str, Any], classes: Mapping[str, list[str]]) -> dict[str, Any]:
    """
    A row with names of classes for their numbers; `None` where a number is none of a class, which -1 stands for.

    Args:
        item (`dict[str, Any]`): the row.
        classes (`Mapping[str, list[str]]`): names of the classes of each column that has some.
    """
    named = dict(item)
    for name, words in classes.items():
        number = named.get(name)
        if isinstance(number, int):
            named[name] = words[number] if 0 <= number < len(words) else None
    return named
