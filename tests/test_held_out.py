"""The questions that emo-llama-mini never learned from, and the rules that grade its answers."""

import json
import sys
from pathlib import Path

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "emo_llama_mini"
sys.path.append(str(RECIPE))

from grading import HAPPY, problems, relevant, self_check  # noqa: E402

ITEMS = json.loads((RECIPE / "held_out_questions.json").read_text("utf-8"))


def test_every_question_has_what_its_rule_needs():
    assert problems(ITEMS) == []
    assert len({item["id"] for item in ITEMS}) == len(ITEMS)


def test_answers_written_by_hand_are_graded_as_meant():
    assert self_check() == 0


def test_no_answer_is_right_for_all_kinds_of_questions():
    for answer in ("The face looks happy.", "I can only tell how a face looks.", "No face is visible in the image."):
        assert sum(relevant(item, answer, HAPPY) for item in ITEMS) < len(ITEMS) / 2


def test_they_are_not_what_the_chats_teach():
    taught = {
        question.lower().strip("?.! ")
        for path in (RECIPE / "sayings").glob("*.json")
        for intent in json.loads(path.read_text("utf-8"))["intents"].values()
        for question in intent.get("questions", [])
    }
    asked = {(item.get("turns") or [item["question"]])[-1].lower().strip("?.! ") for item in ITEMS}
    assert not taught & asked
