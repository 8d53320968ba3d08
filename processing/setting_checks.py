"""Checks of settings, with errors that name the setting, its value and what it must be.

`modeling` and `processing` each have this file, the same in both: a saved folder has one for the code of both.
"""

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from reprlib import Repr
from typing import Any

import torch
from transformers import PreTrainedConfig

LARGEST_SIDE = 4096
"""Pixels along a side of the largest frames and face crops that a model may ask for."""

MOST = 2**24
"""What no width, table or number of anything in a model comes near."""

MOST_LAYERS = 1000

# The first that fits a setting's name holds.
LARGEST = (
    (r"image_size", LARGEST_SIDE),
    (r"num_\w*layers|depths?|\w+_depth", MOST_LAYERS),
    (r"num_\w+|\w+_sizes?|\w+_dim|\w+_embeddings|\w+_feed_forward", MOST),
)


SURROGATE = re.compile("[\ud800-\udfff]")


class _Short(Repr):
    """Any value in a few words: lists that hold themselves, numbers of more digits than Python writes."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() <= 1000 else f"a number of {x.bit_length()} bits"


shown = _Short().repr


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise `ValueError` unless a setting is one of its choices."""
    if value not in choices:
        raise _wrong(name, value, f"one of {', '.join(choices)}")


def check_number(name: str, value: Any, least: float, most: float) -> None:
    """Raise `ValueError` unless a setting is a finite number within its bounds, both included."""
    finite = _is_a(Real, value) and abs(value) <= sys.float_info.max
    if not (finite and least <= value <= most):
        raise _wrong(name, value, f"a number {_bounds(least, most)}")


def check_integer(name: str, value: Any, least: int, most: int) -> None:
    """Raise `ValueError` unless a setting is a whole number within its bounds, both included."""
    if not (_is_a(Integral, value) and least <= value <= most):
        raise _wrong(name, value, f"a whole number {_bounds(least, most)}")


def check_flag(name: str, value: object) -> None:
    """Raise `ValueError` unless a setting is `True` or `False`."""
    if not isinstance(value, bool):
        raise _wrong(name, value, "true or false")


def check_text(name: str, value: object) -> None:
    """Raise `ValueError` unless a setting is a text with something in it, in valid Unicode."""
    if not _is_text(value):
        raise _wrong(name, value, "a text")


def check_unicode(name: str, value: str) -> None:
    """Raise `ValueError` if a text holds half a character, which no tokenizer takes and no file."""
    if half := SURROGATE.search(value):
        raise ValueError(f"`{name}` has {half[0]!r} at {half.start()}, which is no character: decode it anew.")


def check_texts(name: str, value: object) -> None:
    """Raise `ValueError` unless a setting is a list of different texts, one at least."""
    if not isinstance(value, (list, tuple)) or not value or not all(map(_is_text, value)):
        raise _wrong(name, value, "a list of texts")
    if len(set(value)) < len(value):
        raise _wrong(name, value, "a list of texts, each different")


def check_numbers(name: str, value: object, count: int, least: float, most: float) -> None:
    """Raise `ValueError` unless a setting is a list of so many finite numbers, each within the bounds."""
    try:
        if not isinstance(value, (list, tuple)) or len(value) != count:
            raise ValueError
        for number in value:
            check_number(name, number, least, most)
    except ValueError:
        raise _wrong(name, value, f"{count} numbers {_bounds(least, most)}") from None


def check_size(name: str, value: Any, *, stretched: bool = False) -> None:
    """Raise `ValueError` unless a setting is a picture's size in pixels; one that is `stretched` has both sides."""
    try:
        sides = {side: length for side, length in dict(value).items() if length is not None}
    except (TypeError, ValueError):
        sides = {}
    if set(sides) != {"height", "width"} and (stretched or set(sides) != {"shortest_edge"}):
        raise _wrong(name, value, "a `height` and a `width`")
    for side, length in sides.items():
        check_integer(f"{name}.{side}", length, 1, LARGEST_SIDE)


def check_mapping(name: str, value: object) -> None:
    """Raise `ValueError` unless a setting is a mapping of names to values."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _wrong(name, value, "a mapping of names to values")


def check_unknown(owner: type, names: Mapping[str, Any]) -> None:
    """Raise `ValueError` if a further setting would take the place of something that its class does."""
    for name in names:
        if name.startswith("__") or callable(getattr(owner, name, None)):
            raise ValueError(f"`{name}` is no setting of {owner.__name__}: leave it out.")


def check_base_settings(config: PreTrainedConfig, prefix: str = "") -> None:
    """Raise `ValueError` unless what every configuration has is of its type; `prefix` is where this one belongs."""
    if config.dtype is not None and not (isinstance(config.dtype, torch.dtype) and config.dtype.is_floating_point):
        raise _wrong(f"{prefix}dtype", config.dtype, "a floating point type such as 'float32'")
    if config.is_encoder_decoder is not False:
        raise _wrong(f"{prefix}is_encoder_decoder", config.is_encoder_decoder, "false")
    check_integer(f"{prefix}chunk_size_feed_forward", config.chunk_size_feed_forward, 0, MOST)
    for name in ("return_dict", "output_hidden_states", "output_attentions"):
        if getattr(config, name) is not None:
            check_flag(f"{prefix}{name}", getattr(config, name))
    if config.architectures is not None:
        check_texts(f"{prefix}architectures", config.architectures)


def check_sizes(config: PreTrainedConfig, prefix: str = "") -> None:
    """
    Raise `ValueError` if a number or size of parts in a configuration is negative, or so large that building the model
    would not end; `prefix` is where it belongs.
    """
    for name, value in vars(config).items():
        bounds = next((most for pattern, most in LARGEST if re.fullmatch(pattern, name)), None)
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if bounds is not None and _is_a(Integral, number):
                check_integer(f"{prefix}{name}", number, 0, bounds)


@contextmanager
def refused(what: str) -> Iterator[None]:
    """Turn whatever a library raises on bad settings into a `ValueError` that says of what; files may be missing."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"`{what}` is not valid: {kind}{reason}") from error


def _is_a(kind: type, value: Any) -> bool:
    """Whether a value is a number of a kind, numpy's too; to Python, `True` is one."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and not SURROGATE.search(value)


def _bounds(least: float, most: float) -> str:
    return f"from {least} up" if most == math.inf else f"from {least} to {most}"


def _wrong(name: str, value: object, must_be: str) -> ValueError:
    return ValueError(f"`{name}` must be {must_be}, got {shown(value)}.")
