"""Clips, encoded by PyAV, whose faces move slowly."""

import json
from bisect import bisect_right
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from random import Random

import av
import numpy as np
from PIL import Image

from inputs.scenes import scene

SAMPLED = ("720p, 10 minutes, a keyframe in 10 s", "1080p, 6 s", "4K, 3 s", "720p, 20 s, variable rate")
TICK = Fraction(1, 1000)


def write_clip(
    path: Path, pictures: Iterable[Image.Image], times: list[int], keyframe_every: int, b_frames: int = 0
) -> None:
    """
    Write a clip of H.264, and its frames' times in seconds as JSON beside it.

    Args:
        path (`Path`): of an MP4.
        pictures (`Iterable[Image.Image]`): all of one size. Where there are more times than pictures, the encoded
            packets are repeated; the first of them is a keyframe.
        times (`list[int]`): milliseconds of each frame, and of the end.
        keyframe_every (`int`): frames from keyframe to keyframe.
        b_frames (`int`, *optional*, defaults to 0): in a row at most, only where packets are not repeated.
    """
    with av.open(str(path), "w") as container:
        stream = None
        packets = []
        for number, picture in enumerate(pictures):
            if stream is None:
                options = {"preset": "ultrafast", "bf": str(b_frames), "sc_threshold": "0"}
                stream = container.add_stream("libx264", rate=25, options=options)
                stream.width, stream.height = picture.size
                stream.pix_fmt, stream.gop_size = "yuv420p", keyframe_every
                stream.codec_context.time_base = stream.time_base = TICK
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), "rgb24")
            frame.pts, frame.time_base = times[number], TICK
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if len(packets) == len(times) - 1:
            for packet in packets:
                packet.duration = 0
                container.mux(packet)
        else:
            kept = [(bytes(packet), packet.is_keyframe) for packet in packets]
            for number, time in enumerate(times[:-1]):
                content, is_keyframe = kept[number % len(kept)]
                packet = av.Packet(content)
                packet.stream, packet.time_base, packet.is_keyframe = stream, TICK, is_keyframe
                packet.pts = packet.dts = time
                packet.duration = times[number + 1] - time
                container.mux(packet)
    path.with_suffix(".json").write_text(json.dumps([time / 1000 for time in times]))


def moving(size: tuple[int, int], count: int, faces: int = 1) -> Iterable[Image.Image]:
    """So many pictures, in which heads move by a pixel or two each."""
    width, height = size
    side = height // 2 if faces == 1 else height * 3 // 8
    for number in range(count):
        shift = round(height / 20 * np.sin(number / 12))
        lefts = [width // 8 + face % 2 * width * 4 // 9 + shift for face in range(faces)]
        tops = [height // 16 + face // 2 * (height // 2) + (0 if faces > 1 else height // 8) for face in range(faces)]
        yield scene(size, [(left, top, side) for left, top in zip(lefts, tops, strict=True)])


def steady(count: int, rate: int) -> list[int]:
    """Milliseconds of so many frames, and of the end."""
    return [number * 1000 // rate for number in range(count + 1)]


def sampled_clips(folder: Path) -> None:
    """`sampled-0.mp4` to `sampled-3.mp4`, as `SAMPLED` says; the long one repeats its first ten seconds."""
    write_clip(folder / "sampled-0.mp4", moving((1280, 720), 250), steady(15_000, 25), 250)
    write_clip(folder / "sampled-1.mp4", moving((1920, 1080), 150), steady(150, 25), 50, b_frames=2)
    write_clip(folder / "sampled-2.mp4", moving((3840, 2160), 75), steady(75, 25), 75)
    random, times = Random(0), [0]
    while times[-1] < 20_000:
        times.append(times[-1] + random.choice((20, 33, 40, 70, 150)))
    write_clip(folder / "sampled-3.mp4", moving((1280, 720), len(times) - 1), times, 120)


def sampled_clip(inputs: Path, case: str) -> Path:
    """Where one of `SAMPLED` is."""
    return inputs / f"sampled-{SAMPLED.index(case)}.mp4"


def wanted(clip: Path, count: int) -> list[int]:
    """Numbers of the frames on screen at the centres of so many equal spans of a clip."""
    *times, end = json.loads(clip.with_suffix(".json").read_text())
    return [bisect_right(times, (number + 0.5) * end / count) - 1 for number in range(count)]


def face_clips(folder: Path) -> None:
    """`faces-1.mp4` and `faces-4.mp4`: two seconds of 720p with so many faces."""
    for faces in (1, 4):
        write_clip(folder / f"faces-{faces}.mp4", moving((1280, 720), 50, faces), steady(50, 25), 25)
