"""Reading one picture, whichever way it comes."""

import base64
import io
import pathlib
import socket
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch
import transformers.image_utils
from PIL import Image, ImageCms

from emo_llama_hf.processing.image_loading import load_image
from emo_llama_hf.processing.media_limits import MediaLimits, media_limits
from emo_llama_hf.processing.media_source import UnreadableMediaError
from media import encoded

SAMPLES = pathlib.Path(__file__).parent / "samples"


@pytest.fixture
def serve():
    """Start a server, which may be asked, that answers every request with these bytes; gives its address."""
    servers = []

    def start(content: bytes, status: int = 200) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/picture"

    with media_limits(MediaLimits(allow_private=True)):
        yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)


def same(image: Image.Image, pixels: np.ndarray) -> bool:
    return image.mode == "RGB" and np.array_equal(np.asarray(image), pixels)


def test_one_picture_gives_the_same_pixels_whichever_way_it_comes(noise, tmp_path, serve):
    content = encoded(Image.fromarray(noise))
    path = tmp_path / "picture.jpg"  # wrong extension, good content
    path.write_bytes(content)
    read_once = io.BytesIO(content)
    read_once.seekable = lambda: False
    at_its_end = io.BytesIO(content)
    at_its_end.seek(0, io.SEEK_END)
    text = base64.b64encode(content).decode()
    ways = {
        "path": path,
        "text path": str(path),
        "URL": serve(content),
        "bytes": content,
        "bytearray": bytearray(content),
        "file": io.BytesIO(content),
        "file at its end": at_its_end,
        "pipe": read_once,
        "base64": text,
        "base64 in lines": base64.encodebytes(content).decode(),
        "data URL": "data:image/png;base64," + text,
        "PIL": Image.fromarray(noise),
        "numpy": noise,
        "numpy channels first": noise.transpose(2, 0, 1),
        "torch": torch.tensor(noise).permute(2, 0, 1),
        "torch channels last": torch.tensor(noise),
        "float": noise / 255,
        "float32": torch.tensor(noise).permute(2, 0, 1) / 255,
        "uint16": noise.astype(np.uint16) * 257,
        "big-endian uint16": (noise.astype(np.uint16) * 257).astype(">u2"),
        "torch uint16": torch.tensor(noise.astype(np.uint16) * 257),
    }
    for way, image in ways.items():
        assert same(load_image(image), noise), way
    with path.open("rb") as file:
        assert same(load_image(file), noise)
        assert not file.closed


@pytest.mark.parametrize("name", ["astronaut.png", "grace_hopper.jpg", "chelsea.png", "coffee.png"])
def test_agrees_with_transformers_on_photos(name):
    expected = transformers.image_utils.load_image(str(SAMPLES / name))
    assert same(load_image(SAMPLES / name), np.asarray(expected))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(noise, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(noise), exif=exif)
    expected = transformers.image_utils.load_image(Image.open(io.BytesIO(content)))
    assert (expected.size == (17, 13)) == (orientation < 5)
    assert same(load_image(content), np.asarray(expected))
    assert same(load_image(Image.open(io.BytesIO(content))), np.asarray(expected))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"])
def test_opaque_modes_agree_with_transformers(noise, mode):
    image = Image.fromarray(noise).convert(mode)
    assert same(load_image(image), np.asarray(transformers.image_utils.load_image(image)))


def test_lab_is_converted_through_its_colour_profile(noise):
    smooth = Image.fromarray(noise).resize((8, 8)).resize((32, 32))
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(smooth, srgb, lab, outputMode="LAB")
    difference = abs(np.asarray(load_image(converted), int) - np.asarray(smooth, int))
    assert difference.mean() < 1 and difference.max() <= 12  # 8-bit LAB is coarser than RGB in saturated colours


@pytest.mark.parametrize("modes", [["LA"], ["RGBA"], ["RGBA", "RGBa"], ["La"]])
def test_alpha_is_laid_on_white(modes):
    image = Image.fromarray(np.array([[[100, 0], [100, 128], [100, 255]]], np.uint8), "LA")
    for mode in modes:
        image = image.convert(mode)
    levels = np.asarray(load_image(image))[0, :, 0]
    assert np.abs(levels - [255, 255 - 155 * 128 / 255, 100]).max() <= 1


def test_palette_with_alpha_is_laid_on_white():
    image = Image.new("PA", (2, 1), (1, 255))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((0, 0), (1, 0))
    assert np.asarray(load_image(image)).tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_transparent_palette_grey_and_rgb_are_laid_on_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    for content in (encoded(palette, transparency=0), encoded(palette, "GIF", transparency=0)):
        assert np.asarray(load_image(content)).tolist() == [[[255, 255, 255], [40, 50, 60]]]
    grey = Image.fromarray(np.array([[7, 9]], np.uint8))
    assert np.asarray(load_image(encoded(grey, transparency=7)))[0, :, 0].tolist() == [255, 9]
    colour = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert np.asarray(load_image(encoded(colour, transparency=(1, 2, 3)))).tolist() == [[[255] * 3, [4, 5, 6]]]


def test_rgba_arrays_are_laid_on_white():
    pixels = np.zeros((2, 5, 4), np.uint8)
    pixels[:, 1:, 3] = 255
    for array in (pixels, torch.tensor(pixels).permute(2, 0, 1)):
        assert np.asarray(load_image(array))[0, :, 0].tolist() == [255, 0, 0, 0, 0]


