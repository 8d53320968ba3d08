"""Rows of a timeline as a file that is written while they come: CSV, JSON or Parquet."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from ...input_error import InputError
from ...missing_package import MissingPackageError
from ..flat_columns import flat_perceived, perceived_columns, with_labels
from .row import TimelineRow
from .timeline import Timeline

Write: TypeAlias = Callable[[TimelineRow], None]

BOX = ("xmin", "ymin", "xmax", "ymax")
ROWS_AT_ONCE = 1000
"""Rows of a Parquet file's row group, which wait in memory."""


def rows_file(path: Path, suffix: str, timeline: Timeline) -> AbstractContextManager[Write]:
    """
    A file to write rows to, each as it comes; it is complete on leaving.

    CSV and Parquet are flat: `time`, `person`, `xmin`, `ymin`, `xmax`, `ymax`, `emotion`, one column a label, and
    `perceived_age`, `perceived_age_score` and so on, unless attributes are switched off. JSON has the rows as they are
    and, after them, people, segments and what could not be read.

    Args:
        path (`Path`): where to write.
        suffix (`str`): `".csv"`, `".json"` or `".parquet"`.
        timeline ([`Timeline`]): whose rows will come.

    Raises:
        `InputError`: another suffix, or a label with the name of a column.
        `MissingPackageError`: pyarrow, which Parquet needs, is not installed.
    """
    if suffix not in FORMATS:
        raise InputError(f"`output` must end in {', '.join(FORMATS)}, got {suffix!r}.")
    return FORMATS[suffix](path, timeline)


@contextmanager
def _csv(path: Path, timeline: Timeline) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _columns(timeline))
        writer.writeheader()
        yield lambda row: writer.writerow(_flat(row))


@contextmanager
def _json(path: Path, timeline: Timeline) -> Iterator[Write]:
    head = {"every": timeline.every, "min_duration": timeline.min_duration, "labels": timeline.labels}
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + ', "rows": [')
        start = "\n"

        def write(row: TimelineRow) -> None:
            nonlocal start
            file.write(start + json.dumps(row))
            start = ",\n"

        yield write
        tail: dict[str, Any] = {"people": timeline.people, "segments": timeline.segments}
        tail |= {"duration": timeline.duration}
        if timeline.problem is not None:
            tail["problem"] = timeline.problem
        file.write("\n], " + json.dumps(tail)[1:] + "\n")


@contextmanager
def _parquet(path: Path, timeline: Timeline) -> Iterator[Write]:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        raise MissingPackageError(
            "`output` as Parquet needs pyarrow: pip install 'emo_llama_hf[timeline]'."
        ) from error
    texts = {"emotion", *(perceived_columns(name)[0] for name in timeline.perceived_names)}
    types = {"person": pa.int64(), **dict.fromkeys(texts, pa.string())}
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in _columns(timeline)])
    waiting: list[dict[str, Any]] = []
    with path.open("wb") as file, ParquetWriter(file, schema) as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(waiting, schema))
            waiting.clear()

        def write(row: TimelineRow) -> None:
            waiting.append(_flat(row))
            if len(waiting) == ROWS_AT_ONCE:
                flush()

        yield write
        if waiting:
            flush()


FORMATS = {".csv": _csv, ".json": _json, ".parquet": _parquet}


def _columns(timeline: Timeline) -> list[str]:
    perceived = [column for name in timeline.perceived_names for column in perceived_columns(name)]
    before = ("time", "person", *BOX, "emotion")
    return with_labels(before, timeline.labels, perceived, "write JSON, or call it otherwise")


def _flat(row: TimelineRow) -> dict[str, Any]:
    flat: dict[str, Any] = {"time": row["time"], "person": row["person"], **row["box"], "emotion": row["emotion"]}
    return flat | row["scores"] | flat_perceived(row.get("perceived", {}))
