"""What prompts tell of the perceived emotion: the same reading that the scores give, in words."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import pipeline

from emo_llama_hf.chat.told_emotion import NO_FACE, SWITCH, course_of, told_emotion
from emo_llama_hf.processing.prompts import EMOTION

LABELS = ["angry", "happy", "neutral"]


@pytest.fixture
def pipe(tiny):
    pipe = pipeline("emotion-chat", model=tiny)
    phrases = {**pipe.processor.prompt.attribute_phrases, EMOTION: "reading {value}"}
    pipe.processor.prompt = replace(pipe.processor.prompt, attribute_phrases=phrases)
    return pipe


@pytest.fixture
def written(pipe, monkeypatch):
    """The texts that the language model goes on from, as they are read."""
    texts: list[str] = []
    generate = pipe.model.generate

    def spy(**inputs):
        texts.extend(pipe.processor.tokenizer.batch_decode(inputs["input_ids"]))
        return generate(**inputs)

    monkeypatch.setattr(pipe.model, "generate", spy)
    return texts


def picture(name: str = "astronaut.png") -> Image.Image:
    with Image.open(Path(__file__).parent / "samples" / name) as image:
        return image.convert("RGB").reduce(2)


def test_the_course_is_the_likeliest_of_all_courses():
    chances = torch.rand(60, 4, 3, generator=torch.Generator().manual_seed(0)).pow(3)
    chances = chances / chances.sum(-1, keepdim=True)
    lengths = set()
    for scores in chances:
        evidence = scores.double().log()

        def worth(path: tuple[int, ...], evidence: torch.Tensor = evidence) -> float:
            switches = sum(a != b for a, b in itertools.pairwise(path))
            return float(sum(evidence[i, label] for i, label in enumerate(path))) - SWITCH * switches

        best = max(itertools.product(range(3), repeat=4), key=worth)
        assert course_of(LABELS, scores) == [LABELS[label] for label, _ in itertools.groupby(best)]
        lengths.add(len(course_of(LABELS, scores)))
    assert len(lengths) > 1


def test_a_frame_that_differs_is_no_change():
    steady, odd = [0.04, 0.9, 0.06], [0.05, 0.35, 0.6]
    assert course_of(LABELS, torch.tensor([steady, odd, steady, steady])) == ["happy"]
    assert course_of(LABELS, torch.tensor([steady])) == ["happy"]
    assert course_of(LABELS, torch.tensor([steady] * 3 + [[0.01, 0.02, 0.97]] * 3)) == ["happy", "neutral"]


def test_what_is_told_is_the_likeliest_first():
    assert told_emotion(LABELS, [0.031, 0.849, 0.12]) == "happy 85%, neutral 12%, angry 3%"
    assert told_emotion(LABELS, [0, 1, 0], ["happy"]).endswith("the same all the time")
    assert told_emotion(LABELS, [0, 1, 0], ["happy", "angry"]).endswith("first happy, then angry")


def test_any_other_question_is_answered_by_the_reading_of_the_closed_one(pipe, written):
    plain = pipe(picture(), max_new_tokens=2)
    assert "reading " not in written[-1]
    asked = pipe({"image": picture(), "question": "Why?"}, max_new_tokens=2)
    assert asked["scores"] == pytest.approx(plain["scores"], abs=1e-6)
    told = told_emotion(list(plain["scores"]), list(plain["scores"].values()))
    assert f"reading {told}" in " ".join(written[-1].split())
    chosen = pipe({"image": picture()}, labels=["good", "bad"], max_new_tokens=2)
    assert set(chosen["scores"]) == {"good", "bad"}


def test_many_inputs_are_told_as_each_alone(pipe, written):
    rows = [
        {"image": picture(), "question": "Why?"},
        picture("grace_hopper.jpg"),
        {"video": [picture(), picture("grace_hopper.jpg")]},
    ]
    together = pipe(rows, batch_size=3, max_new_tokens=2)
    alone = [pipe(row, max_new_tokens=2) for row in rows]
    for one, other in zip(together, alone, strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)


def test_a_clip_is_told_with_its_course(pipe, written):
    pipe({"video": [picture()] * 3, "question": "Does it change?"}, max_new_tokens=2)
    assert "the same all the time" in " ".join(written[-1].split())


def test_attributes_are_switched_off_but_the_emotion_is_not(pipe, written):
    pipe({"image": picture(), "question": "Why?", "attributes": {"age": "20-29"}}, max_new_tokens=2)
    assert "age 20-29" in written[-1]
    pipe({"image": picture(), "question": "Why?"}, attributes=False, max_new_tokens=2)
    assert "age 20" not in written[-1] and "reading " in written[-1]
    pipe.processor.prompt = replace(pipe.processor.prompt, use_attributes=False)
    pipe({"image": picture(), "question": "Why?", "attributes": {"age": "20-29"}}, max_new_tokens=2)
    assert "age 20" not in written[-1] and "reading " in written[-1]


@pytest.mark.parametrize("asked", [{"question": "Why?"}, {}])
def test_where_no_face_is_found_that_is_told(pipe, written, asked):
    result = pipe({"image": Image.new("RGB", (80, 80)), **asked}, max_new_tokens=2)
    assert result["emotion"] is None
    assert f"reading {NO_FACE}" in " ".join(written[-1].split())
