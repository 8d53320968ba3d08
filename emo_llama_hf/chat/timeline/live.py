"""The newest frames of a camera or of an RTSP address, whoever is slow to look at them."""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from ...input_error import InputError
from ...processing.download import is_public
from ...processing.media_limits import current_limits
from ...processing.media_source import UnreadableMediaError
from ...processing.setting_checks import shown
from ...processing.upright_frames import UprightFrames
from .moments import Moment, Moments

SILENCE = 10.0
"""Seconds without a frame after which a stream is taken for dead."""

CAMERA_FORMAT = "v4l2"  # Linux's
RTSP = ("rtsp://", "rtsps://")
# By TCP, since frames that lost packets show faces that nobody has; looked into for a second; nothing else is opened.
RTSP_OPTIONS = {
    "rtsp_transport": "tcp",
    "timeout": str(int(SILENCE * 1e6)),
    "analyzeduration": "1000000",
    "protocol_whitelist": "rtp,udp,tcp,tls,crypto",
}


@contextmanager
def live_moments(source: object, every: float) -> Iterator[Moments]:
    """
    Open a stream; it is closed on leaving.

    Args:
        source (`str`): a camera's device (`"/dev/video0"`), or an `rtsp://` or `rtsps://` address.
        every (`float`): seconds from moment to moment, at least.

    Raises:
        `InputError`: it is neither, or at an address that is not public where [`MediaLimits`] allow none.
        `UnreadableMediaError`: it cannot be opened.
    """
    if not isinstance(source, str) or not (source.lower().startswith(RTSP) or source.startswith("/dev/")):
        raise InputError(
            f"`clip` must be a camera's device (/dev/video0) or an rtsp:// address for a live stream, got "
            f"{_without_password(source) if isinstance(source, str) else shown(source)}."
        )
    stream = _Stream(source, every)
    try:
        yield stream
    finally:
        stream.close()


class _Stream(Moments):
    """A thread reads on and keeps only the newest frame; its time is that of its arrival, whatever a camera says."""

    def __init__(self, source: str, every: float) -> None:
        self._every = every
        self._name = _without_password(source)
        self._new = threading.Condition()
        self._newest: tuple[float, VideoFrame] | None = None
        self._ended = False
        self._error: Exception | None = None
        self._closed = threading.Event()
        self._container = _opened(source, self._name)
        self._thread = threading.Thread(target=self._read, name="live frames", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._new:  # which a signal handler may enter again
            self._ended = True
            self._new.notify()

    def close(self) -> None:
        self._closed.set()
        self._thread.join(2 * SILENCE)

    def __iter__(self) -> Iterator[Moment]:
        upright = UprightFrames()
        due = 0.0
        while True:
            with self._new:
                patience = time.monotonic() + SILENCE + self._every
                while (self._newest is None or self._newest[0] < due) and not self._ended:
                    if not self._new.wait(patience - time.monotonic()):
                        self._error = TimeoutError(f"no frame came for {SILENCE:g} s")
                        self._ended = True
                newest, self._newest = self._newest, None
            if self._error is not None:
                raise UnreadableMediaError(
                    f"`clip`: {self._name} cannot be read any more ({self._error}). Check the camera and the "
                    "connection, and start again."
                ) from self._error
            if newest is None or newest[0] < due:
                return
            seconds, frame = newest
            due = seconds + self._every
            yield Moment(seconds, due, upright(frame))

    def _read(self) -> None:
        """Runs in the thread, to which the container belongs from now on."""
        start: float | None = None
        try:
            with self._container as container:
                stream = container.streams.video[0]
                stream.thread_type = "SLICE"  # frames in parallel come late
                for packet in container.demux(stream):
                    for frame in _decoded(packet):
                        now = time.monotonic()
                        start = now if start is None else start
                        with self._new:
                            self._newest = (now - start, frame)
                            self._new.notify()
                    if self._closed.is_set():
                        return
        except Exception as error:
            self._error = error
        finally:
            with self._new:
                self._ended = True
                self._new.notify()


def _decoded(packet: "Packet[Any]") -> list[VideoFrame]:
    """The frames of a packet; those that lost a part on the way are left out."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, VideoFrame) and not frame.is_corrupt]
    except av.FFmpegError:
        return []


def _opened(source: str, name: str) -> InputContainer:
    is_rtsp = source.lower().startswith(RTSP)
    address = _checked(source, name) if is_rtsp else source
    try:
        container = av.open(
            address,
            "r",
            format="rtsp" if is_rtsp else CAMERA_FORMAT,
            container_options=RTSP_OPTIONS if is_rtsp else {},
            timeout=(SILENCE, SILENCE),
            metadata_errors="replace",
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableMediaError(
            f"`clip`: {name} cannot be opened ({reason}). Check the camera, the address and the connection."
        ) from error
    if not container.streams.video:
        container.close()
        raise UnreadableMediaError(f"`clip`: {name} shows no moving pictures. Name a stream that does.")
    return container


def _checked(address: str, name: str) -> str:
    """The address with the host's number in place of its name, so that what is connected to is what was looked at."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or (322 if parts.scheme.lower() == "rtsps" else 554)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM) if host else []
    except (OSError, ValueError) as error:
        raise UnreadableMediaError(f"`clip`: {name} cannot be found ({error}). Check the address.") from error
    if not found:
        raise UnreadableMediaError(f"`clip`: {name} names no host. Write rtsp://host/path.")
    number = str(found[0][4][0])
    if not current_limits().allow_private and not is_public(number):
        raise InputError(
            f"`clip`: {name} leads to {number}, which is no public address; `allow_private` of `MediaLimits` would "
            "allow it."
        )
    shown_number = f"[{number}]" if ipaddress.ip_address(number.partition("%")[0]).version == 6 else number
    login = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{login}@{shown_number}:{port}" if login else f"{shown_number}:{port}").geturl()


def _without_password(address: str) -> str:
    """An address as messages may have it."""
    start, _, rest = address.partition("://")
    place, slash, path = rest.partition("/")
    return f"{start}://{place.rpartition('@')[2]}{slash}{path}" if rest else address
