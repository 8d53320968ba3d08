"""What may be a set of labels."""

from collections.abc import Sequence

from ..input_error import InputError
from ..processing.setting_checks import shown


def check_labels(labels: Sequence[str]) -> list[str]:
    """
    The labels, stripped.

    Args:
        labels (`Sequence[str]`): a list or tuple of words.

    Raises:
        `InputError`: there is none, one is empty or no text, or one occurs twice.
    """
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"`labels` must be a list of words, got {shown(labels)}.")
    labels = [label.strip() for label in labels]
    if not labels or not all(labels):
        raise InputError(f"`labels` must name at least one label and none may be empty, got {shown(labels)}.")
    if len(set(labels)) < len(labels):
        raise InputError(f"`labels` has the same label more than once: {shown(labels)}.")
    return labels
