"""Wordings: questions, templates, the prompt for language models, and what marks an unusable reply."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def read_json(name: str) -> Any:
    """
    The content of one of the JSON files beside this one.

    Args:
        name (`str`): of the file.
    """
    return json.loads((FOLDER / name).read_text("utf-8"))


def read_text(name: str) -> str:
    """
    The content of one of the text files beside this one.

    Args:
        name (`str`): of the file.
    """
    return (FOLDER / name).read_text("utf-8")
