"""JSON as journals and settings have it: lines that any value fits in, and damage told by the file's name."""

import json
from typing import Any

from .input_error import InputError

UNREADABLE = (ValueError, RecursionError)  # no JSON, not UTF-8, or nested without end


def json_line(value: Any) -> bytes:
    """
    A value as a line of UTF-8; half a character, as names of files may have, as the escape that JSON has for it.

    Args:
        value (`Any`): what JSON can hold.
    """
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def read_object(content: bytes, where: str, advice: str) -> dict[str, Any]:
    """
    The object that a text of JSON holds.

    Args:
        content (`bytes`): the text.
        where (`str`): where it stands.
        advice (`str`): what to do where it is damaged.

    Raises:
        `InputError`: it is no JSON, or no object.
    """
    try:
        value = json.loads(content)
    except UNREADABLE as error:
        raise InputError(f"{where} is damaged: {error}. {advice}") from error
    if not isinstance(value, dict):
        raise InputError(f"{where} must hold a JSON object, not {type(value).__name__}. {advice}")
    return value
