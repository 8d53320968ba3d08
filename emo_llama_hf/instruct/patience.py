"""Waiting: a rate limit that many threads share, and growing pauses before another try."""

import threading
import time
from collections.abc import Callable
from typing import Any

from tenacity import RetryCallState, wait_exponential, wait_random_exponential

from ..input_error import InputError
from .writer import TransientError

# Seconds: up to 1, 2, 4, ... and 60 at most, of which half are fixed and half random.
GROWING = wait_exponential(multiplier=0.5, max=30) + wait_random_exponential(multiplier=0.5, max=30)


class RateLimit:
    """
    At most so many requests a minute, evenly spaced.

    Args:
        per_minute (`float`, *optional*): no limit by default.
        clock, sleep (`Callable`, *optional*): `time.monotonic` and `time.sleep`, or stand-ins.
    """

    def __init__(
        self,
        per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        if per_minute is not None and not per_minute > 0:
            raise InputError(f"`per_minute` must be above 0, got {per_minute}.")
        self._interval = 60.0 / per_minute if per_minute else 0.0
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
