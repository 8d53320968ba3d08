"""`emo-llama serve`, a real server on this machine, asked with OpenAI's client and over plain HTTP."""

import importlib
import io
import json
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, pipeline

import emo_llama_hf
from media import clip

pytest.importorskip("openai", reason="the extra `openai` is not installed")
pytest.importorskip("starlette", reason="the extra `serve` is not installed")

import openai

from emo_llama_command import main
from emo_llama_hf.chat.told_emotion import told_emotion
from emo_llama_hf.input_error import InputError
from emo_llama_hf.listening import bind
from emo_llama_hf.missing_package import MissingPackageError
from emo_llama_hf.serving import ServingLimits, model_name
from emo_llama_hf.serving.answer_row import AnswerRow
from running_server import NAME, SAMPLES, data_url, httpx, message, running_server

WHY, SHORT = "Why do you think so?", "Is she happy?"  # and shorter answers


def face(name: str) -> Image.Image:
    """The part of a sample that shows the face: less to look for it in."""
    with Image.open(SAMPLES / name) as picture:
        box = (150, 30, 310, 200) if name == "astronaut.png" else (150, 60, 360, 330)
        return picture.convert("RGB").crop(box).resize((144, 160))


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


FACES = face("astronaut.png"), face("grace_hopper.jpg")
ASTRONAUT, HOPPER = (data_url(png(picture)) for picture in FACES)


@pytest.fixture(scope="module")
def pipe():
    return pipeline("emotion-chat", model=emo_llama_hf.default_model())


@pytest.fixture(scope="module")
def server(pipe):
    with running_server(pipe, batch_size=4) as running:
        yield running


@pytest.fixture(scope="module")
def film():
    """A clip that shows two people one after the other, as bytes."""
    return clip(frames=[np.asarray(picture) for picture in FACES for _ in range(8)])


def refused(call, status):
    """The error that OpenAI's client reads of a refused request: one sentence, of OpenAI's kind."""
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    assert caught.value.status_code == status
    error = caught.value.response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"} and "\n" not in error["message"]
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    return error


def pictured(pipe, url, question, **settings):
    content = [{"type": "image", "image": url}, {"type": "text", "text": question}]
    return pipe([{"role": "user", "content": content}], **settings)


def test_a_picture_gets_the_pipelines_answer(server, pipe):
    for url in (ASTRONAUT, HOPPER):
        expected = pictured(pipe, url, WHY)
        [choice] = server.ask(message(WHY, ("image", url))).choices
        assert choice.message.content == expected["generated_text"] and choice.finish_reason == "stop"
        assert (choice.emotion, choice.scores) == (expected["emotion"], expected["scores"])


def test_the_emotion_of_a_picture_is_the_pipelines_dict(server, pipe):
    settings = {"labels": ["calm", "happy"], "return_perceived": True}
    asked = {"image": ASTRONAUT, "question": WHY}
    expected = pipe(asked, **settings)
    answer = server.http.post("/v1/emotion", json={**asked, **settings})
    assert answer.status_code == 200 and answer.json() == json.loads(json.dumps(expected))
    assert server.http.post("/v1/emotion", json={"image": ASTRONAUT}).json() == pipe(ASTRONAUT)


def test_a_clip_gets_the_pipelines_answer(server, pipe, film):
    url = data_url(film, "video/mp4")
    expected = pipe({"video": film, "question": "How does the mood change?"}, num_frames=2)
    answer = server.ask(message("How does the mood change?", ("video", url)), extra_body={"num_frames": 2})
    assert answer.choices[0].message.content == expected["generated_text"]
    told = server.http.post("/v1/emotion", json={"video": url, "num_frames": 2}).json()
    assert told == json.loads(json.dumps(pipe({"video": film}, num_frames=2))) and len(told["faces"]) == 2


