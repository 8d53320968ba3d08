"""A request from its head to the end of its response: within the limits, and dropped when its client leaves."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from ..chat.pipeline import EmotionChatPipeline
from ..input_error import input_errors
from .answer_options import AnswerOptions
from .api_error import ApiError
from .batcher import Batcher
from .job import Answered, Job, Piece
from .limits import ServingLimits
from .metrics import Metrics
from .request_body import read_body

Value = TypeVar("Value")

FEWEST_READERS = 4  # threads that read pictures and clips; some may wait for the network


class Visits:
    """
    All requests to the model.

    Args:
        pipe ([`EmotionChatPipeline`])
        limits ([`ServingLimits`])
        metrics ([`Metrics`])
    """

    def __init__(self, pipe: EmotionChatPipeline, limits: ServingLimits, metrics: Metrics) -> None:
        self.pipe, self.limits, self.metrics = pipe, limits, metrics
        self.batcher = Batcher(pipe, limits, metrics)
        self.readers = ThreadPoolExecutor(max(FEWEST_READERS, os.cpu_count() or 1), "emo-llama-reader")
        self._taken = 0

    @asynccontextmanager
    async def visit(self, request: Request) -> "AsyncIterator[Visit]":
        """
        Take a request in.

        Args:
            request (`Request`): not read yet.

        Raises:
            [`ApiError`]: there are too many already.
        """
        if self._taken >= self.limits.max_requests:
            message = f"The server is busy with {self._taken} requests, its limit: try again later."
            raise ApiError(503, message, code="busy", headers={"Retry-After": "1"})
        self._taken += 1
        self.metrics.in_progress.set(self._taken)
        visit = Visit(self, request)
        try:
            yield visit
        except ClientDisconnect:  # there is nobody to tell
            self.metrics.gone.inc()
        finally:
            visit.end()
            self._taken -= 1
            self.metrics.in_progress.set(self._taken)

    def close(self) -> None:
        """Answer what is there, then stop."""
        self.readers.shutdown(cancel_futures=True)
        self.batcher.stop()


class Visit:
    """
    One request.

    Args:
        visits ([`Visits`]): where it is.
        request (`Request`)
    """

    def __init__(self, visits: Visits, request: Request) -> None:
        self._visits, self._request = visits, request
        self._deadline = time.monotonic() + visits.limits.request_timeout
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._job: Job | None = None

    async def body(self) -> dict[str, Any]:
        """
        What the client sends.

        Raises:
            [`ApiError`]: see [`read_body`], or it takes too long.
        """
        body = await self._within(read_body(self._request, self._visits.limits), 408)
        self._gone = asyncio.ensure_future(self._until_gone())
        return body

    async def submit(self, inputs: Any, options: AnswerOptions, streamed: bool = False) -> Job:
        """
        Read pictures and clips, and have the model answer.

        Args:
            inputs (`Any`): of the pipeline.
            options ([`AnswerOptions`])
            streamed (`bool`, *optional*, defaults to `False`): whether pieces are wanted.

        Raises:
            `InputError`: see the pipeline.
            [`ApiError`]: it takes too long, or has too many frames.
        """
        visits = self._visits
        prepare = partial(visits.pipe.preprocess, inputs, limits=visits.limits.media, **options.preparing)
        with input_errors():  # all of them are about what the client sent
            prepared = await self._within(asyncio.wrap_future(visits.readers.submit(prepare)))
        subjects = prepared["items"]
        assert not isinstance(subjects, Exception)  # which would have been raised
        frames = sum(len(visual.frames) for visual in subjects[0].visuals)
        if frames > visits.limits.max_frames:
            message = f"{frames} frames were to be looked at, this server takes {visits.limits.max_frames}: show less."
            raise ApiError(400, message)
        self._job = Job(subjects, options, streamed)
        visits.batcher.submit(self._job)
        return self._job

    async def next_event(self, job: Job) -> Piece | Answered:
        """
        The next piece of a job, or all of it, which is the last.

        Args:
            job ([`Job`])

        Raises:
            `Exception`: what became of it instead.
        """
        return await self._within(job.next_event())

    async def answer(self, job: Job) -> Answered:
        """
        All that comes of a job without pieces.

        Args:
            job ([`Job`])

        Raises:
            `Exception`: what became of it instead.
        """
        event = await self.next_event(job)
        assert isinstance(event, Answered)
        return event

    def end(self) -> None:
        """Nobody waits any more."""
        self._gone.cancel()
        if self._job is not None:
            self._job.is_wanted = False

    async def _within(self, awaited: Awaitable[Value], status: int = 504) -> Value:
        task = asyncio.ensure_future(awaited)
        either: set[asyncio.Future[Any]] = {task, self._gone}
        try:
            left = max(self._deadline - time.monotonic(), 0)
            done, _ = await asyncio.wait(either, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if task in done:
                return task.result()
            if self._gone in done:
                raise ClientDisconnect
            longest = self._visits.limits.request_timeout
            raise ApiError(status, f"The request took longer than the {longest:g} s that it may.", code="timeout")
        finally:
            task.cancel()

    async def _until_gone(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
