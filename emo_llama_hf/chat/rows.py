"""Data sets and columns of the library `datasets` as the pipeline takes many inputs."""

import sys
from typing import Any

from torch.utils.data import Dataset

from .questions import as_turns


class Rows(Dataset[Any]):
    """
    Inputs read when it is their turn.

    Args:
        rows (`Sequence`): a `datasets.Dataset` or a column of one.
    """

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return as_turns(self.rows[index])


def rows_of(inputs: Any) -> Any:
    """
    What `datasets` loads or streams, and columns of it, as torch's data set or a generator; anything else as it is.

    Args:
        inputs (`Any`): of the pipeline.
    """
    library: Any = sys.modules.get("datasets")  # whoever has one of its data sets has imported it
    if library is None:
        return inputs
    if isinstance(inputs, (library.Dataset, getattr(library.arrow_dataset, "Column", ()))):
        return Rows(inputs)
    if isinstance(inputs, (library.IterableDataset, getattr(library.iterable_dataset, "IterableColumn", ()))):
        stream: Any = inputs
        return (row for row in stream)
    return inputs