def test_a_chat_goes_on(server, pipe):
    first = message("Is she happy?", ("image", ASTRONAUT))
    answer = server.ask(first).choices[0].message  # passed back as the client has it
    further = {"role": "user", "content": WHY}
    content = [{"type": "image", "image": ASTRONAUT}, {"type": "text", "text": "Is she happy?"}]
    chat = [{"role": "user", "content": content}, {"role": "assistant", "content": answer.content}, further]
    assert server.ask(first, answer, further).choices[0].message.content == pipe(chat)["generated_text"]
    told = server.http.post("/v1/emotion", json={"messages": [first, answer.model_dump(), further]}).json()
    assert told == pipe(chat)


@pytest.mark.parametrize("stop", [None, ["people usually", "in raised"], ["."]])
def test_a_streamed_answer_is_the_whole_one(server, stop):
    asked = message(WHY, ("image", ASTRONAUT))
    whole = server.ask(asked, stop=stop)
    chunks = list(server.ask(asked, stop=stop, stream=True, stream_options={"include_usage": True}))
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert "".join(pieces) == whole.choices[0].message.content and len(pieces) > 2
    assert chunks[-1].usage == whole.usage and not chunks[-1].choices
    [end] = chunks[-2].choices
    assert end.finish_reason == whole.choices[0].finish_reason and end.scores == whole.choices[0].scores
    assert len({chunk.id for chunk in chunks}) == 1 and chunks[0].choices[0].delta.role == "assistant"
    for text in stop or []:
        assert text not in whole.choices[0].message.content


def test_usage_is_what_the_tokenizer_counts(server, pipe):
    answer = server.ask(message(WHY, ("image", ASTRONAUT)), extra_body={"attributes": False})
    scores = answer.choices[0].scores
    told = told_emotion([*scores], [*scores.values()])
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": WHY}]}]
    prompt = pipe.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    inputs = pipe.processor(images=FACES[0], text=prompt, attributes=[{"emotion": told}])
    prompt_tokens = len(inputs["input_ids"][0])
    written = pipe.processor.tokenizer(answer.choices[0].message.content, add_special_tokens=False)["input_ids"]
    assert answer.usage.prompt_tokens == prompt_tokens
    assert answer.usage.completion_tokens == len(written) + 1  # the end of the answer is a token
    assert answer.usage.total_tokens == prompt_tokens + len(written) + 1


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_longest_answer(server, pipe, name):
    answer = server.ask(message(SHORT, ("image", ASTRONAUT)), **{name: 3})
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 3
    assert answer.choices[0].message.content == pictured(pipe, ASTRONAUT, SHORT, max_new_tokens=3)["generated_text"]


def test_sampled_answers_follow_their_seed(server):
    def texts(**options):
        answer = server.ask(message(WHY, ("image", HOPPER)), n=4, max_tokens=6, **options)
        return [choice.message.content for choice in answer.choices]

    first = texts(temperature=2, seed=1)
    assert first == texts(temperature=2, seed=1) and len(set(first)) > 1
    assert first != texts(temperature=2, seed=2)
    assert len(set(texts(temperature=2, top_p=1e-6))) == 1


def test_requests_that_come_together_are_one_batch_with_the_answers_of_each_alone(pipe, server, film):
    asked = [
        (message(SHORT, ("image", ASTRONAUT)), {}),
        (message("Is he sad?", ("image", HOPPER)), {"max_tokens": 2}),
        (message(WHY, ("image", HOPPER), ("image", ASTRONAUT)), {"stop": ["happy"]}),
        (message("What is the mood?", ("video", data_url(film, "video/mp4"))), {"max_tokens": 5}),
    ]
    alone = [server.ask(one, **options) for one, options in asked]
    # The batch waits for the fourth, or for 20 seconds.
    with running_server(pipe, batch_size=4, batch_wait=20_000) as patient, ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: patient.ask(one[0], **one[1]), asked))
        assert patient.measure("emo_llama_batch_requests_count") == 1
        assert patient.measure("emo_llama_batch_requests_sum") == 4
    for one, other in zip(alone, together, strict=True):
        assert one.choices[0].message == other.choices[0].message and one.usage == other.usage
        assert one.choices[0].scores == pytest.approx(other.choices[0].scores, abs=1e-4)


