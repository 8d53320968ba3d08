"""What may be a set of labels."""

from collections.abc import Sequence

from ..input_error import InputError, input_errors
from ..processing.media_limits import current_limits
from ..processing.setting_checks import shown


def check_labels(labels: Sequence[str], name: str = "labels") -> list[str]:
    """
    The labels, stripped.

    Args:
        labels (`Sequence[str]`): a list or tuple of words.
        name (`str`, *optional*, defaults to `"labels"`): what messages call it.

    Raises:
        `InputError`:
            There are less than two, one is empty or no text, one occurs twice, or they are more or longer than the
            [`MediaLimits`] allow.
    """
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"`{name}` must be a list of words, got {shown(labels)}.")
    labels = [label.strip() for label in labels]
    if len(labels) < 2 or not all(labels):
        raise InputError(
            f"`{name}` must name at least two labels and none may be empty, got {shown(labels)}: scores say which of "
            "them it is, so one alone would always have 100%."
        )
    if len(set(labels)) < len(labels):
        raise InputError(f"`{name}` has the same label more than once: {shown(labels)}.")
    with input_errors():
        current_limits().check(name, labels, "max_labels")
        for index, label in enumerate(labels):
            current_limits().check(f"{name}[{index}]", label, "max_label_characters")
    return labels
