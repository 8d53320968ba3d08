"""What may be a set of labels."""

from collections.abc import Sequence

from ..input_error import InputError


def check_labels(labels: Sequence[str], name: str = "labels") -> list[str]:
    """
    The labels, stripped.

    Args:
        labels (`Sequence[str]`): a list or tuple of words.
        name (`str`, *optional*, defaults to `"labels"`): what messages call it.

    Raises:
        `InputError`: there is none, one is empty or no text, or one occurs twice.
    """
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"`{name}` must be a list of words, got {labels!r}.")
    labels = [label.strip() for label in labels]
    if not labels or not all(labels):
        raise InputError(f"`{name}` must name at least one label and none may be empty, got {labels!r}.")
    if len(set(labels)) < len(labels):
        raise InputError(f"`{name}` has the same label more than once: {labels!r}.")
    return labels
