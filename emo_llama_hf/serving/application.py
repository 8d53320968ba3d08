"""The application that a server runs: its routes, and what stands before them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..chat.pipeline import EmotionChatPipeline
from ..processing.setting_checks import shown
from .api_error import ApiError
from .chat_completions import ChatCompletions
from .emotion import Emotion
from .gate import OPEN, Gate
from .limits import ServingLimits
from .metrics import Measured, Metrics
from .service import Service
from .visit import Visits


def build_application(
    pipe: EmotionChatPipeline,
    name: str,
    *,
    limits: ServingLimits | None = None,
    api_key: str | None = None,
    allow_urls: bool = False,
    infer_attributes: bool = True,
) -> Starlette:
    """
    An ASGI application that answers as OpenAI's API does; any ASGI server runs it, in one process.

    Args:
        pipe ([`EmotionChatPipeline`]): the application's alone from now on.
        name (`str`): what clients call the model.
        limits ([`ServingLimits`], *optional*): the defaults where there are none.
        api_key (`str`, *optional*): what every request must bring; without one, only this machine may ask.
        allow_urls (`bool`, *optional*, defaults to `False`):
            Whether pictures and clips are fetched from http(s) URLs, of public addresses only.
        infer_attributes (`bool`, *optional*, defaults to `True`):
            Whether perceived age, gender and race may be written into prompts and told.

    Returns:
        `Starlette`: its lifespan ends the model's thread.
    """
    limits, metrics = limits or ServingLimits(), Metrics()
    visits = Visits(pipe, limits, metrics)
    service = Service(pipe, name, limits, metrics, visits, allow_urls, infer_attributes)
    model = {"id": name, "object": "model", "created": int(time.time()), "owned_by": "emo_llama_hf"}

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [model]})

    async def one_model(request: Request) -> Response:
        service.check_model(request.path_params["name"])
        return JSONResponse(model)

    async def health(request: Request) -> Response:
        if not visits.batcher.is_healthy:
            raise ApiError(503, "The model cannot answer any more: start the server anew.")
        return JSONResponse({"status": "ok"})

    async def measures(request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(visits.close)

    routes: list[tuple[str, Any, str]] = [
        ("/v1/chat/completions", ChatCompletions(service), "POST"),
        ("/v1/emotion", Emotion(service), "POST"),
        ("/v1/models", models, "GET"),
        ("/v1/models/{name:path}", one_model, "GET"),
        (OPEN, health, "GET"),
        ("/metrics", measures, "GET"),
    ]
    return Starlette(
        routes=[Route(path, endpoint, methods=[method]) for path, endpoint, method in routes],
        middleware=[
            Middleware(Measured, metrics, frozenset(path for path, _, _ in routes)),
            Middleware(Gate, api_key),
        ],
        exception_handlers={ApiError: _tell, HTTPException: _tell, Exception: _tell},
        lifespan=lifespan,
    )


async def _tell(request: Request, error: Exception) -> Response:
    """The response to an error, in OpenAI's format."""
    if isinstance(error, HTTPException):
        paths = "see /v1/models, /v1/chat/completions and /v1/emotion"
        message = f"{request.method} {shown(request.url.path)[1:-1]} is not here ({error.detail}): {paths}."
        error = ApiError(error.status_code, message, headers=error.headers)
    elif not isinstance(error, ApiError):
        error = ApiError(500, "The server could not answer; its log says why.")
    return error.response
