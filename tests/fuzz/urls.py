"""Addresses of all kinds, of servers on this machine that do what servers should not. No other machine is asked."""

import gzip
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from case import Case, WrongAnswer
from hypothesis import strategies as st
from pictures import file
from PIL import Image

from emo_llama_hf.processing.download import DownloadError, download
from emo_llama_hf.processing.image_loading import load_image
from emo_llama_hf.processing.media_kind import is_video
from emo_llama_hf.processing.media_limits import MediaLimits, media_limits

LIMITS = {"max_bytes": 200_000, "max_seconds": 2, "max_redirects": 3}
HERE = {"127.0.0.1", "::1", "localhost"}
BODY = file("PNG", "RGB")
BOMB = gzip.compress(bytes(30_000_000))


@st.composite
def responses(draw: st.DrawFn) -> tuple[str, list[bytes | float]]:
    """What a server says: bytes, and seconds that it waits between them."""
    body = draw(st.sampled_from([BODY, b"", b"<html>", bytes(300_000), BOMB, b"x" * 5]))
    status = draw(st.sampled_from(["200 OK"] * 6 + ["204 No", "206 Part", "301 M", "302 F", "304 N", "404 No",
        "500 Oh",
                                                    "100 Go", "999", "abc", "200", ""]))  # fmt: skip
    length = draw(st.sampled_from([len(body), len(body), None, 0, -1, 10**12, len(body) - 1, len(body) + 9, "x"]))
    headers = [] if length is None else [f"Content-Length: {length}"]
    headers += draw(st.lists(st.sampled_from([
        "Content-Type: text/html", "Content-Encoding: gzip", "Content-Encoding: br", "Content-Encoding: zstd",
        "Content-Encoding: deflate", "Content-Encoding: gzip, gzip", "Content-Encoding: nonsense", "Location: /",
        "Location: //", "Location: ", "Location: http://[", "Location: ftp://127.0.0.1/", "Location: data:,x",
        "Location: http://127.0.0.1:1/", "Location: \xff", "Location: file:///etc/hosts", "No colon", ": no name",
        "Set-Cookie: a=b", "Transfer-Encoding: chunked", "Transfer-Encoding: x", "X: " + "y" * 70_000, "\0: \0",
        "Content-Length: 3", "Connection: keep-alive", "Connection: upgrade", "WWW-Authenticate: Digest", "X: \xe4",
    ]), max_size=3))  # fmt: skip
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/9", "ICY", ""]))
    head = "\r\n".join([f"{version} {status}", *headers]).encode("latin-1") + b"\r\n\r\n"
    how = draw(
        st.sampled_from(["at once", "at once", "at once", "chunked", "cut", "slow", "endless", "noise", "silent"])
    )
    said: list[bytes | float] = [head + body]
    if how == "chunked":
        size = draw(st.sampled_from([b"%x" % len(body), b"ffffffff", b"-1", b"zz", b"", b"5;ext=1"]))
        said = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", size + b"\r\n" + body, b"\r\n0\r\n\r\n"]
        said = said[: draw(st.integers(1, 3))]
    elif how == "cut":
        said = [(head + body)[: draw(st.integers(0, len(head) + 40))]]
    elif how == "slow":
        said = [part for byte in (head + body)[:40] for part in (bytes([byte]), 0.2)]
    elif how == "endless":
        said = [head, *[bytes(65536)] * 200]
    elif how == "noise":
        said = [draw(st.binary(max_size=200))]
    elif how == "silent":
        said = [head[: draw(st.integers(0, 20))], 5.0]
    return f"{how}: {version} {status} {headers} {len(body)} bytes"[:400], said


@contextmanager
def serving(said: list[bytes | float], family: int = socket.AF_INET) -> Iterator[int]:
    """A server that says this to whoever comes; gives its port."""
    address = ("::1", 0) if family == socket.AF_INET6 else ("127.0.0.1", 0)
    listener, ended = socket.create_server(address, family=family), threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    connection.recv(65536)
                    for part in said:
                        if isinstance(part, float):
                            ended.wait(part)
                        else:
                            connection.sendall(part)
                        if ended.is_set():
                            break
                except OSError:
                    pass  # the client hung up

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        with socket.socket(family) as last:  # wakes the server
            last.settimeout(1)
            last.connect_ex(listener.getsockname()[:2])
        thread.join(5)
        listener.close()


