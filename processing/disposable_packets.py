"""Which packets of a clip make frames that no other frame refers to, by the headers of what is in them."""

from typing import Any

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

# How units begin that are slices of such frames, and units that say nothing about other frames.
H264_SLICES = {b"\x01"}  # reference 0, type 1
H264_OTHERS = {b"\x06", b"\x09", b"\x0c"}  # supplement, delimiter, filler
HEVC_SLICES = {bytes((kind << 1, 1)) for kind in (0, 2, 4, 6, 8)}  # in the only temporal layer
HEVC_OTHERS = {bytes((kind << 1, 1)) for kind in (35, 38, 39, 40)}


class DisposablePackets:
    """
    The packets of one stream that can be left out, and all others give the same frames. They are known of H.264 and
    HEVC, in MP4, Matroska and whatever else stores the lengths of a packet's parts.

    Args:
        codec (`VideoCodecContext`): of the stream.
    """

    def __init__(self, codec: VideoCodecContext) -> None:
        header = codec.extradata or b""
        self._length_bytes = 0  # where parts have no lengths
        if len(header) > 22 and header[0] == 1:
            # A frame of HEVC that says so may be referred to in higher layers.
            if codec.name == "hevc" and header[21] >> 3 & 7 == 1:
                self._length_bytes, self._name_bytes = (header[21] & 3) + 1, 2
                self._slices, self._others = HEVC_SLICES, HEVC_OTHERS
            elif codec.name == "h264":
                self._length_bytes, self._name_bytes = (header[4] & 3) + 1, 1
                self._slices, self._others = H264_SLICES, H264_OTHERS

    def __contains__(self, packet: "Packet[Any]") -> bool:
        if not self._length_bytes:
            return False
        content = memoryview(packet)
        place, has_slice = 0, False
        while place < len(content):
            start = place + self._length_bytes
            name = bytes(content[start : start + self._name_bytes])
            if name in self._slices:
                has_slice = True
            elif name not in self._others:
                return False
            place = start + int.from_bytes(content[place:start], "big")
        return has_slice and place == len(content)
