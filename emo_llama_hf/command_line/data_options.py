"""The command-line options that say which data to read; shared by every command that reads some."""

import argparse
import json

from ..data.record_stream import LAYOUTS, ON_ERROR, Records


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add DATA, --layout, --split, --labels, --data-option and --on-error."""
    add = parser.add_argument
    add("data", metavar="DATA", help="folder or file of the data set")
    add("--layout", choices=sorted(LAYOUTS), help="how it lies on disk (default: told from DATA)")
    add("--split", metavar="S", help="train, validation or test (default: all)")
    add("--labels", metavar="L", help="JSON file with the labels' meanings, or 'keep' (default: the layout's own)")
    add(
        "--data-option",
        type=_option,
        action="append",
        default=[],
        metavar="K=V",
        help="setting of the layout, such as fold=2 or emotion_column=mood; may be repeated",
    )
    add("--on-error", choices=ON_ERROR, default="raise", help="what to do about an unreadable row (default: raise)")


def records_of(options: argparse.Namespace) -> Records:
    """
    The data that the options name.

    Raises:
        `ValueError`, `FileNotFoundError`: see [`Records`].
    """
    return Records(
        options.data,
        layout=options.layout,
        split=options.split,
        labels=options.labels,
        on_error=options.on_error,
        **dict(options.data_option),
    )


def _option(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)  # numbers, true, false and lists
    except ValueError:
        return name, value
