"""A clip in a video file, read with FFmpeg through PyAV."""

from collections.abc import Container, Generator, Iterator, Sequence
from fractions import Fraction
from itertools import dropwhile, islice
from typing import Any, BinaryIO, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from .clip import Clip, TimesChangedError
from .disposable_packets import DisposablePackets
from .frame_indices import decoding_runs
from .image_loading import check_pixel_count
from .media_source import UnreadableMediaError
from .upright_frames import UprightFrames

SEEK_COST = 8  # packets decoded in the time of one seek with its keyframe: 8.8 ms and 1.2 ms for H.264 at 720p
FALLBACK_RATE = 25  # frames a second of a bare stream that has neither times nor a stated rate


class VideoFile(Clip):
    """
    The first video stream of a file in any container and codec that PyAV knows.

    Opening reads through the packets once without decoding them, which gives the exact time of every frame, whatever
    the header says, and tells which packets a frame needs. Reading then decodes only the packets from the keyframe
    before a wanted frame up to that frame, and seeks over the others where that is quicker; of H.264 and HEVC without
    damage, only those of frames that are wanted or that others refer to. Where packets do not tell the times (bare
    streams, H.264 in AVI, packets without a picture, damage), all frames are decoded once for them. Damage in what is
    never decoded is not told.

    Args:
        file (`BinaryIO`): seekable; stays open.
        partial (`bool`): whether the readable part of a damaged file will do.

    Raises:
        `UnreadableMediaError`: audio only, of no known format, without frames, or damaged and not `partial`.
    """

    backend = "pyav"

    def __init__(self, file: BinaryIO, partial: bool) -> None:
        super().__init__(partial)
        self._file = file
        self._closed = False
        self._upright = UprightFrames()
        self._stream: VideoStream  # only while its container is open
        self._disposable: DisposablePackets
        self._demuxer: Generator[Packet[Any], None, None] | None = None
        self._pts: list[int | None] = []  # of each packet, in decoding order
        self._sources: list[tuple[int, int]] | None  # (keyframe, packet) of each frame; None where times are decoded
        self._open()
        try:
            if not self._index_packets():
                self._index_by_decoding()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._closed = True
        self._close_container()

    def _close_container(self) -> None:
        """Close the container and let go of what points into it: FFmpeg frees it, whoever still holds it."""
        if self._demuxer is not None:
            self._demuxer.close()
            self._demuxer = None
        vars(self).pop("_stream", None)
        self._container.close()

    def read(self, indices: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
        if self._sources is None:
            yield from self._read_in_order(indices)
            return
        sources = [self._sources[index] for index in indices]
        wanted = {self._pts[packet]: index for (_, packet), index in zip(sources, indices, strict=True)}
        for first, last in decoding_runs(sources, SEEK_COST):
            for frame in self._decoded(self._needed(islice(self._packets_from(first), last - first + 1), wanted)):
                if frame.pts in wanted and not frame.is_corrupt:
                    yield wanted.pop(frame.pts), self._upright(frame)
        if wanted:
            self._index_by_decoding()
            raise TimesChangedError

    def _needed(self, packets: "Iterator[Packet[Any]]", times: Container[int | None]) -> "Iterator[Packet[Any]]":
        """The packets, while all is well without those that neither frames of these times nor others need."""
        for packet in packets:
            if self.problem is not None or packet.pts in times or packet not in self._disposable:
                yield packet

    def _read_in_order(self, indices: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
        wanted = set(indices)
        for number, frame in enumerate(self._all_frames()):
            if number in wanted:
                yield number, self._upright(frame)
                wanted.remove(number)
                if not wanted:
                    return
        self._report(f"frames {sorted(wanted)} could not be decoded again")

    # -- when each frame appears

    def _index_packets(self) -> bool:
        """Find the frames' times from the packets alone; False if these do not tell."""
        keyframes: list[int] = []
        sources: dict[int, tuple[int, int]] = {}  # by presentation time
        durations: dict[int, int] = {}
        shared = 0  # frames that appear when another one does
        ends: dict[int, int] = {}  # of each stream's last packet
        ticks: dict[int, Fraction] = {}  # in which these are counted
        ours = self._stream.index
        for packet in self._packets():
            stream, pts = packet.stream_index, packet.pts
            start = pts if pts is not None else packet.dts
            if start is not None:
                ends[stream] = max(ends.get(stream, 0), start + (packet.duration or 0))
                if stream not in ticks:
                    ticks[stream] = packet.time_base
            if stream != ours:
                continue
            number = len(self._pts)
            self._pts.append(pts)
            if packet.is_corrupt:
                self._report(f"packet {number} is incomplete")
            elif pts is not None:
                shared += pts in sources
                if packet.is_keyframe:
                    keyframes.append(number)
                # Frames shown before a keyframe but stored after it may need the keyframe before that.
                keyframe = next((k for k in reversed(keyframes) if (self._pts[k] or 0) <= pts), None)
                if keyframe is not None and not packet.is_discard:
                    sources.setdefault(pts, (keyframe, number))
                    durations[pts] = packet.duration or 0
        if not self._pts:
            raise UnreadableMediaError("`video` has a video stream without a single frame. Get a whole copy.")
        end = max((float(ends[stream] * tick) for stream, tick in ticks.items()), default=0.0)
        if "mp4" in self._container.format.name:
            self._check_index(shared, end)
        # AVI stores no presentation times: FFmpeg guesses, wrongly if the decoder reorders frames in its own way.
        guessed = self._container.format.name == "avi" and self._stream.codec_context.has_b_frames
        if None in self._pts or not sources or (guessed and list(sources) == sorted(sources)):
            return False
        pts_in_order = sorted(sources)
        self._sources = [sources[pts] for pts in pts_in_order]
        self._set_times(pts_in_order, durations[pts_in_order[-1]])
        self._check_length(end)
        return True

    def _check_index(self, shared: int, end: float) -> None:
        """The times of an MP4 stand in tables apart from its frames: tables that contradict each other are damaged."""
        if shared:
            self._report(f"{shared} of {len(self._pts)} frames have the time of another one")
        if 0 < self._stream.frames < len(self._pts):
            self._report(f"its index has times for {self._stream.frames} of {len(self._pts)} frames")
        stated = _movie_seconds(self._file)  # FFmpeg gives the tracks' length instead
        # A factor of two leaves room for edits; a wrong time scale is off by more.
        if stated and not stated / 2 - 0.5 <= end <= 2 * stated + 0.5:
            self._report(f"its frames last {end:.3g} s, but its header says {stated:.3g} s")

    def _check_length(self, end: float) -> None:
        """A file that ends well before the length stated in its header was cut off."""
        guessed = av.format.Flags.no_timestamps in av.format.Flags(self._container.format.flags)  # from the bit rate
        if self._container.duration is None or guessed:
            return
        stated = self._container.duration / av.time_base
        # Some containers count the stated length from time 0, others from the first packet: take the more lenient.
        found = end - min(0, self._container.start_time or 0) / av.time_base
        longest_frame = max((b - a for a, b in zip(self.times, self.times[1:], strict=False)), default=0.0)
        if found < 0.98 * stated - 2 * longest_frame:
            self._report(f"it ends after {found:.1f} s of {stated:.1f} s")

    def _index_by_decoding(self) -> None:
        """Find the frames' times by decoding them all, keeping none."""
        self._sources = None
        last_duration = 0
        pts: list[int] = []
        count = 0
        for frame in self._all_frames():
            count += 1
            if frame.pts is not None:
                pts.append(frame.pts)
            last_duration = frame.duration or 0
        if not count:
            raise UnreadableMediaError(
                f"`video` has no frame that can be decoded ({self.problem or 'none of its packets gives a picture'}). "
                "Get a whole copy."
            )
        if len(pts) < count:
            rate = self._stream.guessed_rate or self._stream.average_rate or FALLBACK_RATE
            self.times = [float(number / rate) for number in range(count)]
            self.duration = float(count / rate)
        else:
            self._set_times(sorted(pts), last_duration)  # decoders give frames in order, whatever their labels say

    def _set_times(self, pts: list[int], last_duration: int) -> None:
        tick = self._stream.time_base or 0
        self.start = float(pts[0] * tick)
        self.times = [(value - pts[0]) * tick.numerator / tick.denominator for value in pts]
        if not last_duration and len(pts) > 1:
            last_duration = pts[-1] - pts[-2]
        self.duration = float((pts[-1] - pts[0] + last_duration) * tick) or None

    # -- packets and frames

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("`video` is closed. Read its frames inside the `with` block of `open_clip`.")

    def _open(self) -> None:
        self._check_open()
        self._file.seek(0)
        self._container = open_container(self._file)
        try:
            self._stream = _video_stream(self._container)
        except UnreadableMediaError:
            self.close()
            raise
        self._stream.thread_type = "SLICE"  # frames in parallel blur which packet was at fault: reports would differ
        self._stream.codec_context.options = _pixel_limit()
        self._disposable = DisposablePackets(self._stream.codec_context)

    def _rewind(self) -> None:
        """Open the file afresh: unlike seeking to the start, this works in every container."""
        self._close_container()
        self._open()

    def _packets(self, *streams: VideoStream) -> "Iterator[Packet[Any]]":
        """The packets of these streams, or of all, from where the container stands; whoever reads already is done."""
        if self._demuxer is not None:
            self._demuxer.close()  # two at once would share the place, and only the latest is closed in time
        try:
            self._demuxer = cast("Generator[Packet[Any], None, None]", self._container.demux(*streams))
            for packet in self._demuxer:
                if packet.size:  # AVI marks repeated frames with empty packets, which to a decoder mean the end
                    yield packet
        except IndexError:
            pass  # after the last packet, PyAV stumbles over streams that were not announced at the start
        except av.FFmpegError as error:
            self._report(f"reading stops ({error.strerror})", error)

    def _packets_from(self, first: int) -> "Iterator[Packet[Any]]":
        """The video packets from keyframe number `first` on."""
        self._check_open()
        pts = self._pts[first] or 0
        try:
            self._container.seek(pts, stream=self._stream)
        except av.FFmpegError:
            pass  # not every container can seek
        else:
            packets = dropwhile(
                lambda p: not p.is_keyframe or p.pts is None or p.pts < pts, self._packets(self._stream)
            )
            keyframe = next(packets, None)
            if keyframe is not None and keyframe.pts == pts:
                yield keyframe
                yield from packets
                return
        self._rewind()
        yield from islice(self._packets(self._stream), first, None)

    def _all_frames(self) -> Iterator[VideoFrame]:
        """Every intact frame from the first keyframe on, in order."""
        self._rewind()
        for frame in self._decoded(dropwhile(lambda packet: not packet.is_keyframe, self._packets(self._stream))):
            if frame.is_corrupt:
                self._report("a frame is incomplete")
            else:
                yield frame

    def _decoded(self, packets: "Iterator[Packet[Any]]") -> Iterator[VideoFrame]:
        """The frames of these packets, those that the decoder holds back included; then it needs a seek or rewind."""
        for packet in packets:
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: "Packet[Any] | None") -> list[VideoFrame]:
        self._check_open()
        try:
            frames = self._stream.decode(packet)
        except av.FFmpegError as error:
            reason = str(error.strerror)
            if isinstance(error, av.ArgumentError):
                reason += f", perhaps more pixels than PIL.Image.MAX_IMAGE_PIXELS, {Image.MAX_IMAGE_PIXELS}, allows"
            self._report(f"a frame cannot be decoded ({reason})", error)
            return []
        for frame in frames:
            check_pixel_count(frame.width, frame.height, "video")
        return frames


def open_container(file: BinaryIO) -> InputContainer:
    """
    The file as FFmpeg opens it, within Pillow's limit of pixels and without leave to open anything else.

    Args:
        file (`BinaryIO`): seekable, at its beginning; stays open.

    Raises:
        `UnreadableMediaError`: of no known format, or cut off before its index.
    """
    try:
        return av.open(
            _Nameless(file),
            "r",
            metadata_errors="replace",
            options=_pixel_limit(),  # for the frames decoded to find out what is in the file
            container_options={"protocol_whitelist": "none"},  # a playlist must not open other files or addresses
        )
    except av.FFmpegError as error:
        raise UnreadableMediaError(
            f"`video` is not a clip in a format that FFmpeg reads, or is cut off before its index "
            f"({error.strerror}). Give a whole MP4, WebM, MKV, AVI, GIF, … file."
        ) from error


def _video_stream(container: InputContainer) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & type(s.disposition).attached_pic]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise UnreadableMediaError(
            f"`video` holds no moving pictures, only {kinds}: it is a sound file, or cut off before its index. Give a "
            "whole video file."
        )
    stream = streams[0]
    if stream.codec_context is None:
        raise UnreadableMediaError("`video` has a codec that this FFmpeg cannot decode. Convert it, say to H.264.")
    check_pixel_count(stream.width, stream.height, "video")
    return stream


class _Nameless:
    """A file as PyAV needs it, without the name: FFmpeg would trust its extension, and PyAV rejects unnamed files'."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _pixel_limit() -> dict[str, str]:
    """FFmpeg's option that refuses frames beyond Pillow's limit before they are allocated."""
    return {} if Image.MAX_IMAGE_PIXELS is None else {"max_pixels": str(Image.MAX_IMAGE_PIXELS)}


def _movie_seconds(file: BinaryIO) -> float | None:
    """The length of an MP4 by the header of its movie; `None` if it has none. Leaves the file where it was."""
    position = file.tell()
    try:
        start, inside = 0, False
        while True:
            file.seek(start)
            head = file.read(16)
            if len(head) < 16:
                return None
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if kind == b"mvhd" and inside:
                file.seek(start + (28 if head[8] == 1 else 20))  # after version, creation and change
                scale = int.from_bytes(file.read(4), "big")
                length = int.from_bytes(file.read(8 if head[8] == 1 else 4), "big")
                return length / scale if scale else None
            if kind == b"moov":
                start, inside = start + 8, True
                continue
            size = int.from_bytes(head[8:], "big") if size == 1 else size
            if size < 8:
                return None
            start += size
    finally:
        file.seek(position)
