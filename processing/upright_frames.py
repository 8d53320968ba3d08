"""Decoded frames as pictures, the way up that their display matrix says."""

from fractions import Fraction
from typing import cast

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from PIL import Image

from .image_loading import load_image

# Signs of a, b, c, d in the display matrix (x' = ax + cy, y' = bx + dy) and what turns the frame upright.
UPRIGHT = {
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}


class UprightFrames:
    """Makes pictures of the frames of one stream."""

    def __init__(self) -> None:
        self._kind: tuple[int, int, str] | None = None  # of frames that the filter takes
        self._filter: Graph

    def __call__(self, frame: VideoFrame) -> Image.Image:
        """
        The frame as RGB, upright, transparent parts on white.

        Args:
            frame (`VideoFrame`)
        """
        has_alpha = any(component.is_alpha for component in frame.format.components)
        image = load_image(frame.to_ndarray(format="rgba" if has_alpha else "rgb24"), "video")
        matrix = self._without_content(frame).side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return image
        a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5]  # type: ignore[call-overload]
        signs = tuple(int(np.sign(x)) for x in (a, b, c, d))
        return image.transpose(UPRIGHT[signs]) if signs in UPRIGHT else image

    def _without_content(self, frame: VideoFrame) -> VideoFrame:
        """
        A tiny frame with the same side data but the colour profile, whose name is freed twice, with a crash, after a
        look at `side_data`: PyAV takes the dictionary of an entry for its own, and the frame frees it too. In FFmpeg's
        decoders the profile of a PNG is the only entry that has one.

        Tiny, since whoever looks at a frame's side data leaves it to Python's garbage collector, with all its pixels.
        """
        kind = (frame.width, frame.height, frame.format.name)
        if kind != self._kind:
            graph = Graph()
            graph.threads = 1
            nodes = (
                graph.add_buffer(
                    width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
                ),
                graph.add("sidedata", "mode=delete:type=ICC_PROFILE"),
                graph.add("crop", "w=min(iw\\,16):h=min(ih\\,16):x=0:y=0"),  # only cuts, and scaling copies
                graph.add("scale", "w=2:h=2"),
                graph.add("buffersink"),
            )
            graph.link_nodes(*nodes).configure()
            self._kind, self._filter = kind, graph
        self._filter.push(frame)
        return cast(VideoFrame, self._filter.pull())
