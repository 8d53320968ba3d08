"""Folds of a cross-validation: a data set's own, or some that keep clips and people together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..input_error import InputError
from ..missing_package import MissingPackageError
from ..processing.download import is_url
from .record import Record, RecordError

TESTS = ("test", "validation")  # what official splits test on


@dataclass(frozen=True)
class Fold:
    """
    What one model is trained and tested on.

    Args:
        name (`str`)
        train (`list[Record]`)
        test (`list[Record]`)
    """

    name: str
    train: list[Record]
    test: list[Record]


def official_fold(name: str, records: Sequence[Record]) -> Fold:
    """
    A fold of a data set that says what is trained and tested on.

    Args:
        name (`str`)
        records (`list[Record]`): of every split.

    Raises:
        `InputError`: there is nothing to train or to test on.
    """
    train = [record for record in records if record.split == "train"]
    test = [record for record in records if record.split in TESTS and record.emotion is not None]
    if not train or not test:
        raise InputError(f"Fold {name} has {len(train)} records to train and {len(test)} to test on.")
    return Fold(name, train, test)


def grouped_folds(records: Sequence[Record], number: int, seed: int = 0) -> list[Fold]:
    """
    Folds with about the same emotions, in which no person and no content is in training and test data both.

    Args:
        records (`list[Record]`): those without an emotion are left out.
        number (`int`): of folds, at least 2.
        seed (`int`, *optional*, defaults to 0)

    Raises:
        `InputError`: there are fewer people and clips than folds.
        `MissingPackageError`: scikit-learn is not installed.
    """
    try:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components
        from sklearn.model_selection import StratifiedGroupKFold
    except ImportError as error:
        raise MissingPackageError("Folds need scikit-learn: pip install 'emo_llama_hf[train]'.") from error
    records = [record for record in records if record.emotion is not None]
    keys = [_keys(record) for record in records]
    places = {key: len(records) + place for place, key in enumerate(dict.fromkeys(key for row in keys for key in row))}
    pairs = [(row, places[key]) for row, own in enumerate(keys) for key in own]
    size = len(records) + len(places)
    links = coo_array(([1] * len(pairs), ([a for a, _ in pairs], [b for _, b in pairs])), shape=(size, size))
    groups = connected_components(links, directed=False)[1][: len(records)]
    if number < 2 or len(set(groups.tolist())) < number:
        found = len(set(groups.tolist()))
        raise InputError(f"`num_folds` must be from 2 to {found}, the number of people and clips, got {number}.")
    emotions = [record.emotion for record in records]
    splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    return [
        Fold(str(place), [records[index] for index in train], [records[index] for index in test])
        for place, (train, test) in enumerate(splitter.split(records, emotions, groups), 1)
    ]


def check_folds(folds: Sequence[Fold]) -> None:
    """
    Look whether what is tested on was seen: whoever or whatever is in a fold's test data must not be in its training
    data, by name or by content, nor in the test data of another fold by content.

    Args:
        folds (`list[Fold]`)

    Raises:
        `RecordError`: it was.
    """
    known: dict[str, list[str]] = {}  # by file, which folds share

    def keys(record: Record) -> list[str]:
        if isinstance(record.visual, bytes):
            return _keys(record)
        name = f"{record.subject}:{record.visual}"
        if name not in known:
            known[name] = _keys(record)
        return known[name]

    tested: dict[str, tuple[str, Record]] = {}
    for fold in folds:
        trained = {key: record for record in fold.train for key in keys(record)}
        for record in fold.test:
            for key in keys(record):
                seen, how = trained.get(key), "trains on"
                if seen is None and key.startswith("content"):
                    name, first = tested.setdefault(key, (fold.name, record))
                    seen, how = (None if name == fold.name else first), f"also tests on in fold {name}"
                if seen is not None:
                    what = "the same content" if key.startswith("content") else key.replace(":", " ", 1)
                    raise RecordError(record.row, f"fold {fold.name} tests on {what} that it {how}, at {seen.row}")


def _keys(record: Record) -> list[str]:
    """By what two records are about the same: who is seen, and a hash of the content."""
    source = record.source()
    if isinstance(source, str) and is_url(source):
        content = source
    else:
        digest = hashlib.sha256()
        for part in source if isinstance(source, list) else [source]:
            digest.update(hashlib.sha256(part if isinstance(part, bytes) else Path(part).read_bytes()).digest())
        content = digest.hexdigest()
    return [f"content:{content}", *([f"subject:{record.subject}"] if record.subject is not None else [])]
