"""Gemini's and OpenAI's protocols, spoken by the providers' own packages with a real server that misbehaves."""

import json

import pytest
from PIL import Image, ImageChops, ImageStat

from emo_llama_command import main
from emo_llama_hf.data import Record, RecordError, Records
from emo_llama_hf.instruct import (
    CategoryQuestions,
    Conversations,
    Request,
    TransformersWriter,
    WriterError,
    instruct,
)
from emo_llama_hf.processing.frame_sampling import sample_frames
from llm_server import INPUT_TOKENS, KEY, OUTPUT_TOKENS, THOUGHT_TOKENS, Fault, good_reply
from media import clip, encoded
from tiny_llava import build_tiny_llava

PICTURE = encoded(Image.new("RGB", (1000, 500), "grey"))
PAID = (INPUT_TOKENS, OUTPUT_TOKENS + THOUGHT_TOKENS)


@pytest.fixture
def records():
    emotions = ["happy", "sad", "neutral"]
    return [Record(f"r{n}", PICTURE, emotion=emotion, row=f"t:{n}") for n, emotion in enumerate(emotions)]


def conversations(writer, pauses=None, **settings):
    return Conversations(writer, sleep=([] if pauses is None else pauses).append, **settings)


def run(records, output, writer, pauses=None, **settings):
    own = {name: settings.pop(name) for name in ("max_attempts", "max_retries", "turns") if name in settings}
    arguments = {"concurrency": 1, "progress": False, **settings}
    return instruct(records, output, conversation=conversations(writer, pauses, **own), **arguments)


def test_the_model_sees_the_picture_and_the_label(server, make_writer, records, tmp_path):
    report = run(records, tmp_path / "o.jsonl", make_writer(), prices=(1.0, 10.0))
    assert [call.protocol for call in server.calls] == [make_writer.protocol] * 3
    assert server.calls[0].model in ("some/model", "some-model")
    assert [len(call.pictures) for call in server.calls] == [1, 1, 1]
    assert server.calls[0].pictures[0].size == (768, 384)
    assert "looks happy" in server.calls[0].prompt
    assert server.calls[0].schema["properties"]["emotion"]["enum"][3] == "happy"
    assert len({call.seed for call in server.calls}) == 3
    back = list(Records(tmp_path / "o.jsonl"))
    assert [(record.id, record.emotion) for record in back] == [
        ("r0#conversation", "happy"),
        ("r1#conversation", "sad"),
        ("r2#conversation", "neutral"),
    ]
    assert back[1].conversation[0]["content"][0] == {"type": "image"}
    assert back[1].conversation[1]["content"][0]["text"] == "A person who looks sad."
    assert (report.written, report.requests, report.retries) == (3, 3, 0)
    assert (report.input_tokens, report.output_tokens) == (3 * PAID[0], 3 * PAID[1])
    assert report.cost == pytest.approx((3 * PAID[0] * 1 + 3 * PAID[1] * 10) / 1e6)


def test_the_model_sees_frames_of_a_clip(server, make_writer, tmp_path):
    (tmp_path / "c.mp4").write_bytes(clip(frames=12))
    record = Record("c", str(tmp_path / "c.mp4"), is_video=True, emotion="afraid")
    run([record], tmp_path / "o.jsonl", make_writer())
    assert len(server.calls[0].pictures) == 4
    assert "4 frames of a video" in server.calls[0].prompt
    (back,) = Records(tmp_path / "o.jsonl")
    assert back.is_video and back.source() == str(tmp_path / "c.mp4")


def test_a_clip_is_described_once_and_the_writer_sees_its_centre(server, make_writer, tmp_path):
    (tmp_path / "c.mp4").write_bytes(clip(frames=9))
    records = [
        Record("c", str(tmp_path / "c.mp4"), is_video=True, emotion="afraid", row="t:0"),
        Record("p", PICTURE, emotion="sad", row="t:1"),
    ]
    server.answer = lambda prompt: (
        "A girl\n{turns} around." if prompt.count("Describe the video") else good_reply(prompt)
    )
    server.faults = [Fault(text="I'm sorry, but I can't help with that."), Fault(), *[Fault(text="[]")] * 2]

    def write(**settings):
        kinds = conversations(make_writer(), max_attempts=2, describer=make_writer())
        return instruct(records, tmp_path / "o.jsonl", conversation=kinds, concurrency=1, progress=False, **settings)

    with pytest.raises(RecordError, match="t:0: no usable reply in 2 attempts, the last one: schema"):
        write()
    assert [call.schema is None for call in server.calls] == [True, True, False, False]
    assert write().written == 2
    described, *_, again, picture = server.calls
    assert len(server.calls) == 6  # not described a second time
    assert (len(described.pictures), len(again.pictures), len(picture.pictures)) == (4, 1, 1)
    assert "4 frames of a video" in described.prompt and "afraid" not in described.prompt
    assert 'like this: "A girl {turns} around."' in again.prompt and "looks afraid." in again.prompt
    centre = sample_frames(str(tmp_path / "c.mp4"), num_frames=9).frames[4]
    assert ImageStat.Stat(ImageChops.difference(centre, again.pictures[0])).mean < [3] * 3  # but for JPEG
    assert "You see an image." in picture.prompt
    tokens = (tmp_path / "o.jsonl.journal").read_text().count('"tokens"')
    assert tokens == len(server.calls)  # each is paid for, once
    with pytest.raises(ValueError, match="begun with other `conversation`"):
        run(records, tmp_path / "o.jsonl", make_writer(), max_attempts=2)


