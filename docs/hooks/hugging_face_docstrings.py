"""Docstrings in Hugging Face's style as Markdown, with links where they name what the reference has."""

import ast
import re
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import griffe

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises):\n((?:(?:[ ]+.*)?(?:\n|\Z))+)", re.MULTILINE)
TITLES = {"Args": "Parameters"}
NAMED = re.compile(r"\[`(~?)([\w.]+)`\](?![(\[])")
ENTRY = re.compile(r"\n(?=\S)")
NAMES = re.compile(r"\*{0,2}\w+(?:, \*{0,2}\w+)*(?= \(|: )")


def _documented() -> dict[str, str]:
    """What the reference has, by its last name."""
    pages = "\n".join(page.read_text("utf-8") for page in REFERENCE.glob("*.md"))
    return {path.rpartition(".")[2]: path for path in re.findall(r"^::: ([\w.]+)$", pages, re.MULTILINE)}


class HuggingFaceDocstrings(griffe.Extension):
    """Rewrites every docstring when it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.documented = _documented()

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            text = SECTION.sub(_section, obj.docstring.value + "\n")
            obj.docstring.value = NAMED.sub(self._link, text).strip()

    def on_attribute(self, *, attr: griffe.Attribute, **kwargs: Any) -> None:
        if attr.docstring is None and (text := _help(attr.value)):
            attr.docstring = griffe.Docstring(text, parent=attr)

    def _link(self, named: re.Match[str]) -> str:
        name, _, member = named[2].partition(".")
        text = f"<code>{member if named[1] and member else named[2]}</code>"
        if name not in self.documented:
            return text
        # Optional: a member without a docstring has no place.
        place = ".".join(filter(None, (self.documented[name], member)))
        return f'<autoref identifier="{place}" optional>{text}</autoref>'


def _help(value: Any) -> str:
    """What a dataclass's field says of itself in `metadata`; `…` stands for what only a run would tell."""
    if value is None or "metadata" not in str(value):
        return ""
    found = [
        text
        for holder in ast.walk(ast.parse(str(value), mode="eval"))
        if isinstance(holder, ast.Dict)
        for key, text in zip(holder.keys, holder.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "help"
    ]
    parts = [part for text in found for part in (text.values if isinstance(text, ast.JoinedStr) else [text])]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


def _section(found: re.Match[str]) -> str:
    """A section's entries as a list, or its text."""
    title, body = found[1], dedent(found[2]).strip()
    if title in ("Args", "Attributes", "Raises"):
        body = re.sub(r",\n(?=\S)", ", ", body)  # an entry whose names take two lines
        body = "\n".join(_item(entry) for entry in ENTRY.split(body))
    return f"**{TITLES.get(title, title)}**\n\n{body}\n\n"


def _item(entry: str) -> str:
    first, _, rest = entry.partition("\n")
    names = NAMES.match(f"{first} (" if " " not in first else first)
    if names:
        bold = ", ".join(f"**`{name}`**" for name in names[0].split(", "))
        first = bold + first[names.end() :]
    rest = dedent(rest)
    if "\n\n" in rest or "\n- " in f"\n{rest}":
        return f"- {first}\n\n{indent(rest, '    ')}"
    return f"- {first} {' '.join(rest.split())}".rstrip()
