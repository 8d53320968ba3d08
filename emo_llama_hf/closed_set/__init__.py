"""The closed question: its text, its set of labels, and how probable a model finds each of them."""

from .label_scores import check_finite, label_scores
from .label_set import check_labels
from .question import (
    Preset,
    asked_labels,
    closed_message,
    closed_prompt,
    closed_question,
    preset,
)
from .question_texts import CATEGORY_QUESTIONS

__all__ = [
    "CATEGORY_QUESTIONS",
    "Preset",
    "asked_labels",
    "check_finite",
    "check_labels",
    "closed_message",
    "closed_prompt",
    "closed_question",
    "label_scores",
    "preset",
]
