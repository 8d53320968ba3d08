"""Downloads within limits, from servers on this machine that do what servers should not."""

import gzip
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from emo_llama_hf.processing.download import DownloadError, download, is_url
from emo_llama_hf.processing.image_loading import load_image
from emo_llama_hf.processing.media_limits import MediaLimits, current_limits, media_limits
from emo_llama_hf.processing.media_source import UnreadableMediaError

HERE = MediaLimits(allow_private=True, max_bytes=100_000, max_seconds=3)


@contextmanager
def server(answer):
    """A server whose connections are handled by `answer(connection, request)`; gives its address and its requests."""
    listener, requests = socket.create_server(("127.0.0.1", 0)), []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection):
        with connection:
            try:
                requests.append(connection.recv(65536))
                answer(connection, requests[-1])
            except OSError:
                pass  # the client hung up

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        listener.close()


def body(content: bytes, *headers: str, status: str = "200 OK"):
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(content)}", *headers]
    return lambda connection, request: connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)


def endless(connection, request):
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def dribble(where: bytes):
    def answer(connection, request):
        connection.sendall(where)
        while True:
            connection.sendall(b"x")
            time.sleep(0.2)

    return answer


def refused(url: str, limits: MediaLimits) -> str:
    start = time.monotonic()
    with pytest.raises(DownloadError) as error:
        download(url, limits)
    assert time.monotonic() - start < limits.max_seconds + 5
    return str(error.value)


def test_content_arrives_whole():
    content = bytes(range(256)) * 300
    with server(body(content)) as (address, requests), download(address, HERE) as file:
        file.seek(0)
        assert file.read() == content
        assert len(requests) == 1


def test_compressed_content_is_unpacked():
    with (
        server(body(gzip.compress(b"text"), "Content-Encoding: gzip")) as (address, _),
        download(address, HERE) as file,
    ):
        file.seek(0)
        assert file.read() == b"text"


@pytest.mark.parametrize(
    "answer", [endless, body(b"x" * 100_001), body(gzip.compress(bytes(50_000_000)), "Content-Encoding: gzip")]
)
def test_too_long(answer):
    with server(answer) as (address, _):
        assert "max_bytes" in refused(address, HERE)


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Header: ", b""])
def test_a_byte_now_and_then(sent):
    with server(dribble(sent)) as (address, _):
        assert "max_seconds" in refused(address, MediaLimits(allow_private=True, max_seconds=1))


def test_redirects_end():
    with server(body(b"", "Location: /again", status="302 Found")) as (address, requests):
        assert "max_redirects" in refused(address, MediaLimits(allow_private=True, max_redirects=2))
        assert len(requests) == 3


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_this_machine_is_not_asked_unless_allowed(name):
    with server(body(b"secret")) as (address, requests):
        assert "no public address" in refused(address.replace("127.0.0.1", name), MediaLimits(max_seconds=5))
        time.sleep(0.1)
        assert not any(requests)


def test_a_refused_connection_is_closed():
    """A server that waits for the request would wait for ever."""
    closed = threading.Event()

    def wait(connection, request):
        if not request:
            closed.set()

    with server(wait) as (address, _):
        refused(address, MediaLimits(max_seconds=5))
        assert closed.wait(5)


def test_a_redirect_to_this_machine_is_not_followed(monkeypatch):
    """The first server counts as public here; what it redirects to does not."""
    from emo_llama_hf.processing import download as module

    asked: list[str] = []
    monkeypatch.setattr(module, "is_public", lambda address: not asked.append(address) and len(asked) == 1)
    with server(body(b"secret")) as (hidden, requests):
        with server(body(b"", f"Location: {hidden}", status="302 Found")) as (address, _):
            assert "no public address" in refused(address, MediaLimits(max_seconds=5))
        time.sleep(0.1)
        assert len(asked) == 2 and not any(requests)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
    ],
)
def test_public_addresses(address, public):
    from emo_llama_hf.processing.download import is_public

    assert is_public(address) == public


def test_urls():
    assert is_url("http://a/b") and is_url("HTTPS://A") and is_url("HtTp://a")
    assert not is_url("httpx://a") and not is_url("/http://a") and not is_url("")


@pytest.mark.parametrize("limits", [[1, 2], {}, "none", 0])
def test_what_are_no_limits(limits):
    with pytest.raises(ValueError, match="`limits` must be MediaLimits"), media_limits(limits):
        pass


def test_limits_hold_inside_their_block():
    with media_limits(HERE):
        assert current_limits() == HERE
        with media_limits(None):
            assert current_limits() == HERE
    assert current_limits() == MediaLimits()


@pytest.mark.parametrize("limit", [{"max_bytes": -1}, {"max_seconds": "long"}, {"max_redirects": float("nan")}])
def test_wrong_limits(limit):
    with pytest.raises(ValueError, match=f"`{next(iter(limit))}` must be a number from 0"):
        MediaLimits(**limit)


def test_a_picture_from_this_machine_names_the_way_out():
    with (
        server(body(b"secret")) as (address, _),
        pytest.raises(UnreadableMediaError, match=r"could not be fetched .*allow_private"),
    ):
        load_image(f"{address}/a.png")
