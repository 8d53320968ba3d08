"""The recipe of emo-llama-mini: what its chats say about what they tell and show."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor, LlamaConfig, LlamaModel

from emo_llama_hf import EmoLlamaConfig
from emo_llama_hf.training import EmoLlamaDataCollator, FaceCrops

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "emo_llama_mini"
sys.path.append(str(RECIPE))

from chats import ABOUT_FACE, FER2013_NAMES, Chats  # noqa: E402
from make_tokenizers import language_tokenizer, question_tokenizer  # noqa: E402
from train import look_for_the_same  # noqa: E402

LABELS = EmoLlamaConfig().emotion_labels
SETTINGS = json.loads((RECIPE / "recipe.json").read_text("utf-8"))
SAYINGS = {path.stem: json.loads(path.read_text("utf-8")) for path in (RECIPE / "sayings").glob("*.json")}
SHARES = SETTINGS["alignment"][0]["shares"]
ATTRIBUTES = {"age": ["0-9", "20-29"], "gender": ["male", "female"], "race": ["White", "other"]}
NOBODY = [text for sayings in SAYINGS.values() for text in sayings["intents"]["no_face"]["answers"]["any"]]


def chats(seed: int = 0, *kinds: str) -> Chats:
    """Chats about fourteen grey faces, two of each emotion, the second of which FER2013 has no label for."""
    known = torch.eye(len(LABELS)).repeat_interleave(2, 0)
    labelled = known * torch.tensor([1.0, 0.0]).repeat(len(LABELS))[:, None]
    shades = torch.arange(14, dtype=torch.uint8)[:, None, None, None] * 10 + 40
    crops = FaceCrops(
        shades.expand(14, 3, 96, 96).clone(),
        {"reading": known, "emotion": labelled},
        torch.full((14, 5, 2), torch.nan),
    )
    made = Chats(crops, LABELS, SHARES, SETTINGS["alignment"][0]["weights"], ATTRIBUTES, 0.2, seed)
    return made.only(*kinds) if kinds else made


def shown(sample: dict):
    part = sample["messages"][0]["content"][0]
    return part[part["type"]]


def turns(sample: dict) -> list[tuple[str, str]]:
    messages = sample["messages"]
    pairs = zip(messages[::2], messages[1::2], strict=True)
    return [(asked["content"][-1]["text"].split("\n")[-1], said["content"]) for asked, said in pairs]


def reading(sample: dict) -> str:
    """What the prompt tells of the emotion, whether a visual is shown with it or the sentence alone."""
    sentence, *question = sample["messages"][0]["content"][-1]["text"].split("\n")
    if question:
        return re.search(r"emotion (.*)\.$", sentence)[1]
    return (sample["attributes"] or {}).get("emotion", "")


def told(sample: dict) -> list[tuple[str, str]]:
    """The emotions that the prompt tells, likeliest first, with their percentages."""
    return re.findall(r"(\w+) (\d+%)", reading(sample))


@pytest.mark.parametrize("kind", list(SHARES))
def test_every_kind_can_be_learned_from(kind, tiny):
    processor = AutoProcessor.from_pretrained(tiny)
    samples = [{**sample, "attributes": None} for sample in chats(3, kind).draw(8)]
    batch = EmoLlamaDataCollator(processor)(samples)
    assert (batch["labels"] != -100).any(1).all()


@pytest.mark.parametrize("kind", ["closed", "fer2013"])
def test_readings_answer_with_what_the_face_shows(kind):
    names = dict(zip(LABELS, FER2013_NAMES, strict=True))
    seen = set()
    for sample in chats(1, kind).draw(200):
        x0, y0, x1, y1 = shown(sample).faces[0].box
        shades = set(shown(sample).frames[0].getpixel((int((x0 + x1) / 2), int((y0 + y1) / 2))))
        [(question, answer)] = turns(sample)
        assert answer in question
        if len(shades) == 1:  # not tinted: a shade says whose face it is
            label = LABELS[(shades.pop() - 40) // 20]
            assert answer == (label if kind == "closed" else names[label])
            seen.add(label)
    assert len(seen) == len(LABELS)


def test_english_answers_agree_with_what_is_told():
    words = {label: SAYINGS["en"]["emotions"][label]["adjectives"][0] for label in LABELS}
    asks = {text: name for name, intent in SAYINGS["en"]["intents"].items() for text in intent.get("questions", [])}
    compared: dict[str, int] = {}
    for sample in chats(2, "talk").draw(4000):
        likeliest = [words[label] for label, _ in told(sample)]
        for question, answer in turns(sample):
            name = asks.get(question)
            if name in ("emotion", "describe", "why", "one_word") and likeliest:
                assert likeliest[0] in answer, (question, answer, sample["attributes"])
            elif name == "second" and likeliest:
                assert likeliest[1] in answer and told(sample)[1][1] in answer
            elif name == "top_three" and likeliest:
                assert re.findall(r"(\w+) (\d+%)", answer) == [
                    (words[label], percent) for label, percent in told(sample)
                ]
            elif name == "json" and likeliest:
                assert json.loads(answer)["emotion"] == told(sample)[0][0]
            else:
                continue
            compared[name] = compared.get(name, 0) + 1
    assert set(compared) >= {"emotion", "describe", "why", "one_word", "second", "top_three", "json"}


def test_a_change_is_told_where_there_is_one_and_only_there():
    intent = SAYINGS["en"]["intents"]["change"]
    heard = set()
    for sample in chats(4, "talk").draw(4000):
        course = reading(sample)
        for question, answer in turns(sample):
            if question in intent["questions"] and course != "no face":
                outcome = "stays" if "the same all" in course else "changes" if "first" in course else "still"
                wanted = [re.sub(r"\\{\w+\\}", r"\\w+", re.escape(text)) for text in intent["answers"][outcome]]
                assert any(re.fullmatch(pattern, answer) for pattern in wanted), (course, answer)
                heard.add(outcome)
    assert heard == {"stays", "changes", "still"}


def test_yes_and_no_are_as_told():
    heard = set()
    adjectives = {word: label for label in LABELS for word in SAYINGS["en"]["emotions"][label]["adjectives"]}
    made = chats(9, "talk")
    made.weights = {**made.weights, "yes_or_no": 40}
    for sample in made.draw(3000):
        for question, answer in turns(sample):
            found = re.fullmatch(r"Is (?:she|he|this person) (\w+)\?", question)
            if found and found[1] in adjectives and told(sample):
                assert answer.startswith("Yes" if adjectives[found[1]] == told(sample)[0][0] else "No")
                heard.add(answer[:2])
    assert heard == {"Ye", "No"}


def test_to_begin_with_emotions_have_their_usual_words(monkeypatch):
    monkeypatch.setattr("chats.as_typed", None)  # which would be an error
    made = chats(9, "talk")
    made.plain = True
    assert made.draw(50)
    for label in LABELS:
        [usual, *others] = SAYINGS["en"]["emotions"][label]["adjectives"]
        assert others and {made.word("en", label, "adjectives") for _ in range(50)} == {usual}


def test_matching_heads_look_at_the_same_token_before():
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=50, hidden_size=256, num_hidden_layers=1, num_attention_heads=8)
    language = LlamaModel._from_config(config, attn_implementation="eager")
    tokens = torch.randperm(50)[:40]
    tokens[33] = tokens[12]

    def looks() -> torch.Tensor:
        return language(tokens[None], output_attentions=True).attentions[0][0, :, 33]

    assert looks().max() < 0.1
    look_for_the_same(language, heads=2)
    matching, others = looks().split([2, 6])
    assert (matching.argmax(-1) == 12).all() and (matching[:, 12] > 0.3).all()
    assert others.max() < 0.1


def test_without_a_face_it_says_so():
    for sample in chats(5, "closed_nobody").draw(50):
        if len(sample["messages"][0]["content"]) > 1:
            assert shown(sample).faces == [None] * len(shown(sample).frames)
        else:
            assert "emotion no face" in sample["messages"][0]["content"][0]["text"]
        assert turns(sample)[0][1].startswith(("No face is visible in the ", "I see no face in the "))
    heard = 0
    for sample in chats(6, "talk").draw(1500):
        if (sample["attributes"] or {}).get("emotion") == "no face":
            assert not shown(sample).has_face
            heard += any(re.sub(r"\{kind\}", "", text)[:8] in turns(sample)[0][1] for text in NOBODY)
    assert heard > 20


def test_the_seed_decides():
    def texts(seed: int) -> list:
        return [turns(sample) for sample in chats(seed).draw(50)]

    assert texts(6) == texts(6) != texts(7)


def test_labels_are_one_token_and_any_text_comes_back(tmp_path):
    tokenizer = language_tokenizer(chats(8).texts(2000), SETTINGS["vocabulary"], tmp_path)
    assert all(len(tokenizer.tokenize(label)) == 1 for label in [*LABELS, *FER2013_NAMES])
    text = "Wie fühlt sich 小明? 🙂 ~unknown words~"
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
    questions = question_tokenizer(["What is the emotion of the person?"])
    assert questions.unk_token not in questions.tokenize("What is the emotion of the person? xylophone 7!")


@pytest.mark.parametrize("language", sorted(SAYINGS))
def test_the_sayings_are_complete(language):
    english, sayings = SAYINGS["en"], SAYINGS[language]
    assert set(sayings["emotions"]) == set(LABELS) == set(sayings["signs"]) == set(sayings["valence"])
    assert sayings["intents"].keys() == english["intents"].keys()
    assert set(ABOUT_FACE) < set(english["intents"])
    for name, intent in english["intents"].items():
        assert set(sayings["intents"][name]["answers"]) == set(intent["answers"])
        assert name == "no_face" or sayings["intents"][name]["questions"]


def test_the_card_has_the_figures_of_the_results():
    results = json.loads((RECIPE / "results.json").read_text("utf-8"))
    card = (RECIPE.parent.parent / "emo_llama_hf" / "default_checkpoint" / "README.md").read_text("utf-8")
    for figure in (
        results["voters"]["likelihood"]["war"],
        results["fer2013"]["likelihood"]["war"],
        results["framings"]["all_the_same"],
        results["held_out"]["relevant"],
        *(results["attributes"][task]["accuracy"] for task in ("age", "gender", "race")),
    ):
        assert f"{figure:.1%}" in card
