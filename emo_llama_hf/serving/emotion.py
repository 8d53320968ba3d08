"""The route /v1/emotion."""

from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from .answer_options import check_all_taken, take_flag
from .api_error import ApiError, as_api_error
from .messages import read_messages, read_source
from .service import Service
from .visit import Visit

SHOWN = ("image", "video", "messages")


class Emotion:
    """
    Tells what the pipeline tells of a picture, a clip or a chat.

    Args:
        service ([`Service`])
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        async with self._service.visits.visit(Request(scope, receive)) as visit:
            response = await self._response(visit)
            await response(scope, receive, send)

    async def _response(self, visit: Visit) -> Response:
        body = await visit.body()
        if "model" in body:
            self._service.check_model(body.pop("model"))
        inputs = self._inputs(body)
        return_perceived = take_flag(body, "return_perceived")
        options = self._service.take_options(body)
        check_all_taken(body)
        try:
            answered = await visit.answer(await visit.submit(inputs, options))
        except ClientDisconnect:
            raise
        except Exception as error:
            raise as_api_error(error) from error
        for index, result in enumerate(answered.results):
            texts = [row.text for row in answered.rows[index * options.choices : (index + 1) * options.choices]]
            result["generated_text"] = texts[0] if len(texts) == 1 else texts  # without what stopped them
        told = self._service.pipe.postprocess({"items": [*answered.results]}, return_perceived)
        return JSONResponse(told)

    def _inputs(self, body: dict[str, Any]) -> Any:
        given = [name for name in SHOWN if name in body]
        if len(given) != 1:
            raise ApiError(400, f"Give one of {', '.join(f'`{name}`' for name in SHOWN)}, got {len(given)} of them.")
        [name] = given
        allow_urls = self._service.allow_urls
        if name == "messages":
            return read_messages(body.pop(name), self._service.limits, allow_urls)
        inputs = {name: read_source(body.pop(name), name, allow_urls)}
        if "question" in body:
            inputs["question"] = body.pop("question")
        return inputs