def test_16_bit_levels_are_scaled_not_clipped():
    levels = np.array([[0, 255, 256, 1000, 32768, 65535]], np.uint16)
    expected = [0, 0, 1, 3, 128, 255]
    grey = Image.fromarray(levels)
    pictures = [levels, grey, encoded(grey), encoded(grey, "TIFF"), Image.fromarray(levels.astype(np.int32))]
    for picture in pictures:
        assert np.asarray(load_image(picture))[0, :, 0].tolist() == expected


def test_float_and_bool_levels():
    assert np.asarray(load_image(np.array([[0.0, 0.5, 1.0]])))[0, :, 0].tolist() == [0, 128, 255]
    assert np.asarray(load_image(Image.fromarray(np.array([[0, 1]], np.float32))))[0, :, 0].tolist() == [0, 255]
    assert np.asarray(load_image(torch.tensor([[0, 1]], dtype=torch.bfloat16)))[0, :, 0].tolist() == [0, 255]
    assert np.asarray(load_image(np.array([[False, True]])))[0, :, 0].tolist() == [0, 255]
    assert load_image(torch.ones(1, 2, 2, requires_grad=True)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (1, 1), (1, 7, 3), (3, 7, 1), (4, 4, 4)])
def test_numpy_channels_are_last_where_both_ends_could_be(shape):
    assert load_image(np.zeros(shape, np.uint8)).size == (shape[1], shape[0])


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 1, 1), (1, 1), (1, 7, 3), (3, 7, 1)])
def test_torch_channels_are_first_where_both_ends_could_be(shape):
    assert load_image(torch.zeros(shape)).size == (shape[-1], shape[-2])


def test_the_callers_picture_is_left_as_it_is(noise):
    image = Image.fromarray(noise)
    loaded = load_image(image)
    loaded.putpixel((0, 0), (1, 2, 3))
    assert same(image, noise)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((5, 5, 2), np.uint8), "shape"),
        (np.zeros((1, 2, 4, 4), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (np.array([[np.nan]]), "NaN"),
        (np.array([[np.inf]]), "infinite"),
        (torch.tensor([[-0.1]]), "floating-point"),
        (np.array([[255.0]]), "floating-point"),
        (np.array([[3]], np.int64), "int64"),
        (np.array([[1j]]), "complex"),
        (Image.new("RGB", (0, 3)), "no pixels"),
        (Image.fromarray(np.array([[-1]], np.int32)), "mode I"),
    ],
)
def test_bad_arrays_are_named(array, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_image(array)
    assert "`image`" in str(caught.value)


def test_paths_that_cannot_be_opened(tmp_path):
    for path in (tmp_path / "missing.png", str(tmp_path / "missing.png"), "no/such.jpg", "", "a\0b", "x" * 5000 + "."):
        with pytest.raises(FileNotFoundError, match="`image`"):
            load_image(path)
    with pytest.raises(IsADirectoryError, match=r"`image`.*directory"):
        load_image(tmp_path)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_truncated_pictures(noise, format):
    content = encoded(Image.fromarray(noise), format)
    with pytest.raises(UnreadableMediaError, match="`image`"):
        load_image(content[: len(content) * 2 // 3])


@pytest.mark.parametrize(
    "content", [b"", b"not a picture", "data:image/png;base64,A", "data:image/png", "data:,hello", "QUJD" * 20]
)
def test_what_is_no_picture(content):
    with pytest.raises(UnreadableMediaError, match="`image`"):
        load_image(content)


def test_zero_byte_file(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(UnreadableMediaError, match="`image` is empty"):
        load_image(tmp_path / "empty.png")


def test_urls_that_give_no_picture(serve):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/a.png"
        for url in (closed, serve(b"gone", status=404), "http://", "https://no.such.host.invalid/a.png"):
            with pytest.raises(UnreadableMediaError, match=r"`image`.*could not be fetched"):
                load_image(url)
    with pytest.raises(UnreadableMediaError, match="not a picture"):
        load_image(serve(b"<html>"))


@pytest.mark.parametrize("limit", [200, 100])  # beyond the limit, where Pillow warns, and beyond twice the limit
def test_decompression_bomb_is_an_error(noise, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UnreadableMediaError, match=r"`image`.*MAX_IMAGE_PIXELS"):
            load_image(encoded(Image.fromarray(noise)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert same(load_image(encoded(Image.fromarray(noise))), noise)


@pytest.mark.parametrize("thing", [None, 3, {"path": "a.png"}, io.StringIO("text")])
def test_other_kinds_are_type_errors(thing):
    with pytest.raises(TypeError, match="`image`"):
        load_image(thing)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), "S3"),
        np.zeros((4, 4), "U2"),
        np.zeros((4, 4), "i1,f4"),
        np.full((4, 4), None),
        np.zeros((4, 4), complex),
        torch.zeros(3, 4, 4).to_sparse(),
        torch.zeros(3, 4, 4, device="meta"),
    ],
    ids=str,
)
def test_arrays_without_levels_are_refused_by_name(array):
    with pytest.raises(ValueError, match=r"^`image` (has levels of type|is a tensor that numpy cannot hold)"):
        load_image(array)


@pytest.mark.parametrize(("mode", "value"), [("RGB", (1, 2)), ("RGB", "x"), ("P", "x")])
def test_a_transparency_that_makes_no_sense_is_refused_by_name(mode, value):
    picture = Image.new(mode, (4, 4))
    picture.info["transparency"] = value
    with pytest.raises(ValueError, match="`image` has a transparency"):
        load_image(picture)
