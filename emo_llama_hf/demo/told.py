"""What the page tells beside answers: what it is doing, what went wrong."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..chat.error_text import error_text

NAMES = {"image": "the photo", "video": "the video", "inputs": "the question"}  # what visitors call arguments


def working(text: str) -> str:
    """
    What is being done, as HTML that a screen reader reads out.

    Args:
        text (`str`)
    """
    return f'<div class="told" role="status"><p>{escape(text)}</p></div>'


def noted(notes: Sequence[str]) -> str:
    """
    What a visitor should read about what was looked at, as HTML; nothing for none.

    Args:
        notes (`list[str]`)
    """
    paragraphs = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f'<div class="told" role="status">{paragraphs}</div>' if notes else ""


def failed(error: Exception, path: str | None = None) -> str:
    """
    What went wrong, as HTML.

    Args:
        error (`Exception`)
        path (`str`, *optional*): of the visitor's file, whose folder on this machine is nobody's business.
    """
    text = " ".join(error_text(error).split())
    if path is not None:
        text = text.replace(path, Path(path).name)
    text = re.sub(r"`(\w+)`", lambda found: NAMES.get(found[1], found[0]), text)
    text = text[:1].upper() + text[1:]
    return f'<div class="told error" role="alert"><p>{escape(text)}</p></div>'
