"""Category instructions: many ways to ask which emotion it is; the answer is the label."""

import random
from typing import Any

from ..chat_message import VisualKind
from ..closed_set import CATEGORY_QUESTIONS, closed_question
from ..data.record import Record
from ..input_error import InputError
from ..seeds import seed_of


class CategoryQuestions:
    """
    Asks for the label in many ways.

    Args:
        per_record (`int`, *optional*, defaults to 1): how many instructions about one record.
        questions (`list[str]`, *optional*):
            Phrasings with `{labels}` and, if they like, `{kind}` (image or video); by default those of
            `CATEGORY_QUESTIONS`, the first of which the pipeline asks.

    Raises:
        `InputError`: no question, or one without `{labels}`.
    """

    def __init__(self, per_record: int = 1, questions: list[str] | None = None) -> None:
        if per_record < 1:
            raise InputError(f"`per_record` must be at least 1, got {per_record}.")
        self.per_record = per_record
        self.questions = list(CATEGORY_QUESTIONS if questions is None else questions)
        if not self.questions:
            raise InputError("`questions` is empty: give at least one phrasing.")
        for question in self.questions:
            if "{labels}" not in question:
                raise InputError(f"`questions` has {question!r} without {{labels}}, where the label set goes.")

    def settings(self) -> dict[str, Any]:
        """What the result depends on."""
        return {"per_record": self.per_record, "questions": self.questions}

    def turns(self, record: Record, labels: list[str], seed: int) -> list[tuple[str, str]]:
        """
        Questions, different ones as long as there are enough, each answered by the label alone.

        Args:
            record ([`Record`]): with an emotion.
            labels (`list[str]`): the label set.
            seed (`int`): decides the phrasings, together with the record's id.
        """
        random_ = random.Random(seed_of(seed, "category", record.id))
        chosen: list[str] = []
        while len(chosen) < self.per_record:
            chosen += random_.sample(self.questions, min(len(self.questions), self.per_record - len(chosen)))
        kind: VisualKind = "video" if record.is_video else "image"
        return [(closed_question(kind, labels, question), record.emotion or "") for question in chosen]
