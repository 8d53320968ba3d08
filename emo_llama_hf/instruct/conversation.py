"""Conversation instructions: a writer that sees the picture and knows the label, asked until its reply is usable."""

import re
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from PIL import Image

from ..data.label_map import LabelMap
from ..data.record import Record, RecordError
from ..input_error import InputError
from ..processing.frame_sampling import sample_frames
from ..processing.image_loading import load_image
from ..seeds import seed_of
from ..writers import NoReplyError, Patience, Reply, Request, Writer
from .instruct_report import InstructReport
from .reply import RejectedReply, ReplyChecker, reply_schema
from .texts import read_json, read_text

Checked = TypeVar("Checked")


class Conversations:
    """
    Has conversations written.

    Args:
        writer ([`Writer`]): who writes.
        turns (`int`, *optional*, defaults to 3): questions of one conversation.
        num_frames (`int`, *optional*, defaults to 4): frames that the writer, or else the describer, sees of a clip.
        prompt (`str`, *optional*):
            What to tell a language model, with `{shown}`, `{emotion}` and `{turns}`; by default
            `texts/conversation_prompt.txt`.
        label_map ([`LabelMap`], *optional*):
            Other words for the labels, which must not be in a question either; `labels/common.json` by default.
        max_attempts (`int`, *optional*, defaults to 4): replies asked for, of which the first usable one is taken.
        max_retries (`int`, *optional*, defaults to 6):
            Further tries of one request while the endpoint is busy, limited or out of reach.
        requests_per_minute (`float`, *optional*): to each writer, for all threads together; no limit by default.
        sleep (`Callable[[float], Any]`, *optional*): a stand-in for waiting between tries.
        describer ([`Writer`], *optional*):
            Who describes clips; the writer then sees a clip's centre frame and its description, as Gemini did when the
            paper's instruction data were made.

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
        describer: Writer | None = None,
    ) -> None:
        for name, value, least in (
            ("turns", turns, 1),
            ("num_frames", num_frames, 1),
            ("max_attempts", max_attempts, 1),
        ):
            if value < least:
                raise InputError(f"`{name}` must be at least {least}, got {value}.")
        self._writer, self._describer = writer, describer
        self._num_turns, self._num_frames = turns, num_frames
        self._max_attempts = max_attempts
        self.stopped = threading.Event()
        self._patience = {  # one that writes and describes has one rate limit
            one.name: Patience(one, max_retries, requests_per_minute, self.stopped, sleep)
            for one in (writer, describer)
            if one is not None
        }
        self._words = label_map or LabelMap.from_file("common")
        self._checker = ReplyChecker(self._words)
        self._prompt = read_text("conversation_prompt.txt") if prompt is None else prompt
        self._description_prompt = read_text("description_prompt.txt")
        self._shown = read_json("shown.json")

    def settings(self) -> dict[str, Any]:
        """What the result depends on."""
        settings = {
            "writer": self._writer.name,
            "turns": self._num_turns,
            "num_frames": self._num_frames,
            "prompt": self._prompt,
        }
        if self._describer is not None:
            settings |= {"describer": self._describer.name, "description_prompt": self._description_prompt}
        return settings

    def describes(self, record: Record) -> bool:
        """
        Whether a record is to be described before a conversation is written.

        Args:
            record ([`Record`])
        """
        return self._describer is not None and record.is_video

    def describe(
        self, record: Record, seed: int, report: InstructReport, on_reject: Callable[[Reply], None]
    ) -> tuple[str, Reply]:
        """
        A description of a record's clip, and the reply that it comes from.

        Args:
            record ([`Record`]): which [`~Conversations.describes`] names.
            seed, report, on_reject: see [`~Conversations.turns`], which raises the same errors.
        """
        frames = self._frames(record, self._num_frames)
        prompt = _filled(self._description_prompt, shown=_filled(self._shown["frames"], count=len(frames)))

        def request(attempt: int) -> Request:
            return Request(frames, True, prompt, seed_of(seed, "description", record.id, attempt))

        assert self._describer is not None
        return self._usable(self._describer, request, self._checker.description, report, on_reject)

    def turns(
        self,
        record: Record,
        labels: list[str],
        seed: int,
        report: InstructReport,
        on_reject: Callable[[Reply], None],
        description: str | None = None,
    ) -> tuple[list[tuple[str, str]], Reply]:
        """
        Questions and answers about a record, and the reply that they come from.

        Args:
            record ([`Record`]): with an emotion.
            labels (`list[str]`): the label set.
            seed (`int`): of the writer's sampling, together with the record's id.
            report ([`InstructReport`]): where requests are counted.
            on_reject (`Callable[[Reply], None]`): called with each reply that is paid for and not used.
            description (`str`, *optional*): of a clip, of which the writer then sees the centre frame alone.

        Raises:
            `NoReplyError`: every reply was rejected, or the endpoint stayed out of reach.
            `RecordError`: the picture or clip cannot be read.
            `WriterError`: the writer cannot be used at all.
        """
        emotion = self._words.canonical(record.emotion or "")
        labels = [self._words.canonical(label) for label in labels]
        frames = self._frames(record, self._num_frames if description is None else 1)  # one frame is the centre one

        def request(attempt: int) -> Request:
            seed_ = seed_of(seed, "conversation", record.id, attempt)
            return self._request(record, emotion, frames, labels, seed_, description)

        def check(text: str) -> list[tuple[str, str]]:
            return self._checker.turns(text, emotion, self._num_turns)

        return self._usable(self._writer, request, check, report, on_reject)

    def _usable(
        self,
        writer: Writer,
        request: Callable[[int], Request],
        check: Callable[[str], Checked],
        report: InstructReport,
        on_reject: Callable[[Reply], None],
    ) -> tuple[Checked, Reply]:
        """What is made of the first usable reply, and the reply; `request` makes one for each attempt."""
        reason = ""
        for attempt in range(self._max_attempts):
            if self.stopped.is_set():
                raise NoReplyError("stopped")
            reply = self._patience[writer.name].write(
                request(attempt), lambda again: report.count(requests=1, retries=int(again))
            )
            try:
                if reply.refusal:
                    raise RejectedReply("refusal", reply.refusal)
                return check(reply.text), reply
            except RejectedReply as error:
                reason = str(error)
                report.reject(error.kind)
                on_reject(reply)
        raise NoReplyError(f"no usable reply in {self._max_attempts} attempts, the last one: {reason}")

    def _frames(self, record: Record, num_frames: int) -> list[Image.Image]:
        try:
            if record.is_video:
                return sample_frames(record.source(), num_frames=num_frames).frames
            return [load_image(record.visual)]
        except (OSError, ValueError) as error:
            raise RecordError(record.row, str(error)) from error

    def _request(
        self,
        record: Record,
        emotion: str,
        frames: list[Image.Image],
        labels: list[str],
        seed: int,
        description: str | None = None,
    ) -> Request:
        way = "image" if not record.is_video else "frames" if description is None else "described"
        shown = _filled(self._shown[way], count=len(frames), description=description)
        prompt = _filled(self._prompt, shown=shown, emotion=emotion, turns=self._num_turns)
        return Request(frames, record.is_video, prompt, seed, emotion, self._num_turns, reply_schema(labels))


def _filled(text: str, **values: object) -> str:
    """A text with values in place of `{name}`; not `format`, since a prompt may show JSON."""
    return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), text)
