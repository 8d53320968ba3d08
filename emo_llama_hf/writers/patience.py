"""Waiting: a rate limit that many threads share, and growing pauses before another try."""

import threading
import time
from collections.abc import Callable
from typing import Any

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
    wait_random_exponential,
)

from ..input_error import InputError
from .writer import NoReplyError, Reply, Request, RequestError, TransientError, Writer

# Seconds: up to 1, 2, 4, ... and 60 at most, of which half are fixed and half random.
GROWING = wait_exponential(multiplier=0.5, max=30) + wait_random_exponential(multiplier=0.5, max=30)


class RateLimit:
    """
    At most so many requests a minute, evenly spaced.

    Args:
        requests_per_minute (`float`, *optional*): no limit by default.
        clock, sleep (`Callable`, *optional*): `time.monotonic` and `time.sleep`, or stand-ins.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        if requests_per_minute is not None and not requests_per_minute > 0:
            raise InputError(f"`requests_per_minute` must be above 0, got {requests_per_minute}.")
        self._interval = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._clock, self._sleep = clock, sleep
        self._lock, self._next = threading.Lock(), 0.0

    def wait(self) -> None:
        """Return when the next request may be sent."""
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self._interval
        if start > now:
            self._sleep(start - now)


def pause(state: RetryCallState) -> float:
    """
    Seconds to wait after a failed try: what the server asks for, or twice as long each time with some randomness, so
    that threads that failed together do not come back together.

    Args:
        state (`tenacity.RetryCallState`): of the try, which failed with a [`TransientError`].
    """
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, TransientError) else None
    return max(GROWING(state), asked or 0.0)


class Patience:
    """
    Asks a writer again while it is busy, limited or out of reach; for many threads.

    Args:
        writer ([`Writer`])
        max_retries (`int`, *optional*, defaults to 6): further tries of one request.
        requests_per_minute (`float`, *optional*): requests of all threads together; no limit by default.
        stopped (`threading.Event`, *optional*): set it to try nothing again.
        sleep (`Callable[[float], Any]`, *optional*): a stand-in for waiting between tries.

    Raises:
        `InputError`: a number out of its range.
    """

    def __init__(
        self,
        writer: Writer,
        max_retries: int = 6,
        requests_per_minute: float | None = None,
        stopped: threading.Event | None = None,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        if max_retries < 0:
            raise InputError(f"`max_retries` must be at least 0, got {max_retries}.")
        self.writer = writer
        self.stopped = stopped or threading.Event()
        self._max_retries = max_retries
        self._sleep: Callable[[float], Any] = sleep or self.stopped.wait
        self._limit = RateLimit(requests_per_minute, sleep=self._sleep)

    def write(self, request: Request, on_try: Callable[[bool], None] = lambda again: None) -> Reply:
        """
        The writer's reply.

        Args:
            request ([`Request`])
            on_try (`Callable[[bool], None]`, *optional*): called before each try, with whether it is a further one.

        Raises:
            `NoReplyError`: the writer does not accept this request, or stayed out of reach.
            `WriterError`: the writer cannot be used at all.
        """
        tries = Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(self._max_retries + 1) | stop_when_event_set(self.stopped),
            wait=pause,
            sleep=self._sleep,
            reraise=True,
        )

        def write() -> Reply:
            self._limit.wait()
            on_try(tries.statistics["attempt_number"] > 1)
            return self.writer.write(request)

        try:
            return tries(write)
        except RequestError as error:
            raise NoReplyError(str(error)) from error
        except TransientError as error:
            raise NoReplyError(f"gave up after {tries.statistics['attempt_number']} tries: {error}") from error
