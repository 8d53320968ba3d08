"""A server of ours on a free port of this machine, in a thread."""

import base64
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from openai import OpenAI
from prometheus_client.parser import text_string_to_metric_families

from emo_llama_hf.listening import bind, url
from emo_llama_hf.serving import ServingLimits, build_application, make_server

try:
    import httpx2 as httpx
except ModuleNotFoundError:
    import httpx

SAMPLES = Path(__file__).with_name("samples")
NAME = "emo-llama-mini"


def data_url(content: bytes | Path, kind: str = "image/png") -> str:
    content = content.read_bytes() if isinstance(content, Path) else content
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def message(text: str, *visuals: tuple[str, str]) -> dict:
    """What a user says, in OpenAI's format: a text, and visuals as kind ("image" or "video") and URL."""
    parts = [{"type": f"{kind}_url", f"{kind}_url": {"url": at}} for kind, at in visuals]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


class RunningServer:
    """What a test needs of it; `stop` says whether it ended by itself."""

    def __init__(self, pipe, api_key=None, allow_urls=False, infer_attributes=True, **limits):
        limits = ServingLimits(**{"batch_wait": 0, "request_timeout": 30, **limits})
        bound = bind("127.0.0.1", 0, api_key, "api_key")
        self.url = url(bound)
        self.application = build_application(
            pipe, NAME, limits=limits, api_key=api_key, allow_urls=allow_urls, infer_attributes=infer_attributes
        )
        self._server = make_server(self.application, limits)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [bound]})
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.openai = OpenAI(base_url=f"{self.url}/v1", api_key=api_key or "none", max_retries=0, timeout=30)

    def ask(self, *messages, **options):
        return self.openai.chat.completions.create(model=NAME, messages=[*messages], **options)

    def measure(self, name: str, **labels: str) -> float:
        """The value of a metric, 0 where there is none."""
        families = text_string_to_metric_families(self.http.get("/metrics").text)
        samples = [one for family in families for one in family.samples if one.name == name]
        return sum(one.value for one in samples if one.labels.items() >= labels.items())

    def wait_for(self, name: str, value: float) -> None:
        """Until a metric has a value, for 10 seconds at most."""
        for _ in range(500):
            if self.measure(name) == value:
                return
            time.sleep(0.02)
        raise AssertionError(f"{name} is {self.measure(name)}, not {value}")

    def ask_to_stop(self) -> None:
        self._server.should_exit = True

    def stop(self) -> None:
        self.http.close()
        self.openai.close()
        self.ask_to_stop()
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def running_server(pipe, **settings):
    server = RunningServer(pipe, **settings)
    try:
        yield server
    finally:
        server.stop()
