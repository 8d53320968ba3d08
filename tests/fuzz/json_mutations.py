"""Seeded mutations of JSON files: what a hand, a script, another version or a bad disk makes of a settings file."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WRONG_VALUES: list[Any] = [
    None, True, False, 0, 1, 3, -1, -7, 10**6, 10**9, 2**63, 10**30, 0.5, -0.5, 1e308, float("nan"), float("inf"),
    "", "abc", "3", "torch", "\ud800", "x" * 10_000, [], [0], [None], ["a"], [1, 2, 3, 4, 5], [[]], {}, {"a": 1},
    {"height": -1, "width": 10**6},
]  # fmt: skip


def linked_copy(source: Path, folder: Path, without: str) -> Path:
    """Make a folder that holds what `source` does, as links, but for one file: where that would be is returned."""
    for path in source.rglob("*"):
        copied = folder / path.relative_to(source)
        if path.is_dir():
            copied.mkdir(parents=True, exist_ok=True)
        elif copied != folder / without:
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.symlink_to(path)
    return folder / without


def mutated(content: bytes, dice: random.Random) -> tuple[str, bytes]:
    """What was changed in a JSON file, and what it holds now."""
    if dice.random() < 0.1:
        return _broken_text(content, dice)
    tree = json.loads(content)
    parent, key, name = dice.choice(list(_places(tree)))
    kind = dice.choices(["value", "missing", "unknown", "swapped"], weights=[7, 2, 1, 1])[0]
    if kind == "missing":
        del parent[key]
        return f"{name} left out", _dump(tree)
    if kind == "unknown":
        unknown = dice.choice(["foo", "_private", "__class__", "validate", "to_dict", "Größe", ""])
        target = parent if isinstance(parent, dict) else tree
        target[unknown] = value = copy.deepcopy(dice.choice(WRONG_VALUES))
        return f"{name} gets a neighbour {unknown!r}={value!r:.60}", _dump(tree)
    if kind == "swapped":  # a value that is right elsewhere in the file
        other_parent, other_key, other = dice.choice(list(_places(tree)))
        parent[key] = copy.deepcopy(other_parent[other_key])
        return f"{name} = that of {other}", _dump(tree)
    parent[key] = value = copy.deepcopy(dice.choice(WRONG_VALUES))
    return f"{name} = {value!r:.60}", _dump(tree)


def _places(tree: Any, prefix: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Values of nested dicts and lists: what holds each, its key and its name; of long ones only the first."""
    items: list[tuple[Any, Any]] = []
    if isinstance(tree, dict):
        items = list(tree.items())[:60]
    elif isinstance(tree, list):
        items = list(enumerate(tree))[:2]
    for key, value in items:
        name = f"{prefix}.{key}" if prefix else str(key)
        yield tree, key, name
        yield from _places(value, name)


def _broken_text(content: bytes, dice: random.Random) -> tuple[str, bytes]:
    cut = dice.randrange(len(content))
    return dice.choice(
        [
            (f"cut off at byte {cut}", content[:cut]),
            ("empty", b""),
            ("null", b"null"),
            ("a list", b"[1, 2]"),
            ("a string", b'"model"'),
            ("an empty object", b"{}"),
            ("nested too deep", b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
            ("not UTF-8", content[:cut] + b"\xff\xfe" + content[cut:]),
            (f"a zero byte at {cut}", content[:cut] + b"\0" + content[cut + 1 :]),
            ("zeros of the same length", bytes(len(content))),
        ]
    )


def _dump(tree: Any) -> bytes:
    return json.dumps(tree, indent=2).encode()
