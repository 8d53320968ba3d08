"""A label set belongs to its data: in the question, the answer, the loss, the evaluation and the report."""

import json

import pytest
import torch
from transformers import AutoProcessor

import miniature_data
from emo_llama_command import main
from emo_llama_hf import EmoLlamaConfig
from emo_llama_hf.closed_set import preset
from emo_llama_hf.data import LabelMap, RecordError, Records
from emo_llama_hf.data.label_map import LABEL_FOLDER
from emo_llama_hf.evaluation import make_report
from emo_llama_hf.instruct import CategoryQuestions, instruct
from emo_llama_hf.training import ClosedSetLoss, EmoLlamaDataCollator, EmotionDataset, answer_tokens, samples_of
from emotion_samples import face_folders, picture, sample

SEVEN = EmoLlamaConfig().emotion_labels
CLOSED = ("affectnet", "ferplus", "mafw", "raf_db", "fer2013", "dfew", "ferv39k", "afew", "sfew")


def question_and_answer(one):
    asked, answered = one["messages"]
    return asked["content"][-1]["text"], answered["content"]


@pytest.mark.parametrize("layout", CLOSED)
def test_a_data_set_asks_with_its_own_labels(tmp_path, layout):
    """FER2013's seven, AffectNet's and FERPlus's eight, MAFW's eleven; whatever is taught is among what is asked."""
    records = list(Records(getattr(miniature_data, layout)(tmp_path), layout, default_labels=SEVEN))
    for one in samples_of(records):
        question, answer = question_and_answer(one)
        assert answer in one["emotion_labels"] and ", ".join(one["emotion_labels"]) in question
    assert len(one["emotion_labels"]) == {"affectnet": 8, "ferplus": 8, "mafw": 11}.get(layout, 7)


def test_label_sets_of_data_files_are_all_that_their_labels_mean():
    for file in LABEL_FOLDER.glob("*.json"):
        if file.stem not in ("canonical", "common"):
            label_map = LabelMap.from_file(file.stem)
            assert set(label_map.label_set) == {label_map.meaning(label) for label in label_map._labels} - {None}
    with pytest.raises(ValueError, match="`label_set` of 'own' lacks bored"):
        LabelMap({"1": "bored"}, "own", ["happy", "sad"])


def test_a_label_that_is_not_among_the_options_names_row_and_set(tmp_path):
    miniature_data.affectnet(tmp_path / "A-Net")
    with pytest.raises(RecordError, match=r"training\.csv:3: label 'contemptuous' is not in the .* set of A-Net, a"):
        list(Records(tmp_path / "A-Net", "affectnet", labels=SEVEN))
    records = Records(tmp_path / "A-Net", "affectnet", labels=SEVEN, split="train", on_error="skip")
    assert [record.emotion for record in records] == ["neutral", "happy"] and len(records.skipped) == 1
    face_folders(tmp_path / "own", 1)
    with pytest.raises(RecordError, match="label 'sad' is not in the label set of own, happy, neutral"):
        samples_of(Records(tmp_path / "own"), ["happy", "neutral"])
    with pytest.raises(RecordError, match="own has no label set"):
        samples_of(Records(tmp_path / "own"))


def test_labels_in_other_words(tmp_path):
    """A preset's set of each layout, a set that is given, and that of a model: emotions take their words."""
    paper = preset("paper")
    mafw = list(Records(miniature_data.mafw(tmp_path / "mafw"), "mafw", labels=paper))
    assert {tuple(record.emotion_labels) for record in mafw} == {tuple(paper.label_sets["mafw"])}
    face_folders(tmp_path / "own", 1)
    nouns = ["happiness", "sadness", "neutral"]
    for given in ({"labels": paper}, {"labels": nouns}, {"default_labels": nouns}):
        for one in samples_of(Records(tmp_path / "own", **given)):
            question, answer = question_and_answer(one)
            assert answer in nouns and answer == one["emotion"] and answer in question
    with pytest.raises(RecordError, match="label 'happy' is not in the label set of own, happiness"):
        list(Records(tmp_path / "own", labels=nouns, label_map="keep"))


def test_a_label_map_brings_two_sets_together(tmp_path):
    """Contempt is left out by a map of one's own, and the label set is the map's."""
    labels = {str(n): meaning for n, meaning in enumerate(["neutral", "happy", *[None] * 6])}
    (tmp_path / "two.json").write_text(json.dumps({"labels": labels, "label_set": ["happy", "neutral"]}))
    records = Records(miniature_data.affectnet(tmp_path / "a"), "affectnet", label_map=tmp_path / "two.json")
    assert [(record.emotion, record.emotion_labels) for record in records] == [
        ("neutral", ["happy", "neutral"]),
        ("happy", ["happy", "neutral"]),
        ("neutral", ["happy", "neutral"]),
    ]
    assert records.without_emotion == 2


