"""The closed question, which of the labels it is, as text, as a chat message and as a prompt."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ..chat_message import ChatMessage, VisualKind
from ..processing.processing_emo_llama import EmoLlamaProcessor

QUESTIONS_FILE = Path(__file__).with_name("questions.json")


@cache
def category_questions() -> tuple[str, ...]:
    """Every phrasing of the closed question, with `{labels}` and maybe `{kind}` in it; the first is what is asked."""
    return tuple(json.loads(QUESTIONS_FILE.read_text("utf-8"))["questions"])


def closed_question(kind: VisualKind, labels: Sequence[str], phrasing: str | None = None) -> str:
    """
    The question which of the labels it is.

    Args:
        kind (`str`): `"image"` or `"video"`.
        labels (`Sequence[str]`): the label set.
        phrasing (`str`, *optional*): one of [`category_questions`] or alike; the first of them by default.
    """
    phrasing = category_questions()[0] if phrasing is None else phrasing
    # Not `str.format`: a phrasing or a label of somebody's may have other braces.
    return phrasing.replace("{kind}", kind).replace("{labels}", ", ".join(labels))


def closed_message(
    kind: VisualKind, labels: Sequence[str], visuals: int = 1, shown_as: VisualKind | None = None
) -> ChatMessage:
    """
    The closed question as a chat message that shows something.

    Args:
        kind (`str`): `"image"` or `"video"`, which the question speaks of.
        labels (`Sequence[str]`): the label set.
        visuals (`int`, *optional*, defaults to 1): how many parts stand for what is shown.
        shown_as (`str`, *optional*): type of these parts; `kind` by default.
    """
    shown = [{"type": shown_as or kind} for _ in range(visuals)]
    return {"role": "user", "content": [*shown, {"type": "text", "text": closed_question(kind, labels)}]}


def closed_prompt(processor: EmoLlamaProcessor, kind: VisualKind, labels: Sequence[str]) -> str:
    """
    The prompt that asks the closed question about one `kind` of visual, up to where the answer begins.

    Args:
        processor ([`EmoLlamaProcessor`]): whose chat template writes it.
        kind (`str`): `"image"` or `"video"`.
        labels (`Sequence[str]`): the label set.
    """
    message = closed_message(kind, labels)
    prompt: str = processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    return prompt