FORMS = [
    "http://127.0.0.1:{port}/a.png", "http://127.0.0.1:{port}/a.png", "http://localhost:{port}/",
    "http://[::1]:{port}/a",
    "HTTP://127.0.0.1:{port}", "http://user:pass@127.0.0.1:{port}/", "http://user@localhost:{port}/",
    "https://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/?q=ä#x", "http://127.0.0.1:{port}/%00", "http://127.0.0.1:{port}/\n",
    "http://127.0.0.1:{port}/ a",
    "http://127.0.0.1:{port}\\@localhost/", "http://127.1:{port}/", "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/", "http://[::1%25lo]:{port}/", "http://127.0.0.1:99999/",
    "http://127.0.0.1:-1/",
    "http://127.0.0.1:x/", "http://127.0.0.1:1/", "http://[::1/", "http://]/", "http:///a", "http://", "https://",
    "http://:{port}/",
    "http://.localhost:{port}/", "http://LOCALHOST.:{port}/", "http://ⓛocalhost:{port}/", "http://xn--:{port}/",
    "http://\ud800/",
    "http://a..localhost:{port}/", "http://127。0。0。1:{port}/", "http://" + "a" * 300 + ".localhost/",
    "http://\0.localhost/",
    "http://127.0.0.1:{port}/" + "a" * 70_000, "http://localhost:{port}/\ud800", "http://-:{port}/",
    "http://127.0.0.1:{port}:1/",
]  # fmt: skip


@contextmanager
def this_machine_only() -> Iterator[None]:
    """Names of other machines are not looked up, and no other address is connected to."""
    resolve, connect = socket.getaddrinfo, socket.socket.connect

    def guarded(host: object, *args: object, **kwargs: object) -> object:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
        if name.strip(".").lower() not in HERE and not name.startswith("127."):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **kwargs)  # type: ignore[arg-type]

    def connected(self: socket.socket, address: object) -> object:
        if not (isinstance(address, tuple) and (address[0] in HERE or str(address[0]).startswith("127."))):
            raise OSError(101, "Network is unreachable")
        return connect(self, address)  # type: ignore[arg-type]

    socket.getaddrinfo, socket.socket.connect = guarded, connected  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        socket.getaddrinfo, socket.socket.connect = resolve, connect  # type: ignore[method-assign]


@st.composite
def cases(draw: st.DrawFn, cheap: bool = False) -> Case:
    """Fetched, or read as a picture. `cheap`: servers that answer at once."""
    change, said = draw(responses())
    form, entry = draw(st.sampled_from(FORMS)), draw(st.sampled_from(["download", "load_image", "is_video"]))
    private = draw(st.sampled_from([True, True, True, False]))
    if cheap:
        said = [part for part in said if not isinstance(part, float)]

    def ask(folder: Path) -> None:
        family = socket.AF_INET6 if "[::1]" in form else socket.AF_INET
        with this_machine_only(), serving(said, family) as port:
            url, start = form.replace("{port}", str(port)), time.monotonic()
            try:
                with media_limits(MediaLimits(**LIMITS, allow_private=private)):
                    if entry == "download":
                        with download(url) as fetched:
                            if fetched.tell() > LIMITS["max_bytes"]:
                                raise WrongAnswer("more than `max_bytes`")
                    elif entry == "load_image":
                        if load_image(url).tobytes() != Image.open(io.BytesIO(BODY)).convert("RGB").tobytes():
                            raise WrongAnswer("another picture")
                    else:
                        is_video(url)
                if not private and entry != "is_video":
                    raise WrongAnswer("this machine was asked")
            except DownloadError as error:
                raise ValueError(f"`url` could not be fetched: {error}") from error  # as whoever asked says it
            finally:
                if time.monotonic() - start > LIMITS["max_seconds"] + 15:  # others may have the cores
                    raise WrongAnswer("longer than `max_seconds`")

    return Case(f"{form[:80]} private={private} to {entry}, which says {change}", ask)
