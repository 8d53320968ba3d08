"""The closed question, which of the labels it is, as text, as a chat message and as a prompt."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ..chat_message import ChatMessage, VisualKind
from ..input_error import InputError
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .question_texts import CATEGORY_QUESTIONS, PRESETS


@dataclass(frozen=True)
class Preset:
    """
    Somebody's way to ask the closed question.

    Args:
        question (`str`): the phrasing, with `{labels}` and maybe `{kind}` in it.
        label_sets (`dict[str, list[str]]`):
            Labels in its words and its order, by the name of the data set's layout; `"*"` for all others.
        source (`str`): where it is from.
    """

    question: str
    label_sets: dict[str, list[str]]
    source: str

    def labels(self, layout: str) -> list[str]:
        """
        Its label set of a data set.

        Args:
            layout (`str`): of the data set, see [`Records`].
        """
        return self.label_sets.get(layout, self.label_sets["*"])


@cache
def presets() -> dict[str, Preset]:
    """Every [`Preset`] by its name; `"paper"` is that of EMO-LLaMA's instruction data."""
    return {name: Preset(**values) for name, values in PRESETS.items()}


def preset(name: str) -> Preset:
    """
    A [`Preset`] of `question_texts.py`.

    Args:
        name (`str`)

    Raises:
        `InputError`: there is none of this name.
    """
    if name not in presets():
        raise InputError(f"`preset` must be one of {', '.join(presets())}, got {name!r}.")
    return presets()[name]


def closed_question(kind: VisualKind, labels: Sequence[str], phrasing: str | None = None) -> str:
    """
    The question which of the labels it is.

    Args:
        kind (`str`): `"image"` or `"video"`.
        labels (`Sequence[str]`): the label set.
        phrasing (`str`, *optional*):
            A processor's `prompt.closed_question`, or one of `CATEGORY_QUESTIONS`; by default their first.
    """
    phrasing = CATEGORY_QUESTIONS[0] if phrasing is None else phrasing
    # Not `str.format`: a phrasing or a label of somebody's may have other braces.
    return phrasing.replace("{kind}", kind).replace("{labels}", ", ".join(labels))


def asked_labels(question: str) -> list[str] | None:
    """
    The label set that a question asks about in the words of a [`Preset`]; `None` for any other question.

    Args:
        question (`str`): as [`closed_question`] writes it.
    """
    for known in presets().values():
        pattern = re.escape(known.question).replace(r"\{kind\}", "(?:image|video)").replace(r"\{labels\}", "(.+)")
        if found := re.fullmatch(pattern, question.strip()):
            return [label.strip() for label in found[1].split(",")]
    return None


def closed_message(
    kind: VisualKind,
    labels: Sequence[str],
    phrasing: str | None = None,
    visuals: int = 1,
    shown_as: VisualKind | None = None,
) -> ChatMessage:
    """
    The closed question as a chat message that shows something.

    Args:
        kind (`str`): `"image"` or `"video"`, which the question speaks of.
        labels (`Sequence[str]`): the label set.
        phrasing (`str`, *optional*): see [`closed_question`].
        visuals (`int`, *optional*, defaults to 1): how many parts stand for what is shown.
        shown_as (`str`, *optional*): type of these parts; `kind` by default.
    """
    shown = [{"type": shown_as or kind} for _ in range(visuals)]
    return {"role": "user", "content": [*shown, {"type": "text", "text": closed_question(kind, labels, phrasing)}]}


def closed_prompt(
    processor: EmoLlamaProcessor, kind: VisualKind, labels: Sequence[str], phrasing: str | None = None
) -> str:
    """
    The prompt that asks the closed question about one `kind` of visual, up to where the answer begins.

    Args:
        processor ([`EmoLlamaProcessor`]): whose chat template writes it.
        kind (`str`): `"image"` or `"video"`.
        labels (`Sequence[str]`): the label set.
        phrasing (`str`, *optional*): see [`closed_question`]; the processor's `prompt.closed_question` by default.
    """
    message = closed_message(kind, labels, phrasing or processor.prompt.closed_question)
    prompt: str = processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    return prompt
