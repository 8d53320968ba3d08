"""Waiting: a rate limit that many threads share, and growing pauses before another try."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from ..input_error import InputError

LONGEST_PAUSE = 60.0  # seconds, unless the server asks for more
FIRST_PAUSE = 1.0  # seconds


class RateLimit:
    """
    At most so many requests a minute, evenly spaced.

    Args:
        per_minute (`float`, *optional*): no limit by default.
        clock, sleep: `time.monotonic` and `time.sleep`, or stand-ins.
    """

    def __init__(
        self,
        per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = time.sleep,
    ):
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


def pause(attempt: int, retry_after: float | None, random_: random.Random) -> float:
    """
    Seconds to wait before try `attempt + 1`: what the server asks for, or twice as long each time with some
    randomness, so that threads that failed together do not come back together.
    """
    grown = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * random_.uniform(0.5, 1.0)
    return max(grown, retry_after or 0.0)
