"""What one visitor of the page, and all of them together, may take."""

from dataclasses import dataclass

from ..input_error import input_errors
from ..processing.setting_checks import check_integer, check_number


@dataclass(frozen=True)
class DemoLimits:
    """
    Limits of whoever runs the page.

    Args:
        max_file (`float`, *optional*, defaults to 50): MB (10⁶ bytes) of a photo or video.
        max_seconds (`float`, *optional*, defaults to 60): of a video.
        max_waiting (`int`, *optional*, defaults to 20): visitors in the queue; the model answers one at a time.
        every (`float`, *optional*, defaults to 0.5): seconds of a video from moment to moment.
        max_people (`int`, *optional*, defaults to 16): people who are looked at, the most prominent ones.
        max_tokens (`int`, *optional*, defaults to 256): longest answer.
        max_turns (`int`, *optional*, defaults to 20): questions of one chat.

    Raises:
        `InputError`: a limit is no number, or out of range.
    """

    max_file: float = 50
    max_seconds: float = 60
    max_waiting: int = 20
    every: float = 0.5
    max_people: int = 16
    max_tokens: int = 256
    max_turns: int = 20

    def __post_init__(self) -> None:
        with input_errors():
            check_number("max_file", self.max_file, 0.001, 100_000)
            check_number("max_seconds", self.max_seconds, 0.001, 1_000_000)
            check_number("every", self.every, 0.001, 3600)
            for name in ("max_waiting", "max_people", "max_tokens", "max_turns"):
                check_integer(name, getattr(self, name), 1, 1_000_000)

    @property
    def file_bytes(self) -> int:
        """`max_file` in bytes."""
        return int(self.max_file * 1e6)
