"""The route /v1/chat/completions."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from ..processing.setting_checks import check_mapping
from .answer_options import check_all_taken, take_flag
from .api_error import ApiError, as_api_error
from .completion import Completion, event
from .job import Answered, Job, Piece
from .messages import read_messages
from .service import Service
from .visit import Visit


class ChatCompletions:
    """
    Answers chats.

    Args:
        service ([`Service`])
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        request = Request(scope, receive)
        async with self._service.visits.visit(request) as visit:
            response = await self._response(visit)
            await response(scope, _never, send)

    async def _response(self, visit: Visit) -> Response:
        body = await visit.body()
        self._service.check_model(body.pop("model", None))
        messages = read_messages(body.pop("messages", None), self._service.limits, self._service.allow_urls)
        streamed = take_flag(body, "stream")
        include_usage = _include_usage(body, streamed)
        options = self._service.take_options(body)
        check_all_taken(body)
        completion = Completion(self._service.name)
        try:
            job = await visit.submit(messages, options, streamed)
            if not streamed:
                return JSONResponse(completion.whole(await visit.answer(job)))
            first = await visit.next_event(job)  # what goes wrong before has a status of its own
        except ClientDisconnect:
            raise
        except Exception as error:
            raise as_api_error(error) from error
        chunks = self._chunks(visit, completion, job, first, include_usage)
        return StreamingResponse(chunks, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    async def _chunks(
        self, visit: Visit, completion: Completion, job: Job, told: Piece | Answered, include_usage: bool
    ) -> AsyncIterator[bytes]:
        yield completion.beginning(job.size)
        try:
            while isinstance(told, Piece):
                yield completion.piece(told)
                told = await visit.next_event(job)
        except ClientDisconnect:
            raise
        except Exception as error:  # the status is out; OpenAI's clients raise this event
            yield event(as_api_error(error).body)
            return
        for chunk in completion.ending(told, include_usage):
            yield chunk


async def _never() -> Message:
    """In place of `receive`: whether the client is there is the visit's to watch, which counts it."""
    await asyncio.Event().wait()
    raise AssertionError


def _include_usage(body: dict[str, Any], streamed: bool) -> bool:
    if "stream_options" not in body:
        return False
    given = body.pop("stream_options")
    try:
        check_mapping("stream_options", given)
    except ValueError as error:
        raise ApiError(400, str(error), "stream_options") from None
    if not streamed:
        raise ApiError(400, "`stream_options` are for a request with `stream`.", "stream_options")
    options = dict(given)
    include = take_flag(options, "include_usage")
    check_all_taken(options)
    return include
