"""Conversation instructions: a writer that sees the picture and knows the label, asked until its reply is usable."""

import threading
from collections.abc import Callable
from typing import Any

from PIL import Image
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_when_event_set

from ..data.label_map import LabelMap
from ..data.record import Record, RecordError
from ..input_error import InputError
from ..processing.frame_sampling import sample_frames
from ..processing.image_loading import load_image
from ..seeds import seed_of
from .instruct_report import InstructReport
from .patience import RateLimit, pause
from .reply import RejectedReply, ReplyChecker, reply_schema
from .texts import read_text
from .writer import Reply, Request, RequestError, TransientError, Writer


class NoReplyError(RuntimeError):
    """No usable reply after all tries."""


class Conversations:
    """
    Has conversations written.

    Args:
        writer ([`Writer`]): who writes.
        turns (`int`, *optional*, defaults to 3): questions of one conversation.
        num_frames (`int`, *optional*, defaults to 4): frames that the writer sees of a clip.
        prompt (`str`, *optional*):
            What to tell a language model, with `{shown}`, `{emotion}` and `{turns}`; by default
            `texts/conversation_prompt.txt`.
        label_map ([`LabelMap`], *optional*):
            Other words for the labels, which must not be in a question either; `labels/common.json` by default.
        max_attempts (`int`, *optional*, defaults to 4): replies asked for, of which the first usable one is taken.
        max_retries (`int`, *optional*, defaults to 6):
            Further tries of one request while the endpoint is busy, limited or out of reach.
        requests_per_minute (`float`, *optional*): for all threads together; no limit by default.
        sleep (`Callable[[float], Any]`, *optional*): a stand-in for waiting between tries.

    Attributes:
        stopped (`threading.Event`): set it to try nothing again.

    Raises:
        `InputError`: a number out of its range.
    """

    def __init__(
        self,
        writer: Writer,
        turns: int = 3,
        num_frames: int = 4,
        prompt: str | None = None,
        label_map: LabelMap | None = None,
        max_attempts: int = 4,
        max_retries: int = 6,
        requests_per_minute: float | None = None,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        for name, value, least in (
            ("turns", turns, 1),
            ("num_frames", num_frames, 1),
            ("max_attempts", max_attempts, 1),
            ("max_retries", max_retries, 0),
        ):
            if value < least:
                raise InputError(f"`{name}` must be at least {least}, got {value}.")
        self._writer, self._num_turns, self._num_frames = writer, turns, num_frames
        self._max_attempts, self._max_retries = max_attempts, max_retries
        self.stopped = threading.Event()
        self._sleep: Callable[[float], Any] = sleep or self.stopped.wait
        self._rate_limit = RateLimit(requests_per_minute, sleep=self._sleep)
        self._words = label_map or LabelMap.from_file("common")
        self._checker = ReplyChecker(self._words)
        self._prompt = read_text("conversation_prompt.txt") if prompt is None else prompt

    def settings(self) -> dict[str, Any]:
        """What the result depends on."""
        return {
            "writer": self._writer.name,
            "turns": self._num_turns,
            "num_frames": self._num_frames,
            "prompt": self._prompt,
        }

    def turns(
        self,
        record: Record,
        labels: list[str],
        seed: int,
        report: InstructReport,
        on_reject: Callable[[Reply], None],
    ) -> tuple[list[tuple[str, str]], Reply]:
        """
        Questions and answers about a record, and the reply that they come from.

        Args:
            record ([`Record`]): with an emotion.
            labels (`list[str]`): the label set.
            seed (`int`): of the writer's sampling, together with the record's id.
            report ([`InstructReport`]): where requests are counted.
            on_reject (`Callable[[Reply], None]`): called with each reply that is paid for and not used.

        Raises:
            `NoReplyError`: every reply was rejected, or the endpoint stayed out of reach.
            `RecordError`: the picture or clip cannot be read.
            `WriterError`: the writer cannot be used at all.
        """
        emotion = self._words.canonical(record.emotion or "")
        labels = [self._words.canonical(label) for label in labels]
        frames = self._frames(record)
        reason = ""
        for attempt in range(self._max_attempts):
            if self.stopped.is_set():
                raise NoReplyError("stopped")
            request = self._request(record, emotion, frames, labels, seed_of(seed, "conversation", record.id, attempt))
            reply = self._reply(request, report)
            try:
                if reply.refusal:
                    raise RejectedReply("refusal", reply.refusal)
                return self._checker.turns(reply.text, emotion, self._num_turns), reply
            except RejectedReply as error:
                reason = str(error)
                report.reject(error.kind)
                on_reject(reply)
        raise NoReplyError(f"no usable reply in {self._max_attempts} attempts, the last one: {reason}")

    def _frames(self, record: Record) -> list[Image.Image]:
        try:
            if record.is_video:
                return sample_frames(record.source(), num_frames=self._num_frames).frames
            return [load_image(record.visual)]
        except (OSError, ValueError) as error:
            raise RecordError(record.row, str(error)) from error

    def _request(
        self, record: Record, emotion: str, frames: list[Image.Image], labels: list[str], seed: int
    ) -> Request:
        shown = f"{len(frames)} frames of a video, in time order" if record.is_video else "an image"
        prompt = self._prompt
        for name, value in (("{shown}", shown), ("{emotion}", emotion), ("{turns}", str(self._num_turns))):
            prompt = prompt.replace(name, value)  # not `format`: a prompt may show JSON
        return Request(frames, record.is_video, emotion, self._num_turns, prompt, reply_schema(labels), seed)

    def _reply(self, request: Request, report: InstructReport) -> Reply:
        tries = Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(self._max_retries + 1) | stop_when_event_set(self.stopped),
            wait=pause,
            sleep=self._sleep,
            reraise=True,
        )

        def write() -> Reply:
            self._rate_limit.wait()
            report.count(requests=1, retries=int(tries.statistics["attempt_number"] > 1))
            return self._writer.write(request)

        try:
            return tries(write)
        except RequestError as error:
            raise NoReplyError(str(error)) from error
        except TransientError as error:
            raise NoReplyError(f"gave up after {tries.statistics['attempt_number']} tries: {error}") from error
