"""The recipe of emo-llama-mini: what its chats say about the pictures that they show."""

import json
import re
import sys
from itertools import groupby
from pathlib import Path

import pytest
from PIL import Image
from transformers import AutoProcessor

from emo_llama_hf import EmoLlamaConfig
from emo_llama_hf.training import EmoLlamaDataCollator

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "emo_llama_mini"
sys.path.append(str(RECIPE))

from chats import Chats  # noqa: E402
from make_tokenizers import language_tokenizer, question_tokenizer  # noqa: E402

LABELS = EmoLlamaConfig().emotion_labels
SAYINGS = json.loads((RECIPE / "chats.json").read_text("utf-8"))
WORDS = {word: label for label, words in SAYINGS["words"]["adjectives"].items() for word in words}
SETTINGS = json.loads((RECIPE / "recipe.json").read_text("utf-8"))
SHARES = {kind: share for stage in SETTINGS["alignment"] for kind, share in stage["shares"].items()}
SHADES = {label: 20 + 30 * number for number, label in enumerate(LABELS)}  # a face's grey says what it feels
ATTRIBUTES = {"age": ["0-9", "20-29"], "gender": ["male", "female"], "race": ["White", "other"]}


def chats(seed: int = 0, *kinds: str) -> Chats:
    faces = [(Image.new("RGB", (48, 48), (shade,) * 3), label) for label, shade in SHADES.items()]
    people = [(Image.effect_noise((96, 96), 50).convert("RGB"), {"age": "0-9", "gender": "male", "race": "other"})]
    first = SETTINGS["alignment"][0]
    made = Chats(faces, people, SHARES, first["weights"], first["yes_share"], ATTRIBUTES, 0.2, seed)
    return made.only(*kinds) if kinds else made


def shown(sample: dict):
    part = sample["messages"][0]["content"][0]
    return part[part["type"]]


def emotions_seen(sample: dict) -> list[str]:
    """The emotions of a sample's faces in time order, told by their shade; skin colours keep the order of shades."""
    found: list[str] = []
    visual = shown(sample)
    for frame, face in zip(visual.frames, visual.faces, strict=True):
        x0, y0, x1, y1 = face.box
        shade = frame.getpixel((int((x0 + x1) / 2), int((y0 + y1) / 2)))
        label = next((label for label, grey in SHADES.items() if abs(grey - shade[0]) <= 2), None)
        if len(set(shade)) > 1 or label is None:
            return []  # tinted: the shade is another one
        if found[-1:] != [label]:
            found.append(label)
    return found


@pytest.mark.parametrize("kind", list(SHARES))
def test_every_kind_can_be_learned_from(kind, tiny):
    processor = AutoProcessor.from_pretrained(tiny)
    batch = EmoLlamaDataCollator(processor)(chats(3, kind).draw(8))
    assert (batch["labels"] != -100).any(1).all()
    assert ("face_mask" in batch and batch["face_mask"].any()) == (kind not in ("no_face", "told"))


@pytest.mark.parametrize("kind", ["closed", "conversation"])
def test_answers_name_the_emotion_that_is_shown(kind):
    compared = 0
    for sample in chats(1, kind).draw(300):
        for answer in (message["content"] for message in sample["messages"][1::2]):
            assert set(re.findall("|".join(LABELS), answer)) <= {sample["emotion"]}, answer
        if seen := emotions_seen(sample):
            assert seen == [sample["emotion"]]
            compared += 1
    assert compared > 50


def test_yes_and_no_agree_with_the_question():
    answered = set()
    for sample in chats(9, "conversation").draw(300):
        turns = sample["messages"]
        for question, answer in zip(turns[::2], turns[1::2], strict=True):
            if found := re.search(r"looks (\w+), so (yes|no)\.", answer["content"]):
                asked = set(re.findall(r"\w+", question["content"][-1]["text"])) & set(WORDS)
                assert len(asked) == 1
                assert found[2] == ("yes" if WORDS[asked.pop()] == found[1] else "no")
                answered.add(found[2])
    assert answered == {"yes", "no"}


