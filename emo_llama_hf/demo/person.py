"""Somebody whom a photo or a video shows, and what the pipeline says of them."""

from dataclasses import dataclass
from typing import Protocol

from ..chat.result import EmotionResult
from ..chat_message import VisualKind
from ..processing.visual import Visual


@dataclass(frozen=True)
class Person:
    """
    Somebody, or nobody where no face was found.

    Args:
        visual ([`Visual`]): with the face that answers are about.
        result ([`EmotionResult`]): with `perceived`.
    """

    visual: Visual
    result: EmotionResult


class Shown(Protocol):
    """
    What a visitor has shown to the page.

    Attributes:
        kind (`str`): `"image"` or `"video"`.
        names (`list[str]`): what the people in it are called; one name where there is nobody.
        attributes (`bool`): whether age, gender and race may be perceived.
        notes (`list[str]`): sentences that a visitor should read about it.
    """

    @property
    def kind(self) -> VisualKind: ...

    @property
    def names(self) -> list[str]: ...

    @property
    def attributes(self) -> bool: ...

    @property
    def notes(self) -> list[str]: ...

    def person(self, index: int) -> Person:
        """
        Somebody by the number of their name.

        Args:
            index (`int`)
        """
        ...