def test_one_bad_request_of_a_batch_costs_no_other_its_answer(pipe, monkeypatch):
    forward = pipe.forward

    def failing(inputs, **settings):
        if any(subject.prompt.count("sad") for subjects in inputs["items"] for subject in subjects):
            raise RuntimeError("of /a/secret")
        return forward(inputs, **settings)

    monkeypatch.setattr(pipe, "forward", failing)
    with running_server(pipe, batch_size=2, batch_wait=20_000) as server, ThreadPoolExecutor(2) as pool:
        good = pool.submit(server.ask, message(WHY, ("image", ASTRONAUT)))
        bad = pool.submit(server.ask, message("Is she sad?", ("image", ASTRONAUT)))
        assert "secret" not in refused(bad.result, 500)["message"]
        assert good.result().choices[0].finish_reason == "stop"


BAD = {
    "temperature": [-1, 3, "hot", True],
    "top_p": [0, 1.5],
    "max_tokens": [0, 10**6, 2.5, "many"],
    "n": [0, 100, 3],
    "seed": [2**63, "a"],
    "stop": [[], [""], ["a", "b", "c", "d", "e"], 5, ["\ud800"]],
    "stream": ["yes"],
    "stream_options": [{"include_usage": True}, 3],
    "labels": [[], ["a", "a"], "happy", ["x" * 200], [str(i) for i in range(200)]],
    "attributes": [3, {"mood": "good"}, {"age": 3}],
    "num_frames": [0, 10**9],
    "tools": [[{"type": "function", "function": {"name": "f"}}]],
    "logprobs": [True],
    "frequency_penalty": [0.5],
    "response_format": [{"type": "json_object"}],
    "user": ["me"],
    "model_path": ["/etc/passwd"],
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_or_unknown_option_is_named(server, name):
    for value in BAD[name]:
        body = {"model": NAME, "messages": [message(SHORT, ("image", ASTRONAUT))], name: value}
        answer = server.http.post(
            "/v1/chat/completions", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        error = answer.json()["error"]
        assert answer.status_code == 400, (value, answer.text)
        assert name in error["message"] or (value == ["\ud800"] and "body" in error["message"]), error
        assert error["param"] in (name, None)


def test_what_has_no_effect_may_be_said(server):
    said = {"frequency_penalty": 0, "n": 1, "logprobs": False, "response_format": {"type": "text"}, "store": False}
    asked = message("Is she happy?", ("image", ASTRONAUT))
    assert server.ask(asked, **said).choices[0].message == server.ask(asked).choices[0].message


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        "hello",
        ["hello"],
        [{"role": "user"}],
        [{"role": "tool", "content": "a"}],
        [{"role": ["user"], "content": "a"}],
        [{"role": "user", "content": 5}],
        [{"role": "user", "content": "nothing to see"}],
        [{"role": "user", "content": [5]}],
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}],
        [{"role": "user", "content": [{"type": "text", "text": None}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": ASTRONAUT, "path": "a"}}]}],
        [{"role": "user", "content": [{"type": "image", "image": "a.png"}]}],
        [message(WHY, ("image", "data:image/png;base64,AAAA"))],
        [message(WHY, ("image", "data:image/png;base64"))],
        [message(WHY, ("video", ASTRONAUT[:3000]))],
        [message("", ("image", ASTRONAUT))],
        [message("x" * 30_000, ("image", ASTRONAUT))],
        [message(WHY, *[("image", ASTRONAUT)] * 9)],
        [{"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": ASTRONAUT}}]}],
    ],
    ids=lambda messages: json.dumps(messages)[:60],
)
def test_bad_messages_are_told_in_a_sentence_streamed_or_not(server, messages):
    for stream in (False, True):
        body = {"model": NAME, "messages": messages, "stream": stream}
        answer = server.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert error["message"].endswith((".", ")")) and error["type"] == "invalid_request_error", error


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b"\xff{}", 400),
        (b'{"temperature": NaN}', 400),
        (b'{"seed": ' + b"1" * 5000 + b"}", 400),
        (b"[" * 100_000, 400),
        (b'{"model": "other", "messages": []}', 404),
        (b'{"messages": []}', 404),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_bodies(server, body, status):
    answer = server.http.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status and answer.json()["error"]["message"].endswith(".")


