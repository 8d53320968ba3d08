"""Fetches a file from a URL within limits of size, time and place."""

import ipaddress
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

from .media_limits import MediaLimits, current_limits

try:
    import httpx2 as httpx  # what huggingface_hub brings from version 2 on
except ModuleNotFoundError:
    import httpx  # type: ignore[no-redef]

SILENCE = 30.0  # seconds without an answer, for connecting and for each read
MEMORY_LIMIT = 64 * 2**20  # bytes; longer downloads wait in a temporary file


class DownloadError(Exception):
    """Why a URL could not be fetched."""


def is_url(text: str) -> bool:
    """Whether a text is an `http(s)://` URL, in capitals or not."""
    return text[:8].lower().startswith(("http://", "https://"))


def download(url: str, limits: MediaLimits | None = None) -> IO[bytes]:
    """
    What lies at a URL, in memory or in a temporary file.

    Args:
        url (`str`): an `http(s)://` URL.
        limits ([`MediaLimits`], *optional*): those that hold here by default, see [`media_limits`].

    Returns:
        `IO[bytes]`: seekable, at its end; whoever asked closes it.

    Raises:
        `DownloadError`: it cannot be reached, answers with an error, or goes beyond a limit, which is named.
    """
    limits = limits or current_limits()
    guard = _Guard(limits)
    file = tempfile.SpooledTemporaryFile(max_size=MEMORY_LIMIT)
    try:
        with (
            guard,
            httpx.Client(follow_redirects=True, max_redirects=limits.max_redirects, timeout=SILENCE) as client,
            client.stream("GET", url, extensions={"trace": guard.trace}) as response,
        ):
            response.raise_for_status()
            for chunk in response.iter_bytes():
                if file.tell() + len(chunk) > limits.max_bytes:
                    raise DownloadError(f"it has more than the {limits.max_bytes} bytes that `max_bytes` allows")
                file.write(chunk)
                guard.check_time()
            guard.check_time()  # an answer that the guard cut off ends like any other
    except BaseException as error:
        file.close()
        if guard.timed_out:
            raise DownloadError(f"it took longer than the {limits.max_seconds} seconds of `max_seconds`") from error
        if isinstance(error, httpx.TooManyRedirects):
            raise DownloadError(f"it redirects more than {limits.max_redirects} times, `max_redirects`") from error
        if isinstance(error, (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError)):
            raise DownloadError(str(error) or type(error).__name__) from error
        raise
    return file


class _Guard:
    """Watches the connections of one download: where they lead, and that they end in time."""

    def __init__(self, limits: MediaLimits) -> None:
        self.limits = limits
        self.timed_out = False
        self._sockets: list[socket.socket] = []
        self._end = time.monotonic() + limits.max_seconds
        self._timer = threading.Timer(limits.max_seconds, self._stop)
        self._timer.daemon = True

    def __enter__(self) -> "_Guard":
        self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by the HTTP client at each step; sees every connection, of redirects too, before it is used."""
        if event != "connection.connect_tcp.complete":
            return
        stream = info["return_value"]
        address = str(stream.get_extra_info("server_addr")[0])
        if not self.limits.allow_private and not is_public(address):
            stream.close()  # nobody else knows it yet
            raise DownloadError(
                f"it leads to {address}, which is no public address; `allow_private` of `MediaLimits` would allow it"
            )
        self._sockets.append(stream.get_extra_info("socket"))
        self.check_time()

    def check_time(self) -> None:
        """Raise where the time is up."""
        if self.timed_out or time.monotonic() > self._end:
            self.timed_out = True
            raise DownloadError("the time is up")

    def _stop(self) -> None:
        """Wake whoever waits for an answer: a server that sends a byte now and then would never run into a timeout."""
        self.timed_out = True
        for connection in self._sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself


def is_public(address: str) -> bool:
    """Whether an IP address, with or without a zone, is one of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])  # without the zone of a link-local address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast
