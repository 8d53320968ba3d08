"""The form that a reply must have, and what makes one unusable."""

import json
import re
from collections.abc import Iterable
from typing import Any, TypedDict, cast

from ..data.label_map import LabelMap
from ..json_text import UNREADABLE
from .texts import read_json

FENCE = re.compile(r"^\s*```(?:json)?\s*(.*?)\s*```\s*$", re.DOTALL)  # what many models put around JSON


class ReplyTurn(TypedDict):
    """
    A question and its answer.

    Args:
        question (`str`), answer (`str`)
    """

    question: str
    answer: str


class ReplyContent(TypedDict):
    """
    A reply by [`reply_schema`].

    Args:
        refused (`bool`): whether the writer would not write.
        emotion (`str`): the label that it wrote about.
        turns (`list[ReplyTurn]`): questions and answers.
    """

    refused: bool
    emotion: str
    turns: list[ReplyTurn]


class RejectedReply(ValueError):
    """
    A reply that must not become training data.

    Args:
        kind (`str`): why, in one of a few words, for the report.
        detail (`str`, *optional*): more about it.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


def reply_schema(labels: list[str]) -> dict[str, Any]:
    """
    JSON schema of a reply whose `emotion` is one of `labels`.

    Args:
        labels (`list[str]`): the label set.
    """
    turn = {
        "type": "object",
        "properties": {"question": {"type": "string"}, "answer": {"type": "string"}},
        "required": ["question", "answer"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "refused": {"type": "boolean"},
            "emotion": {"type": "string", "enum": labels},
            "turns": {"type": "array", "items": turn},
        },
        "required": ["refused", "emotion", "turns"],
        "additionalProperties": False,
    }


class ReplyChecker:
    """
    Tells usable replies from others.

    Args:
        label_map ([`LabelMap`]): other words for the labels.
    """

    def __init__(self, label_map: LabelMap) -> None:
        self._label_map = label_map
        self._refusals = _any_of(read_json("refusals.json")["patterns"])
        self._annotation = _any_of(read_json("annotation_words.json")["patterns"])

    def description(self, text: str) -> str:
        """
        A description of a clip, on one line.

        Args:
            text (`str`): the reply.

        Raises:
            `RejectedReply`: empty, or a refusal.
        """
        description = " ".join(text.split())
        if not description:
            raise RejectedReply("empty")
        if self._refusals.search(description):
            raise RejectedReply("refusal", description[:200])
        return description

    def turns(self, text: str, emotion: str, count: int) -> list[tuple[str, str]]:
        """
        The questions and answers of a reply.

        Args:
            text (`str`): the reply, JSON by [`reply_schema`].
            emotion (`str`): the label that it is about.
            count (`int`): turns that were asked for.

        Raises:
            `RejectedReply`: not JSON, not by the schema, a refusal, empty, a wrong label, a label leaked in a
                question, or talk about the annotation.
        """
        reply = _parsed(text)
        if reply["refused"]:
            raise RejectedReply("refusal")
        turns = [(turn["question"].strip(), turn["answer"].strip()) for turn in reply["turns"]]
        if not turns or not all(question and answer for question, answer in turns):
            raise RejectedReply("empty")
        if any(self._refusals.search(answer) for _, answer in turns):
            raise RejectedReply("refusal", "in an answer")
        if len(turns) != count:
            raise RejectedReply("schema", f"{len(turns)} turns instead of {count}")
        words = self._label_map.words(emotion)
        if reply["emotion"].strip().casefold() not in words:
            raise RejectedReply("wrong label", f"{reply['emotion']!r} instead of {emotion!r}")
        named = _any_of(rf"\b{re.escape(word)}\b" for word in words)
        if not any(named.search(answer) for _, answer in turns):
            raise RejectedReply("wrong label", f"no answer says {emotion!r}")
        if leak := next((question for question, _ in turns if named.search(question)), None):
            raise RejectedReply("leaked label", leak)
        if any(self._annotation.search(said) for turn in turns for said in turn):
            raise RejectedReply("mentions the annotation")
        return turns


def _parsed(text: str) -> ReplyContent:
    fenced = FENCE.match(text)
    try:
        reply = json.loads(fenced[1] if fenced else text)
    except UNREADABLE as error:
        raise RejectedReply("not JSON" if text.strip() else "empty", str(error)) from error
    well_formed = (
        isinstance(reply, dict)
        and isinstance(reply.get("refused"), bool)
        and isinstance(reply.get("emotion"), str)
        and isinstance(reply.get("turns"), list)
        and all(
            isinstance(turn, dict) and isinstance(turn.get("question"), str) and isinstance(turn.get("answer"), str)
            for turn in reply["turns"]
        )
    )
    if not well_formed:
        raise RejectedReply("schema", text[:200])
    return cast(ReplyContent, reply)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)
