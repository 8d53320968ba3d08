"""What a writer is asked about pictures, what it answers, and how it fails."""

import io
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

MAX_SIDE = 768  # pixels: enough to see a face, and what the providers bill as one tile
JPEG_QUALITY = 90


@dataclass(frozen=True)
class Request:
    """
    What a writer is asked.

    Args:
        frames (`list[PIL.Image.Image]`): the picture, or frames of the clip in time order.
        is_video (`bool`): whether it is a clip.
        prompt (`str`): what to tell a language model.
        seed (`int`): for the sampling.
        emotion (`str`, *optional*), turns (`int`, *optional*):
            Of a conversation: the label that the answers should give, and how many questions to write.
        schema (`dict`, *optional*): JSON schema of the answer; free text by default.
    """

    frames: list[Image.Image]
    is_video: bool
    prompt: str
    seed: int
    emotion: str = ""
    turns: int = 0
    schema: dict[str, Any] | None = None

    def jpegs(self) -> list[bytes]:
        """The frames as JPEG files, at most `MAX_SIDE` pixels wide and high."""
        files = []
        for frame in self.frames:
            small = frame.copy()
            small.thumbnail((MAX_SIDE, MAX_SIDE))
            buffer = io.BytesIO()
            small.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
            files.append(buffer.getvalue())
        return files


@dataclass(frozen=True)
class Reply:
    """
    What a writer answers.

    Args:
        text (`str`): what the writer wrote; where there is a schema, JSON if all went well.
        input_tokens, output_tokens (`int`, *optional*, default to 0): what is billed for it.
        refusal (`str`, *optional*): why the provider let nothing be written.
    """

    text: str
    input_tokens: int = 0
    output_tokens: int = 0
    refusal: str | None = None


class Writer(Protocol):
    """
    Anything that writes about pictures and clips: conversations, descriptions, answers.

    Attributes:
        name (`str`): tells writers with different results apart.
    """

    name: str

    def write(self, request: Request) -> Reply:
        """
        Write one text.

        Args:
            request ([`Request`])

        Raises:
            `TransientError`: it may work a little later.
            `RequestError`: this request will never work, others may.
            `WriterError`: no request will work.
        """
        ...


class WriterError(RuntimeError):
    """The writer cannot be used: a wrong key, an unknown model, an exhausted account."""


class RequestError(RuntimeError):
    """The writer does not accept this one request."""


class NoReplyError(RuntimeError):
    """No usable reply after all tries."""


class TransientError(RuntimeError):
    """
    The writer is busy, limited or out of reach.

    Args:
        message (`str`)
        retry_after (`float`, *optional*): seconds that it asks to wait, if it does.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def error_of_status(status: int, message: str, retry_after: float | None) -> RuntimeError:
    """
    The error that an HTTP status means.

    Args:
        status (`int`): from 400.
        message (`str`): what the server says about it.
        retry_after (`float`, *optional*): seconds that it asks to wait, if it does.
    """
    message = f"HTTP {status}: {message}"
    if status in (408, 409, 425, 429) or status >= 500:
        return TransientError(message, retry_after)
    if status in (401, 402, 403, 404, 405):
        return WriterError(message)
    return RequestError(message)


def seconds(text: str | None) -> float | None:
    """
    Seconds of a `Retry-After` header or a duration such as `17s`; `None` for dates and nonsense.

    Args:
        text (`str`, *optional*): what the server wrote.
    """
    try:
        return max(float((text or "").strip().removesuffix("s")), 0.0)
    except ValueError:
        return None