def test_a_question_does_not_suggest_its_answer():
    """One in seven of the faces that are asked to be happy is: as many as of all faces."""
    asked: dict[bool, int] = {True: 0, False: 0}
    for sample in chats(11, "conversation").draw(3000):
        for answer in (message["content"] for message in sample["messages"][1::2]):
            if found := re.search(r", so (yes|no)\.", answer):
                asked[found[1] == "yes"] += 1
    assert abs(asked[True] / sum(asked.values()) - 1 / len(LABELS)) < 0.04


def test_closers_come_before_the_punctuation():
    closed = [intent for intent in SAYINGS["picture"].values() if "closers" in intent]
    assert closed
    for intent in closed:
        assert [question for question in intent["questions"] if question[-1] not in "?."] == []


def test_the_age_is_that_of_the_prompt():
    compared = set()
    for sample in (*chats(10, "conversation").draw(500), *chats(10, "person").draw(100)):
        told = (sample["attributes"] or {}).values()
        for answer in (message["content"] for message in sample["messages"][1::2]):
            if found := re.search(r"perceived as age (0-9|20-29)\.", answer):
                assert found[1] in told
                compared.add("told")
            elif answer.startswith("I was not told a perceived age"):
                assert "age" not in (sample["attributes"] or {})
                compared.add("unknown")
    assert compared == {"told", "unknown"}


def test_the_answer_is_one_of_the_words_asked_for():
    for sample in chats(2, "category").draw(300):
        question, answer = sample["messages"][0]["content"][-1]["text"], sample["messages"][1]["content"]
        assert re.search(rf"\b{answer}\b", question), (question, answer)


def test_clips_tell_their_emotions_in_order():
    compared = 0
    for sample in chats(4, "clip").draw(300):
        answer, seen = sample["messages"][1]["content"], emotions_seen(sample)
        named = re.findall("|".join(LABELS), answer)
        if not seen:
            continue
        compared += 1
        if answer.startswith("At the beginning"):
            assert named == seen[:1]
        elif answer.startswith("At the end"):
            assert named == seen[-1:]
        elif answer.startswith("Frame by frame"):
            assert len(named) == len(shown(sample).frames)
            assert [label for label, _ in groupby(named)] == seen
        elif len(seen) > 1 or answer.startswith("The expression"):
            assert named == seen
        else:
            assert set(named) <= set(seen)
    assert compared > 50


def test_without_a_face_it_says_so():
    for sample in chats(5, "no_face").draw(50):
        assert shown(sample).faces == [None] * len(shown(sample).frames)
        assert sample["messages"][1]["content"].startswith("No face is visible in the ")


def test_the_seed_decides():
    def texts(seed: int) -> list:
        return [[m["content"] if isinstance(m["content"], str) else m["content"][-1] for m in s["messages"]]
                for s in chats(seed).draw(50)]  # fmt: skip

    assert texts(6) == texts(6) != texts(7)


def test_labels_are_one_token_and_any_text_comes_back(tmp_path):
    texts = chats(8).texts(500)
    tokenizer = language_tokenizer(texts, SETTINGS["vocabulary"], tmp_path)
    assert all(len(tokenizer.tokenize(label)) == 1 for label in LABELS)
    text = "Wie fühlt sich 小明? 🙂 ~unknown words~"
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
    questions = question_tokenizer(texts)
    assert questions.unk_token not in questions.tokenize("What is the emotion of the person? xylophone 7!")


def test_the_card_has_the_figures_of_the_results():
    results = json.loads((RECIPE / "results.json").read_text("utf-8"))
    card = (RECIPE.parent.parent / "emo_llama_hf" / "default_checkpoint" / "README.md").read_text("utf-8")
    for figure in (
        results["emotions"]["generation"]["war"],
        results["emotions"]["likelihood"]["war"],
        *(results["attributes"][task]["accuracy"] for task in ("age", "gender", "race")),
    ):
        assert f"{figure:.1%}" in card
