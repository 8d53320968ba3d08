"""What may be spent on media from outside: limits of whoever runs the model, never of a checkpoint."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from .setting_checks import check_number


@dataclass(frozen=True)
class MediaLimits:
    """
    Limits of what is fetched from a URL, and of the work on one animated picture.

    Args:
        max_bytes (`int`, *optional*, defaults to 256 MiB): of one download, after decompression.
        max_seconds (`float`, *optional*, defaults to 60): for one download in all, redirects included.
        max_redirects (`int`, *optional*, defaults to 5): followed from one URL.
        allow_private (`bool`, *optional*, defaults to `False`):
            Whether addresses that are not public (this machine's, the local network's, link-local ones) may be asked.
            Where strangers name the URLs, that would let them read from behind the firewall.
        max_animation_pixels (`int`, *optional*, defaults to 1,000,000,000):
            Width × height × frames of an animated picture. Each frame is put together over its whole canvas, however
            little of it the file stores: 69 KB can ask for hours. The default is 16 seconds of 1080p at 30 frames a
            second, read in about 10 seconds.

    Raises:
        `ValueError`: a limit is no number or below 0.
    """

    max_bytes: int = 256 * 2**20
    max_seconds: float = 60
    max_redirects: int = 5
    allow_private: bool = False
    max_animation_pixels: int = 1_000_000_000

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_seconds", "max_redirects", "max_animation_pixels"):
            check_number(name, getattr(self, name), 0, math.inf)


_current: ContextVar[MediaLimits] = ContextVar("media_limits", default=MediaLimits())  # noqa: B039 - it is frozen


def current_limits() -> MediaLimits:
    """The limits that hold here."""
    return _current.get()


@contextmanager
def media_limits(limits: MediaLimits | None) -> Iterator[None]:
    """
    Limits that hold inside the `with` block, for whatever is read there; the defaults hold elsewhere.

    ```python
    with media_limits(MediaLimits(allow_private=True)):
        processor(images="http://192.168.0.7/camera.jpg", text="...")
    ```

    Args:
        limits ([`MediaLimits`], *optional*): `None` leaves those that hold already.
    """
    token = _current.set(limits or _current.get())
    try:
        yield
    finally:
        _current.reset(token)
