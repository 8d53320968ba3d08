"""What one request, and all of them together, may take."""

from dataclasses import dataclass

from ..input_error import input_errors
from ..processing.media_limits import MediaLimits
from ..processing.setting_checks import check_integer, check_number


@dataclass(frozen=True)
class ServingLimits:
    """
    Limits of whoever runs the server.

    Args:
        max_body (`float`, *optional*, defaults to 20): MB (10⁶ bytes) of a request's body, or of what it has fetched.
        max_requests (`int`, *optional*, defaults to 64): in the server at a time, waiting or being answered.
        request_timeout (`float`, *optional*, defaults to 120): seconds for one request in all, from its first byte.
        max_tokens (`int`, *optional*, defaults to 512): longest answer that may be asked for.
        batch_size (`int`, *optional*, defaults to 8): answers that are written at a time.
        batch_wait (`float`, *optional*, defaults to 5): milliseconds that a request waits for others to join it.
        max_choices (`int`, *optional*, defaults to 8): `n` of a request.
        max_visuals (`int`, *optional*, defaults to 8): pictures and clips of a request.
        max_frames (`int`, *optional*, defaults to 64): frames that are looked at for a request, pictures among them.

    Raises:
        `InputError`: a limit is no number, or out of range.
    """

    max_body: float = 20
    max_requests: int = 64
    request_timeout: float = 120
    max_tokens: int = 512
    batch_size: int = 8
    batch_wait: float = 5
    max_choices: int = 8
    max_visuals: int = 8
    max_frames: int = 64

    def __post_init__(self) -> None:
        with input_errors():
            for name in ("max_requests", "max_tokens", "batch_size", "max_choices", "max_visuals", "max_frames"):
                check_integer(name, getattr(self, name), 1, 1_000_000)
            check_number("max_body", self.max_body, 0.001, 100_000)
            check_number("request_timeout", self.request_timeout, 0.001, 1_000_000)
            check_number("batch_wait", self.batch_wait, 0, 60_000)

    @property
    def body_bytes(self) -> int:
        """`max_body` in bytes."""
        return int(self.max_body * 1e6)

    @property
    def media(self) -> MediaLimits:
        """What the pipeline may spend on a request; addresses that are not public are never asked."""
        return MediaLimits(max_bytes=self.body_bytes, max_seconds=min(self.request_timeout, MediaLimits.max_seconds))
