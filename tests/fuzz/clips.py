"""Clips: damaged files of many containers, files with strange headers, and lists of frames."""

import io
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from case import Case, WrongAnswer, check_scores, default_pipeline
from damage import EXTREMES, damaged, maybe_damaged
from hypothesis import strategies as st
from pictures import FILLS, WAYS, given_as
from PIL import Image

import media
from emo_llama_hf.chat.timeline.moments import read_in_order
from emo_llama_hf.processing.frame_sampling import frames_at, sample_frames
from emo_llama_hf.processing.media_kind import is_video
from emo_llama_hf.processing.video_loading import open_clip

RECIPES: list[dict[str, Any]] = [
    {},
    {"reordered": 2},
    {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    {"milliseconds": [0, 1, 2, 1000, 1001, 5000]},
    {"codec": "mpeg4"},
    {"container": "mov", "codec": "mjpeg", "pixel_format": "yuvj420p"},
    {"container": "matroska"},
    {"container": "matroska", "codec": "ffv1", "pixel_format": "bgra"},
    {"container": "webm", "codec": "libvpx"},
    {"container": "avi"},
    {"container": "avi", "codec": "mpeg4", "reordered": 1},
    {"container": "avi", "codec": "rawvideo", "pixel_format": "bgr24"},
    {"container": "mjpeg", "codec": "mjpeg", "pixel_format": "yuvj420p"},
    {"container": "mpegts"},
    {"container": "flv", "codec": "flv"},
    {"container": "h264"},
    {"container": "gif", "codec": "gif", "pixel_format": "rgb8"},
    {"container": "apng", "codec": "apng", "pixel_format": "rgb24"},
    {"container": "mpeg", "codec": "mpeg2video", "fps": 25},
    {"container": "asf", "codec": "wmv2"},
    {"container": "yuv4mpegpipe", "codec": "wrapped_avframe"},
    {"container": "image2pipe", "codec": "png", "pixel_format": "rgb24"},
]
CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex", b"dinf"}
TABLES = [
    b"mvhd", b"tkhd", b"mdhd", b"stts", b"ctts", b"elst", b"stsd", b"stsz", b"stsc", b"stco", b"stss", b"hdlr",
    b"moov",
    b"trak", b"mdia", b"stbl", b"edts", b"ftyp", b"mdat", b"avcC", b"trun", b"tfhd", b"mvex",
]  # fmt: skip
RATES = [None, 1, 0.001, 1e-6, 1e6, 24.0, 0, -1, float("nan"), float("inf"), "x", True]


@cache
def clip(index: int, frames: int) -> bytes | None:
    """A whole clip by one of the recipes; `None` where this FFmpeg does not write it."""
    try:
        return media.clip(**{"frames": frames, "keyframe_every": 4, **RECIPES[index]})
    except (av.FFmpegError, ValueError):
        return None


def known() -> list[int]:
    """Recipes that this FFmpeg can follow."""
    return [index for index in range(len(RECIPES)) if clip(index, 12) is not None]


def atoms(content: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, beginning and end of the parts of an MP4, inner ones too."""
    place, end = start, len(content) if end is None else end
    while place + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, place)
        if size < 8 or place + size > end:
            return
        yield kind, place, place + size
        if kind in CONTAINERS:
            yield from atoms(content, place + 8, place + size)
        if kind == b"stsd":
            yield from (
                (b"avcC", at, at + 40) for at in [content.find(b"avcC", place, place + size) - 4] if at > place
            )
        place += size


@st.composite
def odd_atoms(draw: st.DrawFn) -> tuple[str, bytes]:
    """An MP4 with something wrong in one of its tables."""
    content = clip(draw(st.sampled_from(range(5))), 12)
    wanted = draw(st.sampled_from(TABLES))
    found = [atom for atom in atoms(content) if atom[0] == wanted] or list(atoms(content))
    kind, start, end = draw(st.sampled_from(found))
    how = draw(st.sampled_from(["number", "number", "number", "size", "name", "out", "twice", "damaged"]))
    if how == "number":
        place = draw(st.integers(start + 8, max(start + 8, min(end, start + 60) - 4)))
        number = draw(st.sampled_from(EXTREMES)) % 2**32
        return f"{kind!r}: {number} at {place - start}", content[:place] + struct.pack(">I", number) + content[
            place + 4 :
        ]
    if how == "size":
        size = draw(st.sampled_from([0, 1, 7, 8, 9, end - start + 8, 2**31, 2**32 - 1]))
        return f"{kind!r}: size {size}", content[:start] + struct.pack(">I", size) + content[start + 4 :]
    if how == "name":
        name = draw(st.sampled_from([*TABLES, b"free", b"\0\0\0\0"]))
        return f"{kind!r} is {name!r}", content[: start + 4] + name + content[start + 8 :]
    if how == "out":
        return f"{kind!r} left out", content[:start] + content[end:]
    if how == "twice":
        return f"{kind!r} twice", content[:end] + content[start:]
    change, piece = draw(damaged(content[start:end]))
    return f"{kind!r}: {change}", content[:start] + piece + content[end:]


@st.composite
def contents(draw: st.DrawFn) -> tuple[str, bytes]:
    """What was done to a clip's file, and the bytes."""
    kind = draw(st.sampled_from(["atoms"] * 4 + ["damaged"] * 6 + ["joined", "sound", "text"]))
    if kind == "atoms":
        change, content = draw(odd_atoms())
        return f"MP4 {change}", content
    if kind == "sound":
        change, content = draw(maybe_damaged(media.sound()))
        return f"WAV: {change}", content
    if kind == "text":
        text = draw(st.sampled_from([
            b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile '/etc/passwd'\n",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
            b"RIFF\xff\xff\xff\xffAVI LIST",
            b"<?xml version='1.0'?><MPD></MPD>", b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"G" * 2000, b"Hello, world! " * 30,
            b"FLV\1\1\0\0\0\t", b"OggS" + bytes(100), b"\0\0\0\x18ftypmp42", b"YUV4MPEG2 W99999 H99999 F1:0\nFRAME\n",
        ]))  # fmt: skip
        change, content = draw(maybe_damaged(text))
        return f"{text[:20]!r}: {change}", content
    index = draw(st.sampled_from(known()))
    content = clip(index, draw(st.sampled_from([12, 12, 1, 2])))
    if kind == "joined":  # the size changes in the middle, say
        other = draw(st.sampled_from(["same", "larger", "cut", "other"]))
        larger = media.clip(
            **{**RECIPES[index], "milliseconds": None, "frames": [np.zeros((96, 128, 3), np.uint8)] * 5}
        )
        more = {"same": content, "larger": larger, "cut": content[len(content) // 2 :], "other": clip(0, 12)}[other]
        return f"{RECIPES[index]} with {other} behind it", content + more
    change, content = draw(maybe_damaged(content))
    return f"{RECIPES[index]}: {change}", content


ENTRIES = ["sample", "sample", "every frame", "frames at", "is_video"]


def check_sampled(sampled: Any) -> None:
    """Raise `WrongAnswer` unless the frames of a clip belong to increasing times and are pictures."""
    times, total = sampled.timestamps, sampled.total
    fine = len(sampled.frames) == len(times) == len(sampled.indices) <= total and len(times) > 0
    fine = fine and times == sorted(times) and all(np.isfinite(times)) and times[0] >= 0
    fine = fine and sampled.indices == sorted({*sampled.indices}) and sampled.indices[-1] < total
    fine = fine and (sampled.duration is None or (np.isfinite(sampled.duration) and sampled.duration >= times[-1]))
    if not fine or any(frame.mode != "RGB" or 0 in frame.size for frame in sampled.frames):
        raise WrongAnswer(f"{sampled}")


def enter(entry: str, source: Any, options: dict[str, Any]) -> Any:
    """Give a clip to the package by one of its entries."""
    on_error = options["on_error"]
    if entry == "sample":
        sampled = sample_frames(source, has_face=lambda frames: [True] * len(frames), **options)
        check_sampled(sampled)
        if on_error == "raise" and sampled.problem:
            raise WrongAnswer(f"a problem was told, not raised: {sampled.problem}")
        return sampled
    if entry == "every frame":
        with open_clip(source, partial=on_error == "partial", video_fps=options["video_fps"]) as opened:
            return sum(1 for _ in read_in_order(opened, lambda clip: list(range(min(len(clip.times), 200)))))
    if entry == "frames at":
        return frames_at(source, [0.0, 0.35, 1e9], on_error)
    if entry == "is_video":
        return is_video(source)
    result = default_pipeline()({"video": source})
    check_scores(result)
    return result


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    odd = draw(st.sampled_from([False, False, True]))
    return {
        "on_error": draw(st.sampled_from(["raise", "partial"] + ["skip", None] * odd)),
        "strategy": draw(st.sampled_from(["uniform", "fps", "face"] + ["all", None] * odd)),
        "num_frames": draw(st.sampled_from([1, 3, 8, 1000] + [0, -1, 2.5, "x", None, True, 2**70] * odd)),
        "fps": draw(st.sampled_from(RATES if odd else [1, 5, 30])),
        "video_fps": draw(st.sampled_from(RATES)) if odd else None,
    }


@st.composite
def files(draw: st.DrawFn, entries: list[str]) -> Case:
    change, content = draw(contents())
    way, entry, how = draw(st.sampled_from(WAYS)), draw(st.sampled_from(entries)), draw(options())
    name = draw(st.sampled_from(["a.mp4", "a.avi", "a.gif", "a.png", "a"]))

    def ask(folder: Path) -> None:
        enter(entry, given_as(way, content, folder, name), how)

    return Case(f"{change}; as {way} to {entry} {how}", ask, {"input": content}, (name,))


@st.composite
def frames(draw: st.DrawFn) -> tuple[str, Any]:
    """A list or array of frames, some of which are odd."""
    good: list[Any] = [Image.new("RGB", (20, 10)), np.zeros((9, 8, 3), np.uint8), torch.zeros(3, 7, 9), media.encoded(
        Image.new("L", (5, 5))), Image.new("RGBA", (300, 2))]  # fmt: skip
    odd: list[Any] = [None, 3, "no.png", b"", b"not a picture", [], [good[0]], {"image": 1}, np.zeros((0, 3)),
        object(),
                      np.full((4, 4, 3), np.nan), io.BytesIO(b"GIF89a"), clip(0, 2)]  # fmt: skip
    kind = draw(st.sampled_from(["list", "tuple", "many", "array", "tensor"]))
    if kind in ("list", "tuple"):
        parts = draw(st.lists(st.sampled_from([*good, *odd]), max_size=8))
        return f"{kind} of {[type(part).__name__ for part in parts]}", parts if kind == "list" else tuple(parts)
    if kind == "many":
        return "5000 frames", [good[0]] * 5000
    shape = draw(st.sampled_from([(4, 9, 8, 3), (4, 3, 9, 8), (0, 9, 8, 3), (4, 0, 8, 3), (4, 9, 8, 5), (2, 9, 8, 1),
                                  (4, 9, 8), (1, 1, 1, 1), (2, 2, 2, 2, 2), (), (3,)]))  # fmt: skip
    fill, dtype = draw(st.sampled_from(FILLS)), draw(st.sampled_from(["u1", "f4", "i8", "?", "c8", "O"]))
    array = np.zeros(shape, dtype)
    if dtype in ("f4", "O"):
        array[...] = fill
    if kind == "tensor" and dtype != "O":
        return f"tensor {shape} {dtype} {fill}", torch.from_numpy(array)
    return f"array {shape} {dtype} {fill}", array


@st.composite
def lists(draw: st.DrawFn, entries: list[str]) -> Case:
    change, source = draw(frames())
    entry, how = draw(st.sampled_from(entries)), draw(options())
    return Case(f"{change}; to {entry} {how}", lambda folder: enter(entry, source, how))


def warm() -> None:
    """Encode the clips once."""
    for index in known():
        for count in (1, 2, 12):
            clip(index, count)


def cases(cheap: bool = False) -> st.SearchStrategy[Case]:
    """Clips; `cheap` leaves the model out."""
    entries = ENTRIES if cheap else [*ENTRIES, "pipeline"]
    one = files(entries)
    return st.one_of(one, one, one, one, lists(entries))
