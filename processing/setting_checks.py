"""Checks of settings, with errors that name the setting, its value and what it must be."""

import math
from collections.abc import Sequence


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise `ValueError` unless a setting is one of its choices."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}.")


def check_number(name: str, value: object, least: float, most: float) -> None:
    """Raise `ValueError` unless a setting is a finite number within its bounds, both included."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not (number and least <= value <= most):  # type: ignore[operator]
        bounds = f"from {least} up" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"`{name}` must be a number {bounds}, got {value!r}.")
