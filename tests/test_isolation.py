"""One bad input costs no other its answer, and a result that is none is an error."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

from emo_llama_command import main
from emo_llama_hf.chat.error_text import logger
from emo_llama_hf.evaluation import ChatModelPredictor, EmoLlamaPredictor, evaluate
from emo_llama_hf.processing.media_limits import MediaLimits
from emotion_samples import EMOTIONS, face_samples
from media import clip, encoded, numbered
from test_bad_input import ASTRONAUT
from tiny_llava import build_tiny_llava

PICTURE = Image.fromarray(numbered(100))
TEXT = {"type": "text", "text": "How does she feel?"}
SHOWN = {"type": "image", "image": PICTURE}
LOCAL = MediaLimits(allow_private=True)


@pytest.fixture(scope="module")
def pipe(tiny):
    return pipeline("emotion-chat", model=str(tiny), num_frames=2, max_new_tokens=2, do_sample=False)


@pytest.fixture
def logged(monkeypatch):
    """Errors whose traceback went to the log."""
    errors = []
    monkeypatch.setattr(logger, "error", lambda message, exc_info: errors.append(exc_info))
    return errors


def nested(depth: int) -> list:
    inner: list = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("chat", "words"),
    [
        ([{"role": "system", "content": [SHOWN, TEXT]}, {"role": "user", "content": [SHOWN, TEXT]}], "role 'system'"),
        (
            [
                {"role": "user", "content": [SHOWN, TEXT]},
                {"role": "assistant", "content": [SHOWN, TEXT]},
                {"role": "user", "content": [TEXT]},
            ],
            "role 'assistant'",
        ),
        ([{"role": "user", "content": iter([SHOWN, TEXT])}], "`content` must be"),
        ([{"role": "user", "content": None}], "`content` must be"),
        ([{"role": "user", "content": [SHOWN, nested(20_000)]}], "`content` must be"),
        ([{"role": "user", "content": [SHOWN, {"type": "text", "text": nested(20_000)}]}], "`text` is"),
        ([{"role": "user", "content": [SHOWN, {"type": "text"}]}], "`text` is None"),
        ([{"role": "user", "content": [SHOWN, TEXT], "name": nested(20_000)}], "`inputs` is no chat that"),
    ],
    ids=["system", "assistant", "iterator", "none", "nested part", "nested text", "no text", "nested beside"],
)
def test_odd_chats_are_refused_in_a_sentence(pipe, chat, words, logged):
    with pytest.raises(ValueError, match=words):
        pipe(chat)
    before, bad, after = pipe([PICTURE, list(chat), PICTURE], batch_size=3)
    assert "scores" in before and "scores" in after and set(bad) == {"error"}
    assert not logged


def test_a_chat_with_a_message_that_is_none_costs_no_other_its_answer(pipe, logged):
    good = [{"role": "user", "content": [SHOWN, TEXT]}]
    for bad in ([*good, {"role": "user"}], [*good, "Why?"], [*good, None]):
        with pytest.raises(ValueError, match="`inputs` is a chat with a message that is no dict"):
            pipe(bad)
        for inputs in ([good, bad, good], (chat for chat in (good, bad, good))):
            first, refused, last = pipe(inputs)
            assert "scores" in first and "scores" in last and "`inputs` is a chat" in refused["error"]
    assert not logged


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"question": "Why \ud800?"}, "has '.ud800' at"),
        ({"labels": ["happy", "\udcff"]}, "has '.udcff' at"),
        ({"labels": nested(20_000)}, "`labels` must be"),
        ({"labels": [10**5000]}, "`labels` must be"),
        ({"question": 10**5000}, "`question` must be"),
        ({"attributes": 10**5000}, "`attributes` must be"),
        ({"attributes": {"age": 10**5000}}, "must be text or"),
        ({"attributes": {"age": ("20-29", "much")}}, "must be text or"),
        ({"attributes": {3: "20-29"}}, "`attributes` has 3"),
        ({"generate_kwargs": 0.5}, "`generate_kwargs` must be"),
        ({"temperature": "x", "do_sample": True}, "`temperature`"),
        ({"num_beams": "x"}, "`num_beams`"),
        ({"max_new_tokens": "x"}, "`max_new_tokens`"),
        ({"num_return_sequences": []}, "`num_return_sequences`"),
        ({"bad_words_ids": ["a"]}, "`bad_words_ids`"),
        ({"eos_token_id": float("inf")}, "`eos_token_id`"),
        ({"num_beams": 0}, "`num_beams`"),
    ],
    ids=lambda value: str(list(value)) if isinstance(value, dict) else "",
)
def test_odd_arguments_are_refused_in_a_sentence(pipe, arguments, words):
    with pytest.raises(ValueError, match=words):
        pipe(PICTURE, **arguments)


def test_errors_of_a_streamer_are_its_own(pipe):
    class Broken:
        def put(self, value):
            raise KeyError("mine")

        def end(self):
            pass

    with pytest.raises(KeyError, match="mine"):
        pipe(PICTURE, streamer=Broken())


def test_what_nobody_expected_keeps_its_type_and_traceback(pipe, monkeypatch, logged):
    load = pipe.processor.load_visual

    def surprise(source, *args, **kwargs):
        if source == ASTRONAUT:
            raise KeyError("boom")
        return load(source, *args, **kwargs)

    monkeypatch.setattr(pipe.processor, "load_visual", surprise)
    results = pipe([PICTURE, ASTRONAUT, PICTURE], batch_size=3)
    assert ["scores" in result for result in results] == [True, False, True]
    assert results[1] == {"error": "KeyError: 'boom'"}
    assert [type(error) for error in logged] == [KeyError]
    with pytest.raises(KeyError):
        pipe(ASTRONAUT)


def test_one_that_fails_in_the_model_fails_alone(pipe, monkeypatch, logged):
    answer = pipe._answer

    def surprise(subjects, generate_kwargs):
        if any(subject.visuals[-1].frames[0].size == (512, 512) for subject in subjects):
            raise RuntimeError("out of memory")
        return answer(subjects, generate_kwargs)

    expected = pipe([PICTURE, PICTURE], batch_size=2)
    monkeypatch.setattr(pipe, "_answer", surprise)
    results = pipe([PICTURE, ASTRONAUT, PICTURE], batch_size=3)
    assert results[1] == {"error": "RuntimeError: out of memory"}
    for result, alone in zip(results[::2], expected, strict=True):
        assert result["scores"] == pytest.approx(alone["scores"], abs=1e-5)
    assert len(logged) == 1
    with pytest.raises(RuntimeError, match="out of memory"):
        pipe(ASTRONAUT)


@pytest.fixture
def broken(tiny):
    """A model whose weights overflowed."""
    model = AutoModelForImageTextToText.from_pretrained(tiny)
    with torch.no_grad():
        model.lm_head.weight[3] = torch.nan
    return model


def test_scores_that_are_no_numbers_are_an_error(broken, tiny, tmp_path):
    processor = AutoProcessor.from_pretrained(tiny)
    pipe = pipeline("emotion-chat", model=broken, processor=processor, max_new_tokens=2)
    with pytest.raises(FloatingPointError, match="not finite"):
        pipe(PICTURE)
    assert all("not finite" in result["error"] for result in pipe([PICTURE, ASTRONAUT], batch_size=2))
    predictor = EmoLlamaPredictor(broken, processor, EMOTIONS, device="cpu", max_new_tokens=2)
    with pytest.raises(ValueError, match=r"No sample could be answered; .* not finite"):
        evaluate(predictor, face_samples(3), processor, tmp_path, progress=False)


def test_another_models_scores_that_are_no_numbers_are_an_error(tiny, tmp_path):
    folder = build_tiny_llava(tmp_path / "llava")
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[3] = torch.nan
    predictor = ChatModelPredictor(model, processor, EMOTIONS, max_new_tokens=2)
    reader = AutoProcessor.from_pretrained(tiny)
    with pytest.raises(ValueError, match=r"No sample could be answered; .* not finite"):
        evaluate(predictor, face_samples(2), reader, tmp_path / "results", progress=False)


@contextmanager
def serving(content: bytes):
    """A server of one picture; gives its address and the paths that were asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_a_url_is_fetched_once(pipe):
    expected = pipe(PICTURE)
    with serving(encoded(PICTURE)) as (address, asked):
        for source in (f"{address}/a.png", address.upper().replace("HTTP", "HTTP") + "/b", {"image": f"{address}/c"}):
            result = pipe(source, limits=LOCAL)
            assert result["scores"] == pytest.approx(expected["scores"], abs=1e-5)
        chat = [{"role": "user", "content": [{"type": "image", "url": f"{address}/d"}, TEXT]}]
        pipe(chat, limits=LOCAL)
        assert asked == ["/a.png", "/b", "/c", "/d"]
        assert pipe.annotate(f"{address}/e", result, limits=LOCAL).size == PICTURE.size
        assert asked[4:] == ["/e"]


@pytest.mark.parametrize("name", ["a.png", "a.mp4"])
def test_a_url_that_is_answered_and_drawn_is_fetched_once(tiny, tmp_path, name):
    content = encoded(PICTURE) if name == "a.png" else clip(frames=4)
    with serving(content) as (address, asked):
        command = ["analyze", f"{address}/{name}", f"{address}/again/{name}", "--model", str(tiny), "--device", "cpu"]
        command += ["--allow-private", "--max-new-tokens", "1", "--save-annotated", str(tmp_path)]
        assert main(command) == 0
        assert asked == [f"/{name}", f"/again/{name}"]
    assert len(list(tmp_path.iterdir())) == 2


def test_this_machine_is_not_asked_unless_allowed(pipe):
    with serving(encoded(PICTURE)) as (address, asked):
        for source in (f"{address}/a.png", {"image": f"{address}/a.png"}):
            with pytest.raises(ValueError, match="no public address"):
                pipe(source)
        assert not asked
