"""Scores and perceived attributes as columns of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..input_error import InputError
from .result import PerceivedAttribute


def with_labels(
    before: Sequence[str], labels: Sequence[str], after: Sequence[str], advice: str = "call it otherwise"
) -> list[str]:
    """
    All columns of a table that has one for each label.

    Args:
        before, after (`Sequence[str]`): the other columns.
        labels (`Sequence[str]`): the label set.
        advice (`str`, *optional*): what to do where a label is called as another column is.

    Raises:
        `InputError`: a label has the name of another column.
    """
    for label in labels:
        if label in (*before, *after):
            raise InputError(f"`labels` has {label!r}, which is a column of its own: {advice}.")
    return [*before, *labels, *after]


def perceived_columns(name: str) -> tuple[str, str]:
    """
    The columns of an attribute's label and score.

    Args:
        name (`str`): `"age"`, say.
    """
    return f"perceived_{name}", f"perceived_{name}_score"


def flat_perceived(perceived: Mapping[str, PerceivedAttribute]) -> dict[str, Any]:
    """
    Attributes by their columns.

    Args:
        perceived (`Mapping[str, PerceivedAttribute]`)
    """
    flat: dict[str, Any] = {}
    for name, value in perceived.items():
        flat |= zip(perceived_columns(name), (value["label"], value["score"]), strict=True)
    return flat
