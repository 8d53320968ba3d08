"""A camera at an RTSP address, as far as FFmpeg asks: one H.264 clip in real time, by TCP (RFC 2326, 3550, 6184)."""

import socket
import struct
import threading
import time

import av


class RtspServer:
    """Plays a clip of small frames, in a loop, to one client after the other; as a context, it is running."""

    def __init__(self, clip: str) -> None:
        self.frames: list[tuple[float, list[bytes]]] = []  # seconds, NAL units
        with av.open(clip) as container:
            stream = container.streams.video[0]
            to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", stream)
            for packet in container.demux(stream):
                for whole in to_annex_b.filter(packet) if packet.size else []:
                    units = [unit for unit in bytes(whole).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
                    self.frames.append((float(whole.pts * whole.time_base), units))
            self.seconds = float(stream.duration * stream.time_base)
        self.loops = 1000
        self.asked: list[str] = []
        self._closed = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"rtsp://127.0.0.1:{self._socket.getsockname()[1]}/door"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "RtspServer":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closed.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                try:
                    self._talk(client)
                except OSError:
                    pass  # the client has gone

    def _talk(self, client: socket.socket) -> None:
        sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=door\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
        sdp += "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track\r\n"
        extra = {
            "OPTIONS": ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN", ""),
            "DESCRIBE": ("Content-Type: application/sdp", sdp),
            "SETUP": ("Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1", ""),
            "PLAY": ("Session: 1", ""),
        }
        waiting = b""
        while True:
            while b"\r\n\r\n" not in waiting:
                received = client.recv(4096)
                if not received:
                    return
                waiting += received
            request, _, waiting = waiting.partition(b"\r\n\r\n")
            lines = request.decode().split("\r\n")
            method = lines[0].split()[0]
            self.asked.append(method)
            if method not in extra:
                return
            number = next(line for line in lines if line.lower().startswith("cseq"))
            header, body = extra[method]
            client.sendall(
                f"RTSP/1.0 200 OK\r\n{number}\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            if method == "PLAY":
                self._play(client)
                return

    def _play(self, client: socket.socket) -> None:
        start, sequence = time.monotonic(), 0
        for loop in range(self.loops):
            for seconds, units in self.frames:
                seconds += loop * self.seconds
                if self._closed.wait(max(start + seconds - time.monotonic(), 0)):
                    return
                for place, unit in enumerate(units, 1):
                    last = 0x80 if place == len(units) else 0
                    rtp = struct.pack(">BBHII", 0x80, 96 | last, sequence & 0xFFFF, int(seconds * 90_000), 7) + unit
                    client.sendall(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
                    sequence += 1