@pytest.mark.parametrize("foreign", [False, True], ids=["EmoLlama", "Llava"])
def test_a_model_of_this_machine_describes(tiny, tmp_path, foreign):
    folder = str(build_tiny_llava(tmp_path) if foreign else tiny)
    writer = TransformersWriter(folder, device="cpu", max_new_tokens=6)
    assert writer.name == f"transformers:{folder}"
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "white")]
    first, same, other = (writer.write(Request(frames, True, "Describe it.", seed)) for seed in (1, 1, 2))
    assert first == same != other
    assert (first.input_tokens, first.output_tokens) == (0, 0)
    assert first.text and "Describe" not in first.text


@pytest.mark.parametrize(
    ("fault", "least_pause"),
    [
        (Fault(status=429, headers={"Retry-After": "7"}), 7.0),
        (Fault(status=429, details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}]), 0.5),
        (Fault(status=500), 0.5),
        (Fault(status=503), 0.5),
        (Fault(body=b"<html>gateway</html>"), 0.5),
        (Fault(cut=True), 0.5),
    ],
    ids=["429", "429-details", "500", "503", "not-json", "cut"],
)
def test_passing_faults_are_tried_again(server, make_writer, records, tmp_path, fault, least_pause):
    server.faults = [fault, fault]
    pauses = []
    report = run(records[:1], tmp_path / "o.jsonl", make_writer(), pauses)
    assert (report.written, report.requests, report.retries, dict(report.rejected)) == (1, 3, 2, {})
    assert len(pauses) == 2
    if fault.details and make_writer.protocol == "gemini":
        least_pause = 17.0
    assert min(pauses) >= least_pause
    assert (report.input_tokens, report.output_tokens) == PAID  # nobody pays for an error


def test_a_timeout_is_tried_again(server, make_writer, records, tmp_path):
    server.faults = [Fault(delay=3.0)]
    report = run(records[:1], tmp_path / "o.jsonl", make_writer(timeout=1.0))
    assert (report.written, report.retries) == (1, 1)


def test_giving_up_is_reported_and_a_later_run_tries_again(server, make_writer, records, tmp_path):
    server.faults = [Fault(status=500)] * 3
    with pytest.raises(RecordError, match=r"t:0: gave up after 3 tries: HTTP 500"):
        run(records, tmp_path / "o.jsonl", make_writer(), max_retries=2)
    server.faults = [Fault(status=400)]
    report = run(records, tmp_path / "o.jsonl", make_writer(), on_error="skip")
    assert list(report.failed) == ["r0"] and "HTTP 400" in report.failed["r0"]
    assert [record.id for record in Records(tmp_path / "o.jsonl")] == ["r1#conversation", "r2#conversation"]
    report = run(records, tmp_path / "o.jsonl", make_writer())
    assert (report.known, report.written, report.failed) == (2, 1, {})
    assert [record.id[:2] for record in Records(tmp_path / "o.jsonl")] == ["r0", "r1", "r2"]


def reply(**changes):
    turns = [{"question": "How do they feel?", "answer": "They look happy."}]
    return json.dumps({"refused": False, "emotion": "happy", "turns": turns, **changes})


BAD_REPLIES = {
    "not JSON": '{"refused": false, "emo',
    "schema": reply(turns=[{"question": "How?"}]),
    "refusal": reply(refused=True, turns=[]),
    "empty": reply(turns=[{"question": "How do they feel?", "answer": " "}]),
    "wrong label": reply(emotion="sad"),
    "leaked label": reply(turns=[{"question": "Why this happiness?", "answer": "They look happy."}]),
    "mentions the annotation": reply(turns=[{"question": "How?", "answer": "Happy, as the label says."}]),
}