def test_instructions_carry_the_label_set_of_their_data(tmp_path):
    """From AffectNet's record to a question of eight labels, and back from the file of lines."""
    records = Records(miniature_data.affectnet(tmp_path / "a"), "affectnet")
    instruct(records, tmp_path / "qa.jsonl", CategoryQuestions(), progress=False)
    again = list(Records(tmp_path / "qa.jsonl", default_labels=SEVEN))
    assert [record.emotion for record in again] == ["neutral", "happy", "contemptuous", "contemptuous", "neutral"]
    for record, item in zip(again, records, strict=True):
        assert ", ".join(item.emotion_labels) in record.conversation[0]["content"][1]["text"]
        assert (record.emotion_labels, record.dataset) == (item.emotion_labels, "a")


def test_each_row_s_loss_compares_the_labels_of_its_own_set(tiny):
    """A batch of two sets has the loss of each row asked alone with its own set."""
    collator = EmoLlamaDataCollator(AutoProcessor.from_pretrained(tiny))
    sets = [("happy", "sad"), ("happy", "sad", "contemptuous", "neutral")]
    samples = [sample(picture(), "happy", emotion_labels=labels) for labels in (*sets, None)]
    collator.label_sets = sets
    batch = collator(samples)
    assert batch["label_sets"].shape == batch["labels"].shape
    assert batch["label_sets"][:, 0].tolist() == [0, 1, -100]
    logits = torch.randn(*batch["labels"].shape, len(collator.processor.tokenizer), generator=torch.manual_seed(0))
    answers = [answer_tokens(collator, list(labels)) for labels in sets]
    together = ClosedSetLoss(answers, 1.0).closed_set_sum(logits, batch["labels"], batch["label_sets"])
    alone = [
        ClosedSetLoss([answers[row]], 1.0).closed_set_sum(logits[row : row + 1], batch["labels"][row : row + 1])
        for row in range(2)
    ]
    assert torch.isclose(together, sum(alone)) and alone[0] < alone[1]


def test_a_sample_s_wrong_emotion_is_refused_before_anything_is_read(tiny):
    processor = AutoProcessor.from_pretrained(tiny)
    bad = [sample(None, "x"), {**sample(picture(), "happy", dataset="A-Net"), "emotion": "bored"}]
    with pytest.raises(ValueError, match="Sample 1 of A-Net has the `emotion` 'bored', which is none of happy, sad"):
        EmotionDataset(bad, processor, emotion_labels=["happy", "sad"])


def result(dataset, target, scores):
    best = max(scores, key=scores.get)
    return {"id": "x", "dataset": dataset, "target": target, "kind": "static", "answer": best, "scores": scores}


def test_figures_of_all_sets_only_where_their_label_sets_agree():
    results = [
        result("a", "happy", {"happy": 0.9, "sad": 0.1}),
        result("a", "sad", {"happy": 0.9, "sad": 0.1}),
        result("b", "sad", {"sad": 0.8, "happy": 0.2}),
    ]
    report = make_report(results, {"a": ["happy", "sad"], "b": ["sad", "happy"]})
    assert report["likelihood"]["war"] == pytest.approx(2 / 3)
    assert [report["datasets"][name]["likelihood"]["war"] for name in "ab"] == [0.5, 1.0]
    results[2] = result("b", "contemptuous", {"happy": 0.1, "contemptuous": 0.9})
    report = make_report(results, {"a": ["happy", "sad"], "b": ["happy", "contemptuous"]})
    assert report.keys() == {"errors", "datasets"}
    assert report["datasets"]["b"]["likelihood"]["labels"] == ["happy", "contemptuous"]


def test_several_sets_train_and_are_evaluated_in_one_run(tiny, tmp_path, capsys):
    """AffectNet's eight labels and MAFW's eleven, with an auxiliary loss, then the same data evaluated."""
    data = [str(getattr(miniature_data, name)(tmp_path / name)) for name in ("affectnet", "mafw")]
    arguments = ["--model", str(tiny), "--output", str(tmp_path / "run")]
    training = ["--max-steps", "2", "--eval-strategy", "steps", "--eval-steps", "2", "--save-strategy", "steps"]
    training += ["--save-steps", "2", "--use-cpu", "--report-to", "none", "--disable-tqdm", "true"]
    training += ["--closed-set-weight", "1", "--lora-rank", "2", "--per-device-train-batch-size", "8"]
    evaluated = [word for path in data for word in ("--eval-data", path)]
    assert main(["train", *data, "--split", "train", *evaluated, *arguments, *training]) == 0
    logged = json.loads((tmp_path / "run/all_results.json").read_text())
    assert logged["eval_uar"] == pytest.approx((logged["eval_uar_affectnet"] + logged["eval_uar_mafw"]) / 2)
    output = ["--output", str(tmp_path / "report"), "--device", "cpu", "--max-new-tokens", "2"]
    assert main(["evaluate", *data, "--model", str(tiny), *output]) == 0
    report = json.loads((tmp_path / "report/report.json").read_text())
    assert {name: len(part["likelihood"]["labels"]) for name, part in report["datasets"].items()} == {
        "affectnet": 8,
        "mafw": 11,
    }
    assert "likelihood" not in report and (tmp_path / "report/confusion-likelihood-mafw.png").exists()
    printed, said = capsys.readouterr()
    assert f"{data[0]} is read as affectnet." in said and f"{data[1]} is read as mafw." in said
    assert "affectnet:" in printed and "all together" not in printed
