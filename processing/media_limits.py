"""What may be spent on what comes from outside: limits of whoever runs the model, never of a checkpoint."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields

from .setting_checks import check_number, shown


@dataclass(frozen=True)
class MediaLimits:
    """
    Limits of what is fetched from a URL, of the work on one animated picture, and of what is said and asked.

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
        max_characters (`int`, *optional*, defaults to 20,000):
            Of one prompt: a question, or all that is said in a chat; and of one attribute sentence. Reading takes time
            by the square of it.
        max_labels (`int`, *optional*, defaults to 100): of a closed set.
        max_label_characters (`int`, *optional*, defaults to 100): of one label.

    Raises:
        `ValueError`: a limit is no number or below 0.
    """

    max_bytes: int = 256 * 2**20
    max_seconds: float = 60
    max_redirects: int = 5
    allow_private: bool = False
    max_animation_pixels: int = 1_000_000_000
    max_characters: int = 20_000
    max_labels: int = 100
    max_label_characters: int = 100

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.name != "allow_private"):
            check_number(name, getattr(self, name), 0, math.inf)

    def check(self, name: str, value: str | Sequence[str], limit: str) -> None:
        """Raise `ValueError` if an argument has more characters, or entries, than the limit of this name allows."""
        most = getattr(self, limit)
        if len(value) > most:
            what = "characters" if isinstance(value, str) else "entries"
            raise ValueError(
                f"`{name}` has {len(value):,} {what}, but `MediaLimits.{limit}` allows {most:,}: give fewer, or raise "
                "it (`limits=` of the pipeline, or `media_limits`)."
            )


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

    Raises:
        `ValueError`: these are no limits.
    """
    if not isinstance(limits, (MediaLimits, type(None))):
        raise ValueError(f"`limits` must be MediaLimits, got {shown(limits)}.")
    token = _current.set(_current.get() if limits is None else limits)
    try:
        yield
    finally:
        _current.reset(token)
