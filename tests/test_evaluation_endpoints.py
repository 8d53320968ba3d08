"""Zero-shot evaluations of models behind an endpoint, with a local server that misbehaves."""

import json

import numpy as np
import pytest

from emo_llama_command import main
from emo_llama_hf.closed_set import closed_question
from emo_llama_hf.evaluation import evaluate
from emo_llama_hf.evaluation.load_predictor import writer_predictor
from emo_llama_hf.writers import Patience, WriterError
from emotion_samples import EMOTIONS, clip, face_folders, face_samples, picture, sample
from llm_server import KEY, Fault

SAMPLES = [*face_samples(3), sample(clip(3), "sad", id="clip")]


def run(writer, output, samples=SAMPLES, pauses=None, **settings):
    patience = Patience(writer, max_retries=2, sleep=([] if pauses is None else pauses).append)
    predictor, processor = writer_predictor(patience, EMOTIONS)
    return evaluate(predictor, samples, processor, output, progress=False, **settings)


def results(folder):
    lines = [line for file in folder.glob("results-*.jsonl") for line in file.read_text().splitlines()]
    return {entry["id"]: entry for entry in map(json.loads, lines)}


def test_the_question_is_that_of_other_models(server, make_writer, tmp_path):
    server.answer = lambda prompt: "The person looks sad."
    report = run(make_writer(), tmp_path, batch_size=1)
    assert report["generation"]["recall"] == {"happy": 0, "sad": 1, "neutral": 0}
    assert report.keys() == {"errors", "generation"} and (tmp_path / "confusion-generation.png").is_file()
    assert {(call.protocol, call.schema) for call in server.calls} == {(make_writer.protocol, None)}
    assert [call.prompt for call in server.calls] == [
        *[closed_question("image", EMOTIONS)] * 3,
        closed_question("video", EMOTIONS),
    ]
    assert [len(call.pictures) for call in server.calls] == [1, 1, 1, 3]
    drawn = picture(EMOTIONS[0], 0).frames[0]
    difference = np.asarray(server.calls[0].pictures[0], float) - np.asarray(drawn, float)
    assert server.calls[0].pictures[0].size == drawn.size and abs(difference).mean() < 8  # but for JPEG


def test_answers_without_a_label_are_wrong_and_told(server, make_writer, tmp_path):
    server.faults = [Fault(text="happy"), Fault(text="Hard to say: sad or neutral."), Fault(refusal="SAFETY")]
    server.answer = lambda prompt: "sad"
    report = run(make_writer(), tmp_path, batch_size=1)
    assert (report["refused"], report["errors"]) == (1, 0)
    assert (report["generation"]["unparsable"], report["generation"]["war"]) == (2, 0.5)
    assert results(tmp_path)["2"]["refusal"] == "SAFETY" and results(tmp_path)["2"]["answer"] == ""


def test_faults_are_tried_again_and_given_up(server, make_writer, tmp_path):
    server.answer = lambda prompt: "sad"
    busy, failing = Fault(status=429, headers={"Retry-After": "7"}), Fault(status=500)
    server.faults = [busy, Fault(cut=True), Fault(), failing, failing, failing]
    pauses = []
    report = run(make_writer(), tmp_path, pauses=pauses, batch_size=1)
    assert pauses[0] >= 7 and len(pauses) == 4
    assert report["errors"] == 1 and "gave up after 3 tries: HTTP 500" in results(tmp_path)["1"]["error"]
    asked = len(server.calls)
    assert run(make_writer(), tmp_path)["errors"] == 0  # the one without an answer, alone
    assert len(server.calls) == asked + 1


def test_a_batch_is_asked_at_a_time_and_nothing_answered_is_lost(server, make_writer, tmp_path):
    server.answer = lambda prompt: "sad"
    server.faults = [Fault(status=403), Fault(), Fault(delay=0.2), *[Fault(status=403)] * 2]
    with pytest.raises(WriterError, match="HTTP 403"):
        run(make_writer(), tmp_path, samples=[*SAMPLES, *face_samples(5)[3:]][:5], batch_size=3)
    entries = results(tmp_path)
    assert sorted("error" in entry for entry in entries.values()) == [False, False, True]
    assert run(make_writer(), tmp_path, samples=[*SAMPLES, *face_samples(5)[3:]][:5], batch_size=3)["errors"] == 0
    assert len(server.calls) == 5 + 3


def test_a_wrong_key_ends_the_run(server, make_writer, tmp_path):
    with pytest.raises(WriterError, match="HTTP 401"):
        run(make_writer(key="wrong"), tmp_path)
    assert not server.calls and not results(tmp_path)


@pytest.fixture
def command(make_writer, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    face_folders(tmp_path / "data", 2)
    words = ["evaluate", str(tmp_path / "data"), "--output", str(tmp_path / "report")]
    model = ["--model", f"{make_writer.protocol}:some-model", "--base-url", make_writer.url, "--api-key-env", "MY_KEY"]
    return [*words, *model]


def test_the_command(server, command, tmp_path, capsys):
    server.answer = lambda prompt: "neutral"
    server.faults = [Fault(refusal="SAFETY")]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "generation  WAR" in out and "likelihood" not in out and "1 answers were refused" in out
    assert {(call.model, call.temperature) for call in server.calls} == {("some-model", 0.0)}
    assert len(server.calls) == 6
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["generation"]["count"] == 6 and "likelihood" not in report
    assert main(command) == 0 and len(server.calls) == 6
    assert main([*command, "--base-url", f"{server.url}/other"]) == 1
    assert "other --base-url" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--protocol", "likelihood"], "--protocol likelihood needs a model on this machine"),
        (["--device", "cpu"], "--device is for models on this machine"),
        (["--load-in-4bit"], "--load-in-4bit is for models"),
        (["--max-new-tokens", "9"], "--max-new-tokens is for models"),
        (["--api-key-env", "NO_KEY"], "--api-key-env: the environment variable NO_KEY is not set"),
        (["--model", "openai:"], "--model: 'openai:' lacks"),
        (["--requests-per-minute", "0"], "--requests-per-minute must be above 0"),
        (["--max-retries", "-1"], "--max-retries must be at least 0"),
    ],
)
def test_contradictions(server, command, capsys, options, words):
    assert main([*command, *options]) == 1
    assert words in capsys.readouterr().err and not server.calls
