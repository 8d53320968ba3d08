"""A request on its way through the model."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeAlias

from ..chat.result import EmotionResult
from ..chat.subject import Subject
from .answer_options import AnswerOptions
from .answer_row import AnswerRow


@dataclass(frozen=True)
class Piece:
    """
    A further piece of an answer.

    Args:
        index (`int`): of the answer.
        text (`str`)
    """

    index: int
    text: str


@dataclass(frozen=True)
class Answered:
    """
    All that came of a request.

    Args:
        results (`list[EmotionResult]`): one a person.
        rows (`list[AnswerRow]`): the answers about each person in turn, as many as were asked for.
    """

    results: list[EmotionResult]
    rows: list[AnswerRow]

    @property
    def prompt_tokens(self) -> int:
        """Tokens that were read; a prompt that several answers were asked to counts once."""
        return sum(row.prompt_tokens for row in self.rows[:: len(self.rows) // len(self.results)])

    @property
    def completion_tokens(self) -> int:
        """Tokens that were written."""
        return sum(len(row.tokens) for row in self.rows)


Event: TypeAlias = Piece | Answered | Exception


@dataclass(eq=False)
class Job:
    """
    What the model's thread answers, and what the request's task waits for.

    Args:
        subjects (`list[Subject]`): from the pipeline's `preprocess`, one a person.
        options ([`AnswerOptions`])
        streamed (`bool`): whether pieces are wanted.

    Attributes:
        is_wanted (`bool`): whether somebody waits; set to `False`, it is dropped wherever it is.
        rows (`list[AnswerRow]`): its answers, once they are being written.
    """

    subjects: list[Subject]
    options: AnswerOptions
    streamed: bool
    is_wanted: bool = True
    rows: list[AnswerRow] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)

    @property
    def alike(self) -> Hashable:
        """What jobs of one batch have in common; a seed gives the same answer only to one that is alone."""
        return self.options.alike if self.options.seed is None else id(self)

    @property
    def size(self) -> int:
        """How many answers it takes."""
        return len(self.subjects) * self.options.choices

    def tell(self, event: Event) -> None:
        """Called in the model's thread: hand something to the task that waits."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def next_event(self) -> Piece | Answered:
        """
        The next piece, or all of it, which is the last.

        Raises:
            `Exception`: what became of it instead.
        """
        event = await self._events.get()
        if isinstance(event, Exception):
            raise event
        return event
