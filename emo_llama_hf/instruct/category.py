"""Category instructions: many ways to ask which emotion it is; the answer is the label."""

import random

from ..data.record import Record
from .sampling import seed_of
from .texts import read_json


class CategoryQuestions:
    """
    Args:
        per_record (`int`): how many instructions about one record.
        questions (`list[str]`, *optional*):
            Phrasings with `{labels}` and, if they like, `{kind}` (image or video); by default those of
            `texts/category_questions.json`, the first of which the pipeline asks.

    Raises:
        `ValueError`: no question, or one without `{labels}`.
    """

    def __init__(self, per_record: int = 1, questions: list[str] | None = None):
        if per_record < 1:
            raise ValueError(f"`per_record` must be at least 1, got {per_record}.")
        self.per_record = per_record
        self.questions = read_json("category_questions.json")["questions"] if questions is None else list(questions)
        if not self.questions:
            raise ValueError("`questions` is empty: give at least one phrasing.")
        for question in self.questions:
            if "{labels}" not in question:
                raise ValueError(f"`questions` has {question!r} without {{labels}}, where the label set goes.")

    def settings(self) -> dict:
        """What the result depends on."""
        return {"per_record": self.per_record, "questions": self.questions}

    def turns(self, record: Record, labels: list[str], seed: int) -> list[tuple[str, str]]:
        """Questions, different ones as long as there are enough, each answered by the label alone."""
        random_ = random.Random(seed_of(seed, "category", record.id))
        chosen: list[str] = []
        while len(chosen) < self.per_record:
            chosen += random_.sample(self.questions, min(len(self.questions), self.per_record - len(chosen)))
        kind, listed = "video" if record.is_video else "image", ", ".join(labels)
        return [(_filled(question, kind, listed), record.emotion or "") for question in chosen]


def _filled(question: str, kind: str, labels: str) -> str:
    return question.replace("{kind}", kind).replace("{labels}", labels)
