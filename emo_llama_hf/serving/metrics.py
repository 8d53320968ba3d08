"""What the server tells of itself, for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
GONE = 499  # where no status was sent, since there was nobody to send it to
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """
    Of one server.

    Attributes:
        registry (`CollectorRegistry`): all of them, with those of the process.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "emo_llama_requests", "Requests by route and HTTP status", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "emo_llama_request_seconds",
            "From a request's head to the end of its response",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_progress = Gauge("emo_llama_requests_in_progress", "Taken and not answered", registry=self.registry)
        self.waiting = Gauge("emo_llama_requests_waiting", "Prepared, waiting for the model", registry=self.registry)
        self.batch_size = Histogram(
            "emo_llama_batch_requests", "Requests a batch", buckets=SIZES, registry=self.registry
        )
        self.prompt_tokens = Counter("emo_llama_prompt_tokens", "Tokens read", registry=self.registry)
        self.completion_tokens = Counter("emo_llama_completion_tokens", "Tokens written", registry=self.registry)
        self.gone = Counter("emo_llama_clients_gone", "Requests whose client left", registry=self.registry)


class Measured:
    """
    An application whose requests are counted and timed.

    Args:
        application (`ASGIApp`)
        metrics ([`Metrics`])
        routes (`frozenset[str]`): the paths that are told apart.
    """

    def __init__(self, application: ASGIApp, metrics: Metrics, routes: frozenset[str]) -> None:
        self._application, self._metrics, self._routes = application, metrics, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        route = scope["path"] if scope["path"] in self._routes else "other"
        start, status = time.monotonic(), GONE

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, sent)
        except Exception:
            status = 500
            raise
        finally:
            self._metrics.requests.labels(route, status).inc()
            self._metrics.seconds.labels(route).observe(time.monotonic() - start)
