"""The faces in three parts: those to learn from, those to choose settings by, and those looked at in the end alone."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow.parquet as pq
import torch

from emo_llama_hf.data import Records
from emo_llama_hf.data.record import Record

Part: TypeAlias = Literal["learn", "choose", "report"]

VOTED = ("angry", "disgusted", "afraid", "happy", "sad", "surprised", "neutral", "contemptuous")
VOTE_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")


class Parts:
    """
    Reads them: the training files are split by row, the validation files are the part for the report.

    Args:
        data (`Path`): folder of the data sets.
        files (`dict[str, dict[str, str]]`): of `emotions`, `votes` and `attributes`, the `train` and the `valid` file.
        choose_every (`int`): of the training rows, every so manieth is kept to choose by.
    """

    def __init__(self, data: Path, files: dict[str, dict[str, str]], choose_every: int):
        self.data, self.files, self.choose_every = data, files, choose_every

    def records(self, kind: str, part: Part) -> Iterator[Record]:
        """The records of `emotions` or `attributes` in a part, in the files' order."""
        return self._rows(iter(Records(self._file(kind, part))), part)

    def votes(self, part: Part) -> torch.Tensor:
        """
        What share of the voters saw each of `VOTED` in the faces of `emotions` (N, 8): those who could not tell and
        those who saw no face are left out; all zero where nobody voted.
        """
        file = pq.read_table(self._file("votes", part))
        names = file.schema.metadata[b"vote_names"].decode().split(",")
        order = [names.index(name) for name in VOTE_NAMES]
        rows = [[0] * len(names) if row is None else row for row in file["votes"].to_pylist()]
        counts = torch.tensor(list(self._rows(iter(rows), part)), dtype=torch.float32)[:, order]
        return counts / counts.sum(1, keepdim=True).clamp(min=1)

    def majority(self, part: Part) -> list[str | None]:
        """
        What more than half of the ten saw in each face of `emotions`, a single vote for anything left out, as the
        authors of FER+ count; `None` where they do not agree, could not tell or saw no face.
        """
        file = pq.read_table(self._file("votes", part))
        names = file.schema.metadata[b"vote_names"].decode().split(",")
        called = dict(zip(VOTE_NAMES, VOTED, strict=True))
        found: list[str | None] = []
        for row in self._rows(iter(file["votes"].to_pylist()), part):
            counts = [count if count > 1 else 0 for count in row or [0] * len(names)]
            most = max(range(len(names)), key=counts.__getitem__)
            found.append(called.get(names[most]) if counts[most] > sum(counts) / 2 else None)
        return found

    def _file(self, kind: str, part: Part) -> Path:
        return self.data / self.files[kind]["valid" if part == "report" else "train"]

    def _rows(self, rows: Iterator[Any], part: Part) -> Iterator[Any]:
        if part == "report":
            return rows
        if part == "choose":
            return islice(rows, 0, None, self.choose_every)
        return (row for number, row in enumerate(rows) if number % self.choose_every)