def test_only_json_is_taken(server):
    # Which a page of another site cannot send without being asked for leave first.
    answer = server.http.post("/v1/emotion", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_no_path_of_the_server_is_read(server, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(FACES[0]))
    plain = ASTRONAUT.partition(",")[2]
    for url in (str(secret), f"file://{secret}", f"FILE://{secret}", f" {secret}", "DATA:" + str(secret), plain):
        for kind in ("image", "video"):
            error = refused(lambda url=url, kind=kind: server.ask(message(SHORT, (kind, url))), 400)
            assert f"{kind}_url.url" in error["param"]
            assert server.http.post("/v1/emotion", json={kind: url}).status_code == 400


def test_urls_are_fetched_only_where_that_is_allowed_and_never_from_private_addresses(server, pipe):
    inner = f"{server.url}/health"
    assert "fetches none" in refused(lambda: server.ask(message(SHORT, ("image", inner))), 400)["message"]
    with running_server(pipe, allow_urls=True) as open_server:
        for kind in ("image", "video"):
            error = refused(lambda kind=kind: open_server.ask(message(SHORT, (kind, inner))), 400)
            assert "no public address" in error["message"]
        refused(lambda: open_server.ask(message(SHORT, ("image", "/etc/passwd"))), 400)
    assert server.measure("emo_llama_requests_total", route="/health") == 0


def test_a_key_is_needed_where_there_is_one(pipe):
    with running_server(pipe, api_key="a-key") as server:
        assert server.ask(message(SHORT, ("image", ASTRONAUT))).choices
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "a-key"}):
            for path in ("/v1/models", "/metrics", "/nowhere"):
                answer = server.http.get(path, headers=headers)
                assert answer.status_code == 401 and answer.json()["error"]["code"] == "invalid_api_key"
        assert server.http.get("/health").json() == {"status": "ok"}
        stranger = openai.OpenAI(base_url=f"{server.url}/v1", api_key="b", max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            stranger.models.list()
        stranger.close()


def test_without_a_key_only_this_machine_is_answered(server):
    for host in ("evil.example", "evil.example:80", "[", ""):
        assert server.http.get("/v1/models", headers={"Host": host}).status_code == 403
    assert server.http.get("/v1/models", headers={"Host": "LOCALHOST:1"}).status_code == 200


def test_models_and_unknown_routes(server):
    [model] = server.openai.models.list().data
    assert model.id == NAME == server.openai.models.retrieve(NAME).id
    assert refused(lambda: server.openai.models.retrieve("other"), 404)["code"] == "model_not_found"
    assert server.http.get("/v1/nothing").json()["error"]["type"] == "invalid_request_error"
    assert server.http.get("/v1/emotion").status_code == 405


def test_limits_of_size_and_number(pipe):
    with running_server(pipe, max_body=0.01, max_requests=1, batch_size=2, batch_wait=1500, max_frames=1) as server:
        assert "0.01 MB" in refused(lambda: server.ask(message(SHORT, ("image", ASTRONAUT))), 413)["message"]
        chunks = iter([b'{"a": "' + b"x" * 20_000, b'"}'])  # without a length
        answer = server.http.post("/v1/emotion", content=chunks, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        picture = data_url(clip("gif", "gif", "rgb8", frames=4))
        refused(lambda: server.ask(message(SHORT, ("image", picture), ("image", picture))), 400)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(server.ask, message(SHORT, ("image", picture)))
            server.wait_for("emo_llama_requests_in_progress", 1)
            assert refused(lambda: server.ask(message(SHORT, ("image", picture))), 503)["code"] == "busy"
            assert first.result().choices
        assert server.measure("emo_llama_requests_in_progress") == 0


def test_limit_of_time(pipe):
    with running_server(pipe, request_timeout=0.6, batch_size=2, batch_wait=20_000) as server:
        assert refused(lambda: server.ask(message(SHORT, ("image", ASTRONAUT))), 504)["code"] == "timeout"
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as slow:
            slow.sendall(b"POST /v1/emotion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n")
            slow.sendall(b"Content-Type: application/json\r\n\r\n{")
            assert b" 408 " in slow.recv(100)


def test_a_client_that_leaves_is_dropped(pipe):
    with running_server(pipe, batch_size=2, batch_wait=20_000) as server:
        body = {"model": NAME, "messages": [message(SHORT, ("image", ASTRONAUT))]}
        for stream in (False, True):
            with pytest.raises(httpx.TimeoutException):
                httpx.post(f"{server.url}/v1/chat/completions", json={**body, "stream": stream}, timeout=0.4)
        server.wait_for("emo_llama_clients_gone_total", 2)
        assert server.measure("emo_llama_completion_tokens_total") == 0
        assert server.measure("emo_llama_requests_total", status="499") == 2


@pytest.fixture
def held_pipe(pipe, monkeypatch):
    """The pipeline, which stops writing after three tokens until its `go` is set."""
    forward, pipe.go = pipe.forward, threading.Event()

    def held(inputs, stopping_criteria, **settings):
        written = []

        def hold(tokens, scores, **kwargs):
            written.append(tokens)
            assert len(written) != 3 or pipe.go.wait(30)
            return torch.zeros(len(tokens), dtype=torch.bool)

        return forward(inputs, stopping_criteria=[*stopping_criteria, hold], **settings)

    monkeypatch.setattr(pipe, "forward", held)
    yield pipe
    del pipe.go


def test_a_stream_that_has_begun_ends_with_the_error_or_with_its_client(held_pipe):
    with running_server(held_pipe, request_timeout=2.5) as server:
        begun = server.ask(message(WHY, ("image", ASTRONAUT)), stream=True)
        with pytest.raises(openai.APIError, match=r"longer than the 2\.5 s"):
            list(begun)
        held_pipe.go.set()
        server.ask(message(SHORT, ("image", ASTRONAUT)), max_tokens=1)  # the model is free again
        held_pipe.go.clear()
        begun = server.ask(message(WHY, ("image", ASTRONAUT)), stream=True)
        assert next(begun) and next(begun)
        begun.close()
        server.wait_for("emo_llama_clients_gone_total", 1)
        held_pipe.go.set()
        server.ask(message(SHORT, ("image", ASTRONAUT)), max_tokens=1)
        assert server.measure("emo_llama_completion_tokens_total") <= 3 + 1 + 3 + 1


def test_attributes_can_be_switched_off(server, pipe):
    asked = {"image": ASTRONAUT, "return_perceived": True}
    assert "age" in server.http.post("/v1/emotion", json=asked).json()["perceived"]
    expected = json.loads(json.dumps(pipe(ASTRONAUT, attributes=False, return_perceived=True)))
    assert server.http.post("/v1/emotion", json={**asked, "attributes": False}).json() == expected
    with running_server(pipe, infer_attributes=False) as silent:
        assert silent.http.post("/v1/emotion", json=asked).json() == expected and not expected["perceived"]
        answer = silent.http.post("/v1/emotion", json={**asked, "attributes": {"age": "20-29"}})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "attributes"


@pytest.mark.parametrize("people", [0, 2])
def test_all_people_are_answered_about(pipe, people):
    picture = Image.new("RGB", (288, 160), "grey")
    for index, one in enumerate(FACES[:people]):
        picture.paste(one, (144 * index, 0))
    everyone = pipeline(
        "emotion-chat",
        model=pipe.model,
        processor=AutoProcessor.from_pretrained(emo_llama_hf.default_model(), face_choice="all"),
    )
    expected = pictured(everyone, picture, WHY, max_new_tokens=7)
    with running_server(everyone, max_tokens=7) as server:
        answer = server.ask(message(WHY, ("image", data_url(png(picture)))))
    assert [one["generated_text"] for one in expected] == [one.message.content for one in answer.choices]
    assert [one["emotion"] for one in expected] == [one.emotion for one in answer.choices]
    assert len(expected) == max(people, 1) and answer.usage.completion_tokens == 7 * len(expected)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for name in [name for name in sys.modules if name.startswith("emo_llama_hf.serving")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingPackageError, match=r"uvicorn: pip install 'emo_llama_hf\[serve\]'"):
        importlib.import_module("emo_llama_hf.serving")


def test_metrics_count_what_was_done(server):
    names = ("emo_llama_requests_total", "emo_llama_prompt_tokens_total", "emo_llama_completion_tokens_total")
    before = [server.measure(name) for name in names]
    usage = server.ask(message(SHORT, ("image", ASTRONAUT))).usage
    after = [server.measure(name) for name in names]
    more = [b - a for a, b in zip(before, after, strict=True)]
    assert more == [len(names) + 1, usage.prompt_tokens, usage.completion_tokens]
    assert server.measure("emo_llama_request_seconds_count", route="/v1/chat/completions", le="") == 0
    assert server.measure("process_resident_memory_bytes") > 1e6


def test_it_answers_what_is_in_flight_and_stops(pipe):
    with running_server(pipe, batch_size=2, batch_wait=1500) as server, ThreadPoolExecutor(1) as pool:
        threads = threading.active_count()
        body = {"model": NAME, "messages": [message(SHORT, ("image", ASTRONAUT))]}
        answer = pool.submit(httpx.post, f"{server.url}/v1/chat/completions", json=body, timeout=20)
        server.wait_for("emo_llama_requests_in_progress", 1)
        server.ask_to_stop()
        assert answer.result().json()["choices"][0]["finish_reason"] == "stop"
    assert threading.active_count() < threads
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/health")


def test_the_command_serves_until_a_signal(capfd):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = []

    def ask():
        for _ in range(300):
            try:
                told.append(httpx.get(f"http://127.0.0.1:{port}/v1/models").json()["data"][0]["id"])
                break
            except httpx.TransportError:
                time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    asking = threading.Thread(target=ask)
    asking.start()
    assert main(["serve", "--port", str(port), "--no-attributes", "--device", "cpu"]) == 0
    asking.join()
    assert told == [NAME] and f"http://127.0.0.1:{port}/v1" in capfd.readouterr().err


def test_the_command_refuses_in_a_sentence(capsys, monkeypatch):
    monkeypatch.delenv("EMO_LLAMA_API_KEY", raising=False)
    with bind("127.0.0.1", 0, None, "api_key") as taken:
        taken.listen()
        for arguments, words in (
            (["--host", "0.0.0.0"], "--api-key"),
            (["--host", "::"], "--api-key"),
            (["--host", "no.such.host.invalid"], "--host"),
            (["--port", str(taken.getsockname()[1])], "--port"),
            (["--api-key", "a b\n"], "--api-key"),
            (["--request-timeout", "0"], "--request-timeout"),
            (["--batch-wait", "nan"], "--batch-wait"),
        ):
            assert main(["serve", *arguments]) == 1
            [line] = capsys.readouterr().err.strip().splitlines()
            assert words in line
    bind("0.0.0.0", 0, "a-key", "api_key").close()


def test_models_are_named_without_their_place(tmp_path):
    assert model_name(None) == NAME and model_name(str(tmp_path)) == tmp_path.name
    assert model_name("somebody/some-model") == "somebody/some-model"


@pytest.mark.parametrize("limits", [{"max_body": 0}, {"max_requests": 1.5}, {"request_timeout": float("inf")}])
def test_limits_are_checked(limits):
    with pytest.raises(InputError, match=next(iter(limits))):
        ServingLimits(**limits)


@pytest.mark.parametrize(
    "text", ["The face looks happy.", "a  b\n c\n\nd", "Ünïcödé 😀 strange 漢字 end", "x END y", ""]
)
@pytest.mark.parametrize("stops", [(), ("END",), ("\n c",), ("looks h", "face l"), ("😀",)])
def test_pieces_of_an_answer_are_the_answer(pipe, text, stops):
    tokenizer, pieces = pipe.processor.tokenizer, []
    row = AnswerRow(tokenizer, {tokenizer.eos_token_id}, 1000, stops, pieces.append)
    for token in [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id, 5, 5]:
        row.add(token)
    written = tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]).strip()
    cut = min([written.find(stop) for stop in stops if stop in written], default=len(written))
    assert "".join(pieces) == row.text == written[:cut].strip() and row.finish_reason == "stop"
