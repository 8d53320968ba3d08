"""
What an answer is worth, by rules that anybody can check; functions as TRL calls them.

Each takes columns of [`PromptDataset`] by name, one value an answer, and gives a number for each, or `None` where it
has nothing to say. One of your own is used in their place, or beside them.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any, cast

from ...evaluation.answer_parser import AnswerParser
from ...input_error import InputError

Reward = Callable[..., list[float | None]]
Completion = Sequence[dict[str, Any]]

# A label alone, or before or after its reason: "Happy. The mouth is open." or "The mouth is open. Answer: happy".
FIRST_SENTENCE = re.compile(r"\s*([^.!?:;\n]+)(?:[.!?:;\n]+(.*))?\Z", re.DOTALL)
STATED_LAST = re.compile(r"(.*)\banswer\s*(?:is|:)\s*([^.!?:;\n]+)[.!?\s]*\Z", re.DOTALL | re.IGNORECASE)


def label_reward(
    completions: Sequence[Completion],
    emotion: Sequence[str | None],
    emotion_labels: Sequence[Sequence[str]],
    **columns: Any,
) -> list[float | None]:
    """
    1 for an answer that names the right label and no other, as evaluation reads it ([`AnswerParser`]); else 0.

    Args:
        completions (`list[list[dict]]`): each a chat message of the assistant.
        emotion (`list[str | None]`): the right labels; without one an answer has no reward.
        emotion_labels (`list[list[str]]`): the label sets.
        columns (`Any`): not read.
    """
    return [
        None if right is None else float(_parser(tuple(labels))(_text(answer)) == right)
        for answer, right, labels in zip(completions, emotion, emotion_labels, strict=True)
    ]


def format_reward(
    completions: Sequence[Completion], emotion_labels: Sequence[Sequence[str]], **columns: Any
) -> list[float | None]:
    """
    1 for an answer whose first sentence is a label and nothing else, or that ends with `Answer: ` and a label; else 0.

    Args:
        completions (`list[list[dict]]`), emotion_labels (`list[list[str]]`), columns: see [`label_reward`].
    """
    return [
        float(_verdict_and_reason(_text(answer), labels) is not None)
        for answer, labels in zip(completions, emotion_labels, strict=True)
    ]


def agreement_reward(
    completions: Sequence[Completion], emotion_labels: Sequence[Sequence[str]], **columns: Any
) -> list[float | None]:
    """
    1 for an answer in the asked format whose reason speaks of no other label than the one that it gives; else 0. An
    answer without a reason contradicts nothing.

    Args:
        completions (`list[list[dict]]`), emotion_labels (`list[list[str]]`), columns: see [`label_reward`].
    """
    rewards: list[float | None] = []
    for answer, labels in zip(completions, emotion_labels, strict=True):
        found = _verdict_and_reason(_text(answer), labels)
        if found is None:
            rewards.append(0.0)
            continue
        label, reason = found
        parser = _parser(tuple(labels))
        others = {parser(sentence) for sentence in re.split(r"[.!?\n]+", reason)} - {None, label}
        rewards.append(float(not others))
    return rewards


REWARDS: dict[str, Reward] = {"label": label_reward, "format": format_reward, "agreement": agreement_reward}


def find_reward(name: str) -> Reward:
    """
    A reward by its name in `REWARDS`, or as `module:function`.

    Args:
        name (`str`)

    Raises:
        `InputError`: there is none.
    """
    if name in REWARDS:
        return REWARDS[name]
    module, _, function = name.partition(":")
    try:
        reward = getattr(import_module(module), function) if function else None
    except (ImportError, AttributeError) as error:
        raise InputError(f"`rewards` has {name!r}, which cannot be imported: {error}.") from error
    if not callable(reward):
        raise InputError(f"`rewards` has {name!r}: choose from {', '.join(REWARDS)}, or write module:function.")
    return cast(Reward, reward)


@cache
def _parser(labels: tuple[str, ...]) -> AnswerParser:
    """Made once a label set: it reads the words for labels from a file."""
    return AnswerParser(list(labels))


def _text(completion: Completion) -> str:
    return str(completion[-1]["content"])


def _verdict_and_reason(text: str, labels: Sequence[str]) -> tuple[str, str] | None:
    """The label and the rest of an answer in the asked format."""
    known = {label.casefold(): label for label in labels}
    if (last := STATED_LAST.fullmatch(text)) and (label := known.get(last[2].strip().casefold())):
        return label, last[1]
    if (first := FIRST_SENTENCE.fullmatch(text)) and (label := known.get(first[1].strip().casefold())):
        return label, first[2] or ""
    return None
