"""Pictures: damaged files, files made by hand, and whatever else may be given as one."""

import base64
import io
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from case import SAMPLES, Case, WrongAnswer, check_scores, default_pipeline
from damage import EXTREMES, maybe_damaged
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from emo_llama_hf.processing.frame_sampling import sample_frames
from emo_llama_hf.processing.image_loading import load_image
from emo_llama_hf.processing.media_kind import is_video

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]
FILES = [
    *[("PNG", mode, ()) for mode in PNG_MODES],
    *[("TIFF", mode, (("compression", how),)) for mode in ("1", "L", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F")
      for how in ("raw", "tiff_lzw")],
    *[("JPEG", mode, ()) for mode in ("L", "RGB", "CMYK")],
    ("JPEG", "RGB", (("progressive", True),)),
    *[("WEBP", mode, (("lossless", lossless),)) for mode in ("RGB", "RGBA") for lossless in (False, True)],
    *[(format, "RGB", ()) for format in ("BMP", "PPM", "ICO", "TGA", "PCX", "SGI", "DDS", "EPS", "JPEG2000", "AVIF")],
    ("GIF", "P", ()), ("GIF", "L", ()), ("BMP", "P", ()), ("BMP", "1", ()), ("ICO", "RGBA", ()), ("MPO", "RGB", ()),
]  # fmt: skip
ANIMATED = ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"]
MODES = ["1", "L", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA", "RGBa", "La"]
MODES += ["I;16", "I;16B", "I;16L", "I;16N"]
ENTRIES = ["load_image", "is_video", "clip"]


@cache
def picture(mode: str, width: int = 40, height: int = 30) -> Image.Image:
    """Something of every colour."""
    levels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    levels[: height // 2] = [200, 30, 90]
    image = Image.fromarray(levels)
    if mode.startswith("I;16"):
        return Image.frombytes(mode, image.size, levels[..., :2].tobytes())
    if mode == "F":
        return Image.fromarray(levels[..., 0].astype(np.float32) / 255)
    if mode == "LAB":
        return Image.frombytes("LAB", image.size, levels.tobytes())
    if mode in ("RGBa", "La"):
        return image.convert("RGBA").convert(mode) if mode == "RGBa" else image.convert("LA").convert("La")
    if mode == "PA":
        return image.convert("P").convert("PA")
    if mode == "HSV":
        return image.convert("RGB").convert("HSV")
    return image.convert(mode)


@cache
def file(format: str, mode: str, options: tuple[tuple[str, Any], ...] = ()) -> bytes:
    """A whole file."""
    buffer = io.BytesIO()
    picture(mode).save(buffer, format, **dict(options))
    return buffer.getvalue()


@cache
def animation(format: str, frames: int, milliseconds: int) -> bytes:
    """A file of several pictures, each brighter than the one before."""
    first, *rest = [Image.new("RGB", (12, 8), (0, index * 255 // frames, 9)) for index in range(frames)]
    buffer = io.BytesIO()
    first.save(buffer, format, save_all=True, append_images=rest, duration=milliseconds)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A piece of a PNG with the right checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The pieces of a whole PNG."""
    found, place = [], len(SIGNATURE)
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        found.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += length + 12
    return found


BOMB = zlib.compress(bytes(20_000_000), 9)
EXIF_NUMBERS = [0, 1, 2, 3, 6, 8, 9, 255, 65535]


@st.composite
def exif(draw: st.DrawFn) -> bytes:
    """An EXIF block with a strange orientation, maybe damaged."""
    kind = draw(st.sampled_from(["number", "number", "long", "text", "noise"]))
    if kind == "noise":
        return draw(st.binary(max_size=60))
    number = draw(st.sampled_from(EXIF_NUMBERS))
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, number, 0)
    if kind == "long":
        entry = struct.pack("<HHII", 0x0112, 4, draw(st.sampled_from([1, 2, 2**32 - 1])), number)
    elif kind == "text":
        entry = struct.pack("<HHII", 0x0112, 2, 30, 26)
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", draw(st.sampled_from([1, 1, 1, 2, 65535]))) + entry + bytes(4)
    return block + b"sideways, or upside down perhaps\0"


@st.composite
def odd_chunks(draw: st.DrawFn) -> tuple[str, bytes]:
    """A PNG whose pieces are right each, but do not belong together."""
    pieces = chunks(file("PNG", draw(st.sampled_from(PNG_MODES))))
    kind = draw(st.sampled_from(["put in", "put in", "header", "out", "twice", "swapped"]))
    index = draw(st.integers(0, len(pieces) - 1))
    if kind == "header":
        width, height = draw(st.tuples(*[st.sampled_from([0, 1, 40, 30, 65535, 178956971, 2**31 - 1, 2**31])] * 2))
        depth, colour = draw(st.sampled_from([0, 1, 2, 4, 8, 16, 32])), draw(st.sampled_from([0, 1, 2, 3, 4, 6, 7]))
        rest = bytes(draw(st.tuples(*[st.sampled_from([0, 0, 0, 1, 255])] * 3)))
        pieces[0] = (b"IHDR", struct.pack(">IIBB", width, height, depth, colour) + rest)
        what = f"header {width}x{height} {depth} bits, colour {colour}, {rest!r}"
    elif kind == "put in":
        name = draw(st.sampled_from(
            [b"zTXt", b"iTXt", b"iCCP", b"tEXt", b"eXIf", b"tRNS", b"PLTE", b"acTL", b"fcTL", b"fdAT", b"gAMA",
            b"pHYs",
             b"cHRM", b"sRGB", b"sBIT", b"IDAT", b"IEND", b"IHDR", b"ABCD", b"abcd", b"\0\xff\0\xff"]
        ))  # fmt: skip
        content = draw(
            st.one_of(
                st.binary(max_size=40),
                st.just(b"a\0\0" + BOMB),
                st.just(b"a\0\1\0\0\0" + BOMB),
                st.just(b"\0" * 3_000_000),
                exif(),
                st.sampled_from([struct.pack(">II", frames, 0) for frames in (0, 1, 2, 10**6, 2**32 - 1)]),
                st.tuples(*[st.sampled_from([0, 1, 20, 40, 2**31, 2**32 - 1])] * 5).map(
                    lambda values: struct.pack(">IIIII", *values) + bytes(6)
                ),
            )
        )
        pieces.insert(index, (name, content))
        what = f"{name!r} of {len(content)} bytes put in at {index}"
    elif kind == "out":
        what = f"{pieces.pop(index)[0]!r} left out"
    elif kind == "twice":
        pieces.insert(index, pieces[index])
        what = f"{pieces[index][0]!r} twice"
    else:
        other = draw(st.integers(0, len(pieces) - 1))
        pieces[index], pieces[other] = pieces[other], pieces[index]
        what = f"pieces {index} and {other} swapped"
    return f"PNG: {what}", SIGNATURE + b"".join(chunk(*piece) for piece in pieces)


@st.composite
def odd_segments(draw: st.DrawFn) -> tuple[str, bytes]:
    """A JPEG or WebP with a strange EXIF block or colour profile."""
    format = draw(st.sampled_from(["JPEG", "JPEG", "WEBP", "PNG", "TIFF", "AVIF"]))
    block = draw(exif())
    buffer = io.BytesIO()
    options = {"exif": block} if draw(st.booleans()) else {"icc_profile": block}
    try:
        picture("RGB").save(buffer, format, **options)
    except Exception:  # what Pillow does not write it cannot have in a file
        return f"{format} without {options}", file(format, "RGB")
    return f"{format} with {options}", buffer.getvalue()


@st.composite
def giant(draw: st.DrawFn) -> tuple[str, bytes]:
    """A small file that says it is large."""
    width, height = draw(st.tuples(*[st.sampled_from([0, 1, 5000, 13000, 65500, 65535, *EXTREMES])] * 2))
    kind = draw(st.sampled_from(["BMP", "GIF", "PPM", "JPEG", "TIFF", "WEBP", "SGI"]))
    content = bytearray(file(kind, "P" if kind == "GIF" else "RGB"))
    if kind == "PPM":
        content = bytearray(b"P6 %d %d 255 abc" % (width, height))
    elif kind == "BMP":
        struct.pack_into("<II", content, 18, width % 2**32, height % 2**32)
    elif kind == "GIF":
        struct.pack_into("<HH", content, 6, width % 2**16, height % 2**16)
    elif kind == "SGI":
        struct.pack_into(">HH", content, 6, width % 2**16, height % 2**16)
    elif kind == "WEBP":
        struct.pack_into("<HH", content, 26, width % 2**14, height % 2**14)
    elif kind == "JPEG":
        struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, height % 2**16, width % 2**16)
    else:
        for tag, number in ((0x100, width), (0x101, height)):
            place = content.find(struct.pack("<HH", tag, 4))
            place = content.find(struct.pack("<HH", tag, 3)) if place < 0 else place
            if place >= 0:
                struct.pack_into("<HHII", content, place, tag, 4, 1, number % 2**32)
    return f"{kind} of {width}x{height}, it says", bytes(content)


@st.composite
def contents(draw: st.DrawFn) -> tuple[str, bytes]:
    """What was done to a picture's file, and the bytes."""
    kind = draw(st.sampled_from(["damaged"] * 6 + ["chunks"] * 3 + ["segments"] * 2 + ["giant", "animated", "sample"]))
    if kind == "chunks":
        return draw(odd_chunks())
    if kind == "segments":
        return draw(odd_segments())
    if kind == "giant":
        return draw(giant())
    if kind == "animated":
        format, frames = draw(st.sampled_from(ANIMATED)), draw(st.sampled_from([2, 3, 40]))
        milliseconds = draw(st.sampled_from([0, 1, 10, 100, 65535]))
        change, content = draw(maybe_damaged(animation(format, frames, milliseconds)))
        return f"{format} of {frames} pictures, {milliseconds} ms each: {change}", content
    if kind == "sample":
        name = draw(st.sampled_from(["grace_hopper.jpg", "coffee.png"]))
        change, content = draw(maybe_damaged((SAMPLES / name).read_bytes()))
        return f"{name}: {change}", content
    format, mode, options = draw(st.sampled_from(FILES))
    change, content = draw(maybe_damaged(file(format, mode, options)))
    return f"{format} {mode} {dict(options)}: {change}", content


class Pipe(io.RawIOBase):
    """A stream that cannot be read twice."""

    def __init__(self, content: bytes) -> None:
        self._left = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._left.readinto(buffer)


def given_as(way: str, content: bytes, folder: Path, name: str) -> Any:
    """The same bytes as a path, an open file, text, ..."""
    if way in ("path", "Path", "file object"):
        (folder / name).write_bytes(content)
        return {"path": str(folder / name), "Path": folder / name}.get(way)
    coded = base64.b64encode(content).decode()
    return {
        "bytes": content,
        "bytearray": bytearray(content),
        "memoryview": memoryview(content),
        "BytesIO": io.BytesIO(content),
        "pipe": Pipe(content),
        "base64": coded,
        "data URL": f"data:image/png;base64,{coded}",
        "broken data URL": f"data:image/png;base64{coded[:50]}",
    }[way]


WAYS = ["path", "Path", "bytes", "bytearray", "memoryview", "BytesIO", "pipe", "base64", "data URL", "broken data URL"]
NAMES = ["a.png", "a.jpg", "a.mp4", "a.gif", "a", "ä b.jpeg", "a.txt"]


def enter(entry: str, source: Any) -> Any:
    """Give a picture to the package by one of its entries."""
    if entry == "load_image":
        image = load_image(source)
        if image.mode != "RGB" or 0 in image.size:
            raise WrongAnswer(f"{image}")
        return image
    if entry == "is_video":
        return is_video(source)
    if entry == "clip":
        sampled = sample_frames(source, num_frames=3)
        times = sampled.timestamps
        if not len(sampled.frames) == len(times) == len(sampled.indices) <= 3 or times != sorted(times):
            raise WrongAnswer(f"{sampled}")
        return sampled
    result = default_pipeline()({"image": source} if entry == "pipeline" else {"video": source})
    check_scores(result)
    return result


def as_pillow_shows(content: bytes) -> Image.Image | None:
    """What Pillow alone makes of a picture without transparency and with 8-bit levels; `None` of others."""
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
        if image.mode not in ("1", "L", "P", "RGB", "CMYK", "YCbCr") or image.has_transparency_data:
            return None
        return ImageOps.exif_transpose(image).convert("RGB")
    except Exception:
        return None


@st.composite
def files(draw: st.DrawFn, entries: list[str]) -> Case:
    change, content = draw(contents())
    way, name, entry = draw(st.sampled_from(WAYS)), draw(st.sampled_from(NAMES)), draw(st.sampled_from(entries))

    def ask(folder: Path) -> None:
        answer = enter(entry, given_as(way, content, folder, name))
        if entry == "load_image" and (expected := as_pillow_shows(content)) is not None:
            if answer.size != expected.size or answer.tobytes() != expected.tobytes():
                raise WrongAnswer("other pixels than Pillow shows")

    return Case(f"{change}; as {way} to {entry}", ask, {"input": content}, (name,))


DTYPES = ["u1", "<u2", ">u2", "u4", "i1", "i2", "i8", "f2", "f4", "f8", "?", "c8", "S3", "U2", "O", "M8[s]", "i1,f4"]
SHAPES = [
    (), (0,), (7,), (0, 0), (1, 1), (1, 7), (7, 1), (8, 9), (1, 900), (8, 9, 0), (8, 9, 1), (8, 9, 2), (8, 9, 3),
    (8, 9, 4), (3, 8, 9), (4, 8, 9), (1, 8, 9), (2, 8, 9), (3, 3, 3), (4, 4, 4), (1, 1, 1), (0, 8, 9, 3), (2, 8, 9, 3),
    (2, 3, 8, 9), (1, 2, 3, 4, 5), (40, 1, 1, 3), (2, 0, 9, 3),
]  # fmt: skip
FILLS = [0, 1, 255, 0.5, -1, 2.5, float("nan"), float("inf"), 1e300]


@st.composite
def given_arrays(draw: st.DrawFn, entries: list[str]) -> Case:
    shape, dtype, fill = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(DTYPES)), draw(st.sampled_from(FILLS))
    array = np.zeros(shape, np.dtype(dtype))
    if draw(st.booleans()) and dtype in ("u1", "f4", "?", "<u2"):
        array = draw(arrays.arrays(dtype, (5, 6, 3)))
    else:
        with np.errstate(all="ignore"):
            try:
                array[...] = fill
            except (ValueError, TypeError, OverflowError):
                pass  # what does not hold this number holds zeros
    twist = draw(st.sampled_from(["", "", "strided", "read-only", "masked", "matrix", "tensor", "bfloat16", "meta",
                                  "grad", "sparse", "list"]))  # fmt: skip
    source: Any = array
    try:
        if twist == "strided":
            source = array[::-1]
        elif twist == "read-only":
            array.flags.writeable = False
        elif twist == "masked":
            source = np.ma.masked_array(array, mask=True)
        elif twist == "matrix":
            source = np.asmatrix(array)
        elif twist == "list":
            source = array.tolist()
        elif twist:
            source = torch.from_numpy(array.copy())
            source = {
                "tensor": lambda: source,
                "bfloat16": lambda: source.to(torch.bfloat16),
                "meta": lambda: source.to("meta"),
                "grad": lambda: source.requires_grad_(),
                "sparse": lambda: source.to_sparse(),
            }[twist]()
    except Exception:
        twist += " impossible"
    entry = draw(st.sampled_from(entries))
    return Case(f"array {shape} {dtype} {fill} {twist}; to {entry}", lambda folder: enter(entry, source))


@st.composite
def pil_images(draw: st.DrawFn, entries: list[str]) -> Case:
    mode, entry = draw(st.sampled_from(MODES)), draw(st.sampled_from(entries))
    size = draw(st.sampled_from([(40, 30), (1, 1), (1, 3000), (3000, 1), (0, 0), (0, 5)]))
    twist = draw(st.sampled_from(["", "", "transparency", "exif", "closed", "cut", "info"]))
    value = draw(st.sampled_from([0, 300, -1, b"", b"\0" * 300, (1, 2), (1, 2, 3), "x", None, 1.5]))
    block = draw(exif())

    def ask(folder: Path) -> None:
        image = picture(mode).resize(size) if 0 not in size and mode[:2] != "I;" else Image.new(mode, size)
        if twist == "transparency":
            image.info["transparency"] = value
        elif twist == "info":
            image.info.update(exif=value, icc_profile=value, duration=value)
        elif twist == "exif":
            image.info["exif"] = block
        elif twist == "closed":
            image.close()
        elif twist == "cut":
            image = Image.open(io.BytesIO(file("PNG", "RGB")[:200]))
        enter(entry, image)

    return Case(f"PIL {mode} {size} {twist} {value!r:.20}; to {entry}", ask)


ODD = [None, 0, 3.5, True, "", " ", "nothing.png", "a\0b", "\ud800.png", "x" * 5000, "/", "/dev/null", "http://", b"",
       "data:", "data:,", "file:///etc/hosts", {}, {"image": None}, {"path": "x"}, [], [[]], [None], object(), Image,
       io.StringIO("text"), iter([1]), range(3), {1, 2}, "A" * 40, "ä" * 40, ("a", "b"), float("nan")]  # fmt: skip


@st.composite
def odd_things(draw: st.DrawFn, entries: list[str]) -> Case:
    source, entry = draw(st.sampled_from(ODD)), draw(st.sampled_from(entries))
    names = (str(source)[:100],) if isinstance(source, str) and source.strip() else ()
    return Case(f"{source!r:.60}; to {entry}", lambda folder: enter(entry, source), names=names)


def warm() -> None:
    """Let Pillow import its formats once."""
    Image.init()


def cases(cheap: bool = False) -> st.SearchStrategy[Case]:
    """Pictures; `cheap` leaves the model out."""
    entries = ENTRIES if cheap else [*ENTRIES, "pipeline", "pipeline as a clip"]
    one = files(entries)
    return st.one_of(one, one, one, given_arrays(entries), pil_images(entries), odd_things(entries))