@pytest.mark.parametrize("kind", BAD_REPLIES)
def test_unusable_replies_are_rejected_asked_for_again_and_paid(server, make_writer, records, tmp_path, kind):
    server.faults = [Fault(text=BAD_REPLIES[kind])]
    report = run(records[:1], tmp_path / "o.jsonl", make_writer(), turns=1)
    assert dict(report.rejected) == {kind: 1}
    assert (report.written, report.requests, report.retries) == (1, 2, 0)
    assert (report.input_tokens, report.output_tokens) == (2 * PAID[0], 2 * PAID[1])
    assert server.calls[0].seed != server.calls[1].seed


def test_a_provider_s_refusal_is_a_refusal(server, make_writer, records, tmp_path):
    server.faults = [Fault(refusal="SAFETY")] * 2
    with pytest.raises(RecordError, match="no usable reply in 2 attempts, the last one: refusal: SAFETY"):
        run(records[:1], tmp_path / "o.jsonl", make_writer(), max_attempts=2)


def test_a_wrong_key_ends_the_run(server, make_writer, records, tmp_path):
    with pytest.raises(WriterError, match="HTTP 401"):
        run(records, tmp_path / "o.jsonl", make_writer(key="wrong"))


def test_a_stopped_run_goes_on_without_paying_twice(server, make_writer, records, tmp_path):
    class Stopping:
        name = make_writer().name
        writer = make_writer()

        def write(self, request):
            if request.emotion == "neutral":
                raise KeyboardInterrupt
            return self.writer.write(request)

    with pytest.raises(KeyboardInterrupt):
        run(records, tmp_path / "o.jsonl", Stopping())
    assert len(server.calls) == 2 and not (tmp_path / "o.jsonl").exists()
    report = run(records, tmp_path / "o.jsonl", make_writer())
    assert (report.known, report.written, len(server.calls)) == (2, 1, 3)
    assert report.input_tokens == 3 * PAID[0]


def test_order_threads_and_resumption_do_not_change_the_output(server, make_writer, tmp_path):
    emotions = ["happy", "sad", "angry", "neutral"]
    records = [Record(f"r{n}", PICTURE, emotion=emotions[n % 4]) for n in range(8)]
    kinds = {"category": CategoryQuestions(2), "progress": False}
    instruct(records, tmp_path / "a/o.jsonl", conversation=conversations(make_writer()), concurrency=1, **kinds)
    seeds = {call.seed for call in server.calls}
    server.calls.clear()
    instruct(records[:3], tmp_path / "b/o.jsonl", conversation=conversations(make_writer()), concurrency=3, **kinds)
    instruct(records, tmp_path / "b/o.jsonl", conversation=conversations(make_writer()), concurrency=3, **kinds)
    assert {call.seed for call in server.calls} == seeds
    assert (tmp_path / "a/o.jsonl").read_bytes() == (tmp_path / "b/o.jsonl").read_bytes()


def test_the_budget_is_kept(server, make_writer, records, tmp_path):
    output = tmp_path / "o.jsonl"
    price = 1e6 / PAID[0]  # one reply costs 1
    report = run(records, output, make_writer(), prices=(price, 0.0), max_cost=1.5)
    assert (report.written, report.stopped) == (2, "the cost reached 1.5")
    assert run(records, output, make_writer(), prices=(price, 0.0), max_cost=2.0).written == 0
    assert run(records, output, make_writer(), prices=(price, 0.0), max_cost=9.0).written == 1


def test_no_key_is_said_before_anything_is_asked(make_writer, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WriterError):
        make_writer(key=None)


def test_the_command_asks_the_endpoint(server, make_writer, tmp_path, monkeypatch, capsys):
    for label in ("joy", "anger"):
        (tmp_path / "faces" / label).mkdir(parents=True)
        (tmp_path / "faces" / label / "a.png").write_bytes(PICTURE)
    monkeypatch.setenv("MY_KEY", KEY)
    arguments = ["instruct", str(tmp_path / "faces"), "--output", str(tmp_path / "o.jsonl"), "--kinds", "conversation"]
    arguments += [
        "--writer",
        make_writer.protocol,
        "--writer-model",
        "m",
        "--base-url",
        make_writer.url,
        "--api-key-env",
        "MY_KEY",
    ]
    arguments += ["--prices", "2", "8", "--temperature", "0.5", "--turns", "2"]
    assert main(arguments) == 0
    assert {(call.model, call.temperature) for call in server.calls} == {("m", 0.5)}
    assert f"cost {2 * (PAID[0] * 2 + PAID[1] * 8) / 1e6:.4f}" in capsys.readouterr().out
    assert [len(record.conversation) for record in Records(tmp_path / "o.jsonl")] == [4, 4]
    report = json.loads((tmp_path / "o.jsonl.report.json").read_text())
    assert (report["requests"], report["input_tokens"]) == (2, 2 * PAID[0])
