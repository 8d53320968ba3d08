"""An answer in OpenAI's format, whole or in chunks."""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..chat.result import EmotionResult
from .answer_row import AnswerRow
from .job import Answered, Piece


@dataclass(frozen=True)
class Completion:
    """
    What is the same in all that is said of one request.

    Args:
        model (`str`): its name.
    """

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answered: Answered) -> dict[str, Any]:
        """
        The answer, with the perceived emotion and the probability of each label beside each choice.

        Args:
            answered ([`Answered`])
        """
        choices = []
        for index, (row, result) in enumerate(_each(answered)):
            message = {"role": "assistant", "content": row.text, "refusal": None}
            choices.append({"index": index, "message": message, **_end(row, result)})
        return {**self._head("chat.completion"), "choices": choices, "usage": usage(answered)}

    def piece(self, piece: Piece) -> bytes:
        """
        A piece of a streamed answer.

        Args:
            piece ([`Piece`])
        """
        return self._chunk([{"index": piece.index, "delta": {"content": piece.text}, "finish_reason": None}])

    def beginning(self, count: int) -> bytes:
        """
        Who speaks, which is said first.

        Args:
            count (`int`): of the choices.
        """
        delta = {"role": "assistant", "content": ""}
        return self._chunk([{"index": index, "delta": delta, "finish_reason": None} for index in range(count)])

    def ending(self, answered: Answered, include_usage: bool) -> Iterator[bytes]:
        """
        What is said last: how each choice ended, maybe the tokens that it took, and that this is all.

        Args:
            answered ([`Answered`])
            include_usage (`bool`)
        """
        ends = [{"index": i, "delta": {}, **_end(row, result)} for i, (row, result) in enumerate(_each(answered))]
        yield self._chunk(ends)
        if include_usage:
            yield self._chunk([], usage=usage(answered))
        yield b"data: [DONE]\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return event({**self._head("chat.completion.chunk"), "choices": choices, **more})


def event(data: dict[str, Any]) -> bytes:
    """
    A server-sent event.

    Args:
        data (`dict`): of JSON.
    """
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def usage(answered: Answered) -> dict[str, int]:
    """
    Tokens that a request took: those of the prompt with its pictures, and those written with the one that ends.

    Args:
        answered ([`Answered`])
    """
    read, written = answered.prompt_tokens, answered.completion_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _each(answered: Answered) -> Iterator[tuple[AnswerRow, EmotionResult]]:
    """Each answer with what was seen of the person that it is about."""
    choices = len(answered.rows) // len(answered.results)
    for index, row in enumerate(answered.rows):
        yield row, answered.results[index // choices]


def _end(row: AnswerRow, result: EmotionResult) -> dict[str, Any]:
    return {
        "finish_reason": row.finish_reason,
        "logprobs": None,
        "emotion": result["emotion"],
        "scores": result["scores"],
    }
