"""A local server that speaks OpenAI's chat completions and Gemini's generateContent, and fails on demand."""

import base64
import io
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

KEY = "a-key-for-tests"
INPUT_TOKENS, OUTPUT_TOKENS, THOUGHT_TOKENS = 100, 20, 5


@dataclass
class Fault:
    """
    What happens to one request instead of a good answer: an HTTP `status` with `headers` and `details`, `delay`
    seconds of silence, a `body` that is no JSON, a connection that is `cut`, another `text` from the model, or a
    `refusal`.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    details: list[dict] = field(default_factory=list)
    delay: float = 0.0
    body: bytes | None = None
    cut: bool = False
    text: str | None = None
    refusal: str | None = None


@dataclass
class Call:
    """A request as the server understood it."""

    protocol: str
    model: str
    prompt: str
    pictures: list[Image.Image]
    seed: int | None
    temperature: float | None
    schema: dict | None


def good_reply(prompt: str) -> str:
    """What a model that does as it is told answers to the package's prompt."""
    emotion = re.search(r"looks (\w+)\.", prompt)[1]
    count = int(re.search(r"exactly (\d+)", prompt)[1])
    turns = [
        {"question": f"What do you see, part {n}?", "answer": f"A person who looks {emotion}."} for n in range(count)
    ]
    return json.dumps({"refused": False, "emotion": emotion, "turns": turns})


class LlmServer:
    """
    Serves until closed.

    Attributes:
        faults (`list[Fault]`): used up by the next requests, one each.
        calls (`list[Call]`): every request that was understood, also those that met a fault.
        answer: makes the model's text of the prompt.
    """

    def __init__(self):
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.answer: Callable[[str], str] = good_reply
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"llm": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    llm: LlmServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/chat/completions":
            protocol, key = "openai", (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            call = _openai_call(body)
        elif model := re.fullmatch(r"/v1(?:beta)?/models/(.+):generateContent", self.path):
            protocol, key = "gemini", self.headers.get("x-goog-api-key")
            call = _gemini_call(model[1], body)
        else:
            self._send(404, {"error": {"message": f"no such path {self.path}"}})
            return
        if key != KEY:
            self._send(401, {"error": {"code": 401, "message": "wrong key", "status": "UNAUTHENTICATED"}})
            return
        with self.llm.lock:
            self.llm.calls.append(call)
            fault = self.llm.faults.pop(0) if self.llm.faults else Fault()
        time.sleep(fault.delay)
        if fault.cut:
            self.close_connection = True
            return
        if fault.body is not None:
            self._send(200, fault.body)
        elif fault.status is not None:
            error = {"code": fault.status, "message": "injected", "status": "INJECTED", "details": fault.details}
            self._send(fault.status, {"error": error}, fault.headers)
        else:
            text = fault.text if fault.text is not None else self.llm.answer(call.prompt)
            self._send(200, (_openai_answer if protocol == "openai" else _gemini_answer)(text, fault.refusal))

    def _send(self, status: int, content, headers: dict[str, str] | None = None) -> None:
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client had not the patience


def _picture(base64_text: str) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.urlsafe_b64decode(base64_text.translate({43: 45, 47: 95}))))
    picture.load()
    assert picture.format == "JPEG"
    return picture


def _openai_call(body: dict) -> Call:
    (message,) = body["messages"]
    assert message["role"] == "user"
    pictures, texts = [], []
    for part in message["content"]:
        if part["type"] == "image_url":
            start, data = part["image_url"]["url"].split(",", 1)
            assert start == "data:image/jpeg;base64"
            pictures.append(_picture(data))
        else:
            assert part["type"] == "text"
            texts.append(part["text"])
    schema = None
    if (form := body.get("response_format")) is not None:
        assert form["type"] == "json_schema" and form["json_schema"]["strict"] and form["json_schema"]["name"]
        schema = form["json_schema"]["schema"]
    return Call("openai", body["model"], "".join(texts), pictures, body["seed"], body["temperature"], schema)


def _openai_answer(text: str, refusal: str | None) -> dict:
    message = {"role": "assistant", "content": None if refusal else text, "refusal": refusal}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "test",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {
            "prompt_tokens": INPUT_TOKENS,
            "completion_tokens": OUTPUT_TOKENS + THOUGHT_TOKENS,
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS + THOUGHT_TOKENS,
        },
    }


def _gemini_call(model: str, body: dict) -> Call:
    parts = [part for content in body["contents"] for part in content["parts"]]
    pictures = []
    for part in parts:
        if data := part.get("inlineData"):
            assert (data.get("mimeType") or data.get("mime_type")) == "image/jpeg"  # Google's JSON allows either name
            pictures.append(_picture(data["data"]))
    config = body["generationConfig"]
    schema = config.get("responseJsonSchema")
    assert config.get("responseMimeType") == (None if schema is None else "application/json")
    prompt = "".join(part.get("text", "") for part in parts)
    return Call("gemini", model, prompt, pictures, config["seed"], config["temperature"], schema)


def _gemini_answer(text: str, refusal: str | None) -> dict:
    usage = {
        "promptTokenCount": INPUT_TOKENS,
        "candidatesTokenCount": OUTPUT_TOKENS,
        "thoughtsTokenCount": THOUGHT_TOKENS,
        "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS + THOUGHT_TOKENS,
    }
    if refusal:
        return {"promptFeedback": {"blockReason": refusal}, "usageMetadata": usage}
    content = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}], "usageMetadata": usage}
