"""Labels of data sets to one canonical set, by the data files in `labels/`."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..closed_set.label_set import check_labels
from ..input_error import InputError
from ..json_text import UNREADABLE

LABEL_FOLDER = Path(__file__).parent / "labels"
KEEP = "keep"


def canonical_labels() -> list[str]:
    """The names that every data set's labels are mapped to: `EmoLlamaConfig`'s, and four more that some sets have."""
    labels: list[str] = json.loads((LABEL_FOLDER / "canonical.json").read_text("utf-8"))["labels"]
    return labels


class LabelMap:
    """
    What each label of a data set means.

    Args:
        labels (`dict[str, str | None]`): meaning of each label, without regard to case; `None` for "no emotion".
        name (`str`, *optional*, defaults to `"labels"`): what messages call it.
        label_set (`list[str]`, *optional*):
            The closed set of the data, in its order: what a question about them offers. A map of words that any data
            may use has none.

    Raises:
        `InputError`: `label_set` is none, or lacks a meaning.
    """

    def __init__(
        self, labels: dict[str, str | None], name: str = "labels", label_set: Sequence[str] | None = None
    ) -> None:
        self._labels = {_key(label): meaning for label, meaning in labels.items()}
        self.name = name
        self.label_set = None if label_set is None else check_labels(label_set, "label_set")
        strange = {meaning for meaning in labels.values() if meaning is not None} - set(self.label_set or ())
        if self.label_set is not None and strange:
            raise InputError(f"`label_set` of {name!r} lacks {', '.join(sorted(strange))}, which labels mean.")

    @classmethod
    def from_file(cls, path: str | Path) -> "LabelMap":
        """
        Read `{"labels": {"written in the data": "meaning", "not an emotion": null}, "label_set": ["meaning"]}`, the
        latter *optional*.

        Args:
            path (`str` or `Path`): a JSON file, or the name of one that comes with the package, such as `"raf_db"`.

        Raises:
            `FileNotFoundError`: neither a file nor a name.
            `InputError`: not such a file.
        """
        path = Path(path)
        own = LABEL_FOLDER / f"{path.name}.json"
        if not path.suffix and own.is_file():
            path = own
        if not path.is_file():
            known = ", ".join(sorted({file.stem for file in LABEL_FOLDER.glob("*.json")} - {"canonical"}))
            raise FileNotFoundError(f"`label_map`: {str(path)!r} is neither a JSON file nor one of {known}.")
        try:
            content = json.loads(path.read_text("utf-8"))
            labels = content["labels"]
            if not all(isinstance(meaning, (str, type(None))) for meaning in labels.values()):
                raise TypeError("a meaning is neither text nor null")
        except (*UNREADABLE, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f'`label_map`: {path} must hold {{"labels": {{"label": "meaning"}}}}: {error!r}'
            ) from error
        return cls(labels, path.stem, content.get("label_set"))

    def meaning(self, label: str) -> str | None:
        """
        The canonical label; `None` where the data set says that there is no emotion to see.

        Args:
            label (`str`): as the data set writes it, in any case.

        Raises:
            `KeyError`: a label that the map does not know.
        """
        return self._labels[_key(label)]

    def __contains__(self, label: str) -> bool:
        return _key(label) in self._labels

    def canonical(self, label: str) -> str:
        """
        The canonical label, or the label itself where the map has none for it.

        Args:
            label (`str`): in any words.
        """
        return self._labels.get(_key(label)) or label

    def words(self, label: str) -> set[str]:
        """
        Every way to write a label, itself included, in lower case.

        Args:
            label (`str`): canonical, or in other words.
        """
        meaning = self.canonical(label)
        return {_key(label), _key(meaning)} | {word for word, other in self._labels.items() if other == meaning}

    def among(self, label: str, labels: Sequence[str]) -> str | None:
        """
        A label in the words of a label set: `"happiness"` where that is the set's word for `"happy"`.

        Args:
            label (`str`): canonical, or in other words.
            labels (`Sequence[str]`): the label set.

        Returns:
            `str`, *optional*: itself if the set has it; `None` if nothing in the set means the same, or several do.
        """
        if label in labels:
            return label
        words = self.words(label)
        same = [other for other in labels if _key(other) in words]
        return same[0] if len(same) == 1 else None


def _key(label: str) -> str:
    return label.strip().casefold()
