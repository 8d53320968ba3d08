"""Test pictures and clips whose frames carry their number."""

import io
from fractions import Fraction

import av
import numpy as np
from PIL import Image


def numbered(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """H×W×3 uint8 picture whose halves show the two base-16 digits of `number` (0…255) as grey levels."""
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:, : size[0] // 2] = number // 16 * 16 + 8
    picture[:, size[0] // 2 :] = number % 16 * 16 + 8
    return picture


def number_of(image: Image.Image) -> int:
    """The number that a frame shows, after any codec."""
    pixels = np.asarray(image.convert("L"), float)
    half = pixels.shape[1] // 2
    high, low = pixels[8:-8, 8 : half - 8].mean(), pixels[8:-8, half + 8 : -8].mean()
    return int(high // 16 * 16 + low // 16)


def clip(
    container="mp4",
    codec="libx264",
    pixel_format="yuv420p",
    frames=30,
    fps=10,
    milliseconds=None,
    keyframe_every=10,
    reordered=0,
    noise=False,
    options=None,
    container_options=None,
) -> bytes:
    """
    An encoded clip; `frames` is a number of numbered frames or a list of H×W×3 arrays.

    `milliseconds` gives each frame its own time, `reordered` allows so many B-frames, `noise` makes packets large.
    """
    frames = len(milliseconds) if milliseconds else frames
    pictures = [numbered(i) for i in range(frames)] if isinstance(frames, int) else frames
    random = np.random.default_rng(0)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.gop_size = keyframe_every
        stream.bit_rate = 2_000_000
        stream.codec_context.max_b_frames = reordered
        stream.codec_context.time_base = Fraction(1, 1000) if milliseconds else Fraction(1, fps)
        for i, picture in enumerate(pictures):
            if noise:
                picture = picture + random.integers(-6, 7, picture.shape).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixel_format)
            frame.pts = milliseconds[i] if milliseconds else i
            frame.time_base = stream.codec_context.time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def animation(format: str, milliseconds: list[int], **options) -> bytes:
    """An animated picture (GIF, PNG, WEBP, AVIF) of numbered frames that last so long each."""
    first, *rest = [Image.fromarray(numbered(i)) for i in range(len(milliseconds))]
    buffer = io.BytesIO()
    first.save(buffer, format, save_all=True, append_images=rest, duration=milliseconds, **options)
    return buffer.getvalue()


def sound() -> bytes:
    """A WAV file with a tenth of a second of silence."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="wav") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def decoded_in_order(content: bytes) -> list[Image.Image]:
    """Every frame of a clip, by plain sequential decoding with PyAV."""
    with av.open(io.BytesIO(content)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    """The file content of a picture."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()
