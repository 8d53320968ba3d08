"""A clip with everybody's box and perceived emotion drawn on it, and its own sound."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.reformatter import Colorspace
from PIL import Image

from ...input_error import InputError
from ...processing.clip import Clip
from ...processing.media_source import open_media
from ...processing.video_file import open_container
from ...processing.video_loading import VideoSource, open_clip
from ..annotation import annotate_frame
from ..result import ResultFace
from .file_view import view_of
from .moments import read_in_order
from .row import TimelineRow
from .timeline import TimelineMoment

Show: TypeAlias = Callable[[TimelineMoment], None]

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
TICK = Fraction(1, 90_000)  # seconds; what MPEG counts in, and what all common rates are multiples of
# Few frames wait in the encoder, whose memory grows with threads and with how far it looks ahead.
ENCODING = {"preset": "superfast", "crf": "20", "bf": "0", "threads": "2"}
BT709 = 1  # how the colours are encoded, in H.264's numbers


def annotated_video(
    path: Path, suffix: str, source: VideoSource, partial: bool = False, video_fps: float | None = None
) -> AbstractContextManager[Show]:
    """
    A video to tell each moment of a timeline, in order. The clip is read a second time: the frames up to a moment are
    written with what was known before it, at their own times, and the packets of its sound as they are.

    Args:
        path (`Path`): where to write.
        suffix (`str`): `".mp4"`, `".mov"` or `".mkv"`.
        source (`VideoSource`): the clip, see [`open_clip`].
        partial (`bool`, *optional*, defaults to `False`): whether the readable part of a damaged clip will do.
        video_fps (`float`, *optional*): frames a second of what is given as frames.

    Raises:
        `InputError`: another suffix, or sound that a file of this kind cannot hold.
        `UnreadableMediaError`, `OSError`: see [`open_clip`].
    """
    if suffix not in CONTAINERS:
        raise InputError(f"`annotated_video` must end in {', '.join(CONTAINERS)}, got {suffix!r}.")
    return _annotated(path, suffix, source, partial, video_fps)


@contextmanager
def _annotated(path: Path, suffix: str, source: VideoSource, partial: bool, video_fps: float | None) -> Iterator[Show]:
    known: list[TimelineRow] = []
    with ExitStack() as stack:
        clip = stack.enter_context(open_clip(view_of(source), partial=partial, video_fps=video_fps))
        output = stack.enter_context(_written(path, CONTAINERS[suffix]))
        picture = _Picture(clip, output)
        sound = None
        if clip.backend == "pyav":
            opened = stack.enter_context(open_media(view_of(source), "video"))
            sound = _Sound(stack.enter_context(open_container(opened)), output, suffix)

        def write(until: float | None) -> None:
            for time, frame in picture.frames(until):
                if sound is not None:
                    sound.copy(clip.start + time)
                picture.encode(time, _drawn(frame, known))

        def show(moment: TimelineMoment) -> None:
            write(moment.time)
            known[:] = moment.rows

        yield show
        write(None)
        picture.finish()
        if sound is not None:
            sound.copy(None)


@contextmanager
def _written(path: Path, container_format: str) -> Iterator[OutputContainer]:
    with path.open("wb") as file:  # whose errors say why, as FFmpeg's own do not
        output = av.open(file, "w", format=container_format)
        try:
            yield output
        except BaseException:
            with suppress(Exception):  # what cannot be completed is thrown away
                output.close()
            raise
        output.close()


class _Picture:
    """The frames of a clip, and the stream that they are written to."""

    def __init__(self, clip: Clip, output: OutputContainer) -> None:
        self._clip, self._output = clip, output
        self._frames = read_in_order(clip, lambda clip: list(range(len(clip.times))))
        self._next: tuple[float, Image.Image] | None = None
        self._advance()
        span = clip.times[-1]
        rate = Fraction((len(clip.times) - 1) / span).limit_denominator(1001) if span else Fraction(25)
        self._stream = output.add_stream("libx264", rate=max(rate, Fraction(1, 1001)), options=ENCODING)
        width, height = (1, 1) if self._next is None else self._next[1].size
        self._size = (width + width % 2, height + height % 2)  # H.264 wants even sides
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = TICK
        context.colorspace = context.color_primaries = context.color_trc = BT709

    def frames(self, until: float | None) -> Iterator[tuple[float, Image.Image]]:
        """Those not given yet that appear before a time, or all; with the seconds when they appear."""
        while self._next is not None and (until is None or self._next[0] < until):
            yield self._next
            self._advance()

    def encode(self, time: float, picture: Image.Image) -> None:
        if picture.size != self._size:
            picture = picture.crop((0, 0, *self._size))
        frame = av.VideoFrame.from_ndarray(np.asarray(picture), "rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        frame.pts, frame.time_base = round((self._clip.start + time) / TICK), TICK
        self._output.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder held back."""
        self._output.mux(self._stream.encode(None))

    def _advance(self) -> None:
        found = next(self._frames, None)
        self._next = None if found is None else (self._clip.times[found[0]], found[1])


class _Sound:
    """The packets of a clip's sound, copied as they are."""

    def __init__(self, container: InputContainer, output: OutputContainer, suffix: str) -> None:
        self._output = output
        self._streams: dict[int, Any] = {}
        for stream in container.streams.audio:
            try:
                self._streams[stream.index] = output.add_stream_from_template(stream)
            except (av.FFmpegError, ValueError) as error:
                raise InputError(
                    f"`annotated_video`: the clip's sound ({stream.codec_context.name}) cannot be copied into a "
                    f"{suffix} file. Name a .mkv file."
                ) from error
        self._packets = container.demux(container.streams.audio) if self._streams else iter(())
        self._waiting: Packet[Any] | None = next(self._packets, None)

    def copy(self, until: float | None) -> None:
        """
        Write the packets up to a time, or all.

        Args:
            until (`float`, *optional*): seconds on the file's own clock.
        """
        while (packet := self._waiting) is not None:
            if packet.dts is not None:
                if until is not None and packet.dts * packet.time_base > until:
                    return
                packet.stream = self._streams[packet.stream_index]
                self._output.mux_one(packet)
            self._waiting = next(self._packets, None)


def _drawn(frame: Image.Image, rows: list[TimelineRow]) -> Image.Image:
    for row in rows:
        face: ResultFace = {"box": row["box"], "confidence": None, "landmarks": [], "chosen": True}
        if "perceived" in row:
            face["perceived"] = row["perceived"]
        caption = f"{row['person']}: perceived {row['emotion']} {row['scores'][row['emotion']]:.0%}"
        frame = annotate_frame(frame, [face], caption)
    return frame
