"""Figures against scikit-learn, and against numbers worked out by hand."""

import random

import numpy as np
import pytest
from PIL import Image

from emo_llama_hf.evaluation import calibration_error, emotion_metrics, make_report, save_confusion_matrix, save_report
from emotion_samples import EMOTIONS


def drawn(seed: int, labels: list[str], count: int = 200) -> tuple[list[str], list[str]]:
    dice = random.Random(seed)
    targets = [dice.choice(labels) for _ in range(count)]
    return targets, [target if dice.random() < 0.6 else dice.choice(labels) for target in targets]


class TestMetrics:
    @pytest.mark.parametrize("seed", range(3))
    def test_scikit_learn(self, seed):
        sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
        labels = ["a", "b", "c", "d"]
        targets, predictions = drawn(seed, labels)
        figures = emotion_metrics(targets, predictions, labels)
        assert figures["war"] == pytest.approx(sklearn.accuracy_score(targets, predictions))
        assert figures["war"] == pytest.approx(sklearn.recall_score(targets, predictions, average="weighted"))
        assert figures["uar"] == pytest.approx(sklearn.balanced_accuracy_score(targets, predictions))
        recall = sklearn.recall_score(targets, predictions, average=None, labels=labels)
        assert list(figures["recall"].values()) == pytest.approx(recall.tolist())
        assert figures["confusion"] == sklearn.confusion_matrix(targets, predictions, labels=labels).tolist()

    def test_by_hand(self):
        """Three of four `a` and none of two `b` are right; nobody is `c`; one `b` got no answer."""
        figures = emotion_metrics(["a"] * 4 + ["b"] * 2, ["a", "a", "a", "c", "a", None], ["a", "b", "c"])
        assert figures["count"] == 6 and figures["unparsable"] == 1
        assert figures["war"] == pytest.approx(3 / 6)
        assert figures["recall"] == {"a": 0.75, "b": 0.0}
        assert figures["uar"] == pytest.approx(0.375)
        assert figures["confusion"] == [[3, 0, 1], [1, 0, 0], [0, 0, 0]]
        assert figures["support"] == {"a": 4, "b": 2, "c": 0}

    @pytest.mark.parametrize(("targets", "answers"), [([], []), (["a"], []), (["x"], ["a"]), (["a"], ["x"])])
    def test_refused(self, targets, answers):
        with pytest.raises(ValueError):
            emotion_metrics(targets, answers, ["a", "b"])

    def test_calibration_by_hand(self):
        """Two ranges: 0.9 claimed and 0.5 right of two; 0.3 claimed and all right of two."""
        assert calibration_error([0.9, 0.9, 0.3, 0.3], [True, False, True, True], bins=2) == pytest.approx(
            0.5 * 0.4 + 0.5 * 0.7
        )
        assert calibration_error([1.0, 0.0], [True, False]) == 0

    def test_calibration_of_honest_confidences(self):
        dice = np.random.default_rng(0)
        confidences = dice.uniform(size=50_000)
        correct = dice.uniform(size=50_000) < confidences
        assert calibration_error(confidences, correct) < 0.01
        assert calibration_error(confidences, dice.uniform(size=50_000) < confidences**2) == pytest.approx(
            1 / 2 - 1 / 3, abs=0.01
        )


def result(target: str, answer: str, score: float, **more) -> dict:
    """A result whose likeliest label is the target where `score` is over one half."""
    other = next(emotion for emotion in EMOTIONS if emotion != target)
    return {
        "target": target,
        "answer": answer,
        "scores": {target: score, other: 1 - score},
        "kind": "static",
        **more,
    }


RESULTS = [
    result("happy", "She looks happy.", 0.9, fold="1", attributes={"gender": "female"}),
    result("happy", "not happy", 0.8, fold="1", attributes={"gender": "male"}),
    result("sad", "sadness", 0.4, fold="2", attributes={"gender": "female"}, kind="dynamic"),
    result("neutral", "neutral or sad", 0.7, fold="2"),
]


class TestReport:
    def test_two_protocols(self):
        report = make_report([*RESULTS, {"target": "sad", "error": "broken", "kind": "static"}], EMOTIONS)
        words, scores = report["generation"], report["likelihood"]
        assert report["errors"] == 1
        assert (words["count"], words["unparsable"], words["war"]) == (4, 2, 0.5)
        assert words["recall"] == {"happy": 0.5, "sad": 1.0, "neutral": 0.0}
        assert (scores["unparsable"], scores["war"]) == (0, 0.75)
        assert scores["ece"] == pytest.approx((0.1 + 0.2 + 0.6 + 0.3) / 4)
        assert "ece" not in words

    def test_folds(self):
        figures = make_report(RESULTS, EMOTIONS)["generation"]
        assert {fold: values["war"] for fold, values in figures["folds"].items()} == {"1": 0.5, "2": 0.5}
        assert {fold: values["uar"] for fold, values in figures["folds"].items()} == {"1": 0.5, "2": 0.5}
        assert figures["over_folds"]["war"] == {"mean": 0.5, "std": 0.0}
        scores = make_report(RESULTS, EMOTIONS)["likelihood"]["over_folds"]
        assert scores["war"] == {"mean": pytest.approx(0.75), "std": pytest.approx(0.25)}

    def test_groups_and_kinds(self):
        figures = make_report(RESULTS, EMOTIONS)["generation"]
        assert {name: rows["war"] for name, rows in figures["groups"]["gender"].items()} == {
            "female": 1.0,
            "male": 0.0,
        }
        assert set(figures["groups"]) == {"gender"}
        assert {kind: rows["count"] for kind, rows in figures["kinds"].items()} == {"static": 3, "dynamic": 1}

    def test_pictures(self, tmp_path):
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: the extra `train` has it")
        report = make_report(RESULTS, EMOTIONS)
        save_report(report, tmp_path)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"report.json", "confusion-generation.png", "confusion-likelihood.png"}
        with Image.open(tmp_path / "confusion-likelihood.png") as picture:
            assert picture.format == "PNG" and picture.width > 300

    def test_picture_shows_the_matrix(self, tmp_path):
        """The dark cells are where the answers are: on the diagonal, or off it."""
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: the extra `train` has it")
        pixels = []
        for name, answers in {"right": ["a", "b"], "wrong": ["b", "a"]}.items():
            path = tmp_path / f"{name}.png"
            save_confusion_matrix(emotion_metrics(["a", "b"], answers, ["a", "b"]), path)
            pixels.append(np.asarray(Image.open(path).convert("L"), dtype=float))
        difference = pixels[0] - pixels[1]
        rows, columns = np.nonzero(np.abs(difference) > 100)
        matrix = difference[rows.min() : rows.max(), columns.min() : columns.max()]
        height, width = matrix.shape[0] // 2, matrix.shape[1] // 2
        assert matrix[:height, :width].mean() < -50 and matrix[height:, width:].mean() < -50
        assert matrix[:height, width:].mean() > 50 and matrix[height:, :width].mean() > 50
