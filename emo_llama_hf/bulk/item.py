"""One input of many, which is read when its turn comes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Item:
    """
    What is to be answered about, and what it is called.

    Args:
        id (`str`): its path, URL, or place in a table or archive.
        read (`Callable[[], Any]`): gives what [`EmotionChatPipeline`] takes; called once, before the next item.

    Raises:
        `ValueError` or `OSError`: of `read`, where it is no input.
    """

    id: str
    read: Callable[[], Any]
