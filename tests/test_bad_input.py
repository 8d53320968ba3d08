"""What users get wrong, through the pipeline: an error that names it, and the other inputs' results."""

import io
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import pipeline

from emo_llama_hf.processing.media_limits import MediaLimits, media_limits
from media import clip, encoded, numbered, sound

SAMPLES = Path(__file__).parent / "samples"
ASTRONAUT = str(SAMPLES / "astronaut.png")
PICTURE = Image.fromarray(numbered(100))
CUT_OFF = clip("matroska", frames=30, noise=True)


@pytest.fixture(scope="module")
def pipe(tiny):
    return pipeline("emotion-chat", model=str(tiny), num_frames=2, max_new_tokens=2, do_sample=False)


@pytest.fixture(scope="module")
def unreachable():
    """An address at which nobody listens any more."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.server_close()
    return f"http://127.0.0.1:{server.server_port}/photo.png"


@pytest.fixture(scope="module")
def not_found():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/photo.png"
    server.shutdown()
    server.server_close()


def assert_refused(pipe, source, message, kind=(OSError, ValueError)):
    """Alone, the input is an error with this message; in a batch, the others' results stay as they are."""
    with pytest.raises(kind, match=message):
        pipe(source)
    before, bad, after = pipe([PICTURE, source, {"image": PICTURE}], batch_size=3)
    assert "scores" in before and "scores" in after
    assert set(bad) == {"error"}
    with pytest.raises(kind):
        pipe([PICTURE, source], on_error="raise")


def bomb(width, height):
    """A PNG of a hundred bytes that says it has so many pixels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


# -- files that cannot be read


@pytest.mark.parametrize("name", ["empty.png", "empty.jpg", "empty.mp4", "empty"])
def test_zero_bytes(pipe, tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert_refused(pipe, str(tmp_path / name), r"`(image|video)` is empty \(0 bytes\)")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_pictures(pipe, tmp_path, format, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    content = encoded(noise, format)
    path = tmp_path / f"cut.{format.lower()}"
    path.write_bytes(content[: int(len(content) * share)])
    assert_refused(pipe, {"image": str(path)}, r"`image` is (a damaged or cut-off|not a) picture")
    assert_refused(pipe, str(path), r"`(image|video)`")


@pytest.mark.parametrize(("format", "name"), [("JPEG", "photo.png"), ("PNG", "photo.mp4"), ("PNG", "photo")])
def test_an_extension_may_lie_about_a_picture(pipe, tmp_path, format, name):
    (tmp_path / name).write_bytes(encoded(PICTURE, format))
    result = pipe(str(tmp_path / name))
    assert result["num_frames"] == 1 and result["faces"] == []


def test_an_extension_may_lie_about_a_clip(pipe, tmp_path):
    for name in ("clip.png", "clip.txt", "clip"):
        (tmp_path / name).write_bytes(clip(frames=6))
        assert pipe({"video": str(tmp_path / name)})["num_frames"] == 2


def test_a_text_is_neither(pipe, tmp_path):
    for name in ("notes.png", "notes.mp4", "notes.txt"):
        (tmp_path / name).write_text("This is no picture. " * 50)
        assert_refused(pipe, str(tmp_path / name), r"`(image|video)`")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_with_more_pixels_than_allowed(pipe):
    side = int(Image.MAX_IMAGE_PIXELS**0.5) + 1
    for content in (bomb(side, side), bomb(60_000, 60_000)):  # Pillow itself warns of the one and refuses the other
        assert_refused(pipe, content, "MAX_IMAGE_PIXELS")
        assert_refused(pipe, {"image": content}, "`image` has more pixels than PIL.Image.MAX_IMAGE_PIXELS")


def test_a_lower_limit_of_pixels_is_respected(pipe, monkeypatch):
    content = encoded(PICTURE)
    assert "scores" in pipe(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="MAX_IMAGE_PIXELS"):
        pipe(content)


@pytest.mark.parametrize("name", ["missing.png", "missing.mp4", "no/such/folder/photo.jpg", "missing"])
def test_missing_files(pipe, name):
    assert_refused(pipe, name, f"`(image|video)`: '{name}'", FileNotFoundError)


def test_a_directory(pipe, tmp_path):
    assert_refused(pipe, str(tmp_path), "is a directory", IsADirectoryError)
    assert_refused(pipe, tmp_path, "is a directory", IsADirectoryError)


def test_unreachable_addresses(pipe, unreachable, not_found):
    for url in (unreachable, not_found):
        assert_refused(pipe, url, r"`(image|video)`: http://127.0.0.1:\d+/photo.png could not be fetched", ValueError)


@pytest.mark.parametrize("source", [None, 7, 1.5, object(), {"image": None}, {"video": 3}, io.StringIO("text")])
def test_things_that_are_no_picture(pipe, source):
    assert_refused(pipe, source, r"`(image|video|inputs)`", (TypeError, ValueError))


# -- clips


@pytest.mark.parametrize(
    "content",
    [
        clip(frames=12)[:1000],
        CUT_OFF[: len(CUT_OFF) // 2],
        b"RIFF" + struct.pack("<I", 4) + b"AVI ",
        sound(),
        b"\0" * 5000,
        np.random.default_rng(0).bytes(5000),
    ],
    ids=["mp4 without index", "cut off", "no frames", "sound", "zeros", "noise"],
)
def test_corrupt_clips(pipe, tmp_path, content):
    (tmp_path / "clip.mp4").write_bytes(content)
    assert_refused(pipe, str(tmp_path / "clip.mp4"), "`video`", ValueError)
    assert_refused(pipe, {"video": content}, "`video`", ValueError)


@pytest.mark.parametrize("frames", [[], np.zeros((0, 8, 8, 3), np.uint8)])
def test_clips_of_no_frames(pipe, frames):
    assert_refused(pipe, {"video": frames}, "`video` has no frames", ValueError)


# -- pictures that are unusual, but fine


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (200, 1), (3, 3)])
def test_the_smallest_pictures(pipe, size):
    for source in (encoded(Image.new("RGB", size, "grey")), np.full((size[1], size[0], 3), 90, np.uint8)):
        result = pipe(source)
        assert result["faces"] == [] and sum(result["scores"].values()) == pytest.approx(1, abs=1e-5)


def test_the_smallest_clip(pipe):
    result = pipe({"video": [np.zeros((1, 1, 3), np.uint8)]})
    assert result["num_frames"] == len(result["faces"]) == 1


@pytest.mark.parametrize(
    "convert",
    [
        lambda image: image.convert("L"),
        lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257),
        lambda image: image.convert("CMYK"),
        lambda image: image.convert("RGBA"),
        lambda image: image.convert("LA"),
        lambda image: image.quantize(16),
        lambda image: image.convert("1"),
    ],
    ids=["grey", "16 bit", "CMYK", "alpha", "grey alpha", "palette", "bilevel"],
)
def test_every_kind_of_pixel(pipe, convert):
    grey = Image.fromarray(np.repeat(np.repeat(np.eye(4, dtype=np.uint8) * 255, 16, 0), 16, 1)).convert("RGB")
    expected = pipe(grey)["scores"]
    image = convert(grey)
    file = encoded(image, "TIFF" if image.mode == "CMYK" else "PNG")
    for source in (image, file):
        assert pipe(source)["scores"] == pytest.approx(expected, abs=1e-4)


def test_nan_pixels(pipe):
    array = np.full((32, 32, 3), 0.5)
    assert "scores" in pipe(array)
    array[3, 4, 1] = np.nan
    assert_refused(pipe, array, "`image` holds NaN or infinite values", ValueError)
    assert_refused(pipe, torch.from_numpy(array), "`image` holds NaN or infinite values", ValueError)
    assert_refused(pipe, {"video": np.stack([array] * 3)}, r"`video\[\d\]` holds NaN", ValueError)
    inputs = pipe.processor(text="USER: <image> Why? ASSISTANT:", images=ASTRONAUT)
    for name in ("pixel_values", "face_pixel_values"):
        broken = {**inputs, name: inputs[name].clone()}
        broken[name][0, 0, 0, 0] = torch.nan
        with pytest.raises((ValueError, RuntimeError), match=f"`{name}` has NaN or infinite pixels"):
            pipe.model(**broken)


def test_a_photo_with_a_thumbnail_or_pages_is_no_clip(pipe):
    for format in ("MPO", "TIFF"):
        content = encoded(PICTURE, format, save_all=True, append_images=[Image.new("RGB", (8, 8))])
        assert Image.open(io.BytesIO(content)).n_frames == 2
        assert isinstance(pipe.annotate(content, pipe(content)), Image.Image)


# -- questions and labels


def long_chat(turns):
    chat = [{"role": "user", "content": [{"type": "image", "image": PICTURE}, {"type": "text", "text": "Mood?"}]}]
    return chat + [{"role": role, "content": "Why?"} for _ in range(turns) for role in ("assistant", "user")]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ({"image": PICTURE, "question": "why " * 250_000}, "question"),
        (long_chat(1000), "inputs"),
        ([{"role": "system", "content": "x" * 1_000_000}, *long_chat(0)], "inputs"),
        ({"image": PICTURE, "attributes": {"age": "old" * 300_000}}, "attributes"),
    ],
    ids=["question", "turns", "system", "attributes"],
)
def test_texts_of_any_length_cost_nothing(pipe, source, name, monkeypatch):
    message = f"`{name}` has [0-9,]+ characters, but `MediaLimits.max_characters` allows 20,000"
    assert_refused(pipe, source, message, ValueError)
    monkeypatch.setattr(pipe.model, "forward", None)
    with pytest.raises(ValueError, match=message):
        pipe(source, on_error="raise")


def test_a_call_of_the_processor_has_the_same_limit(pipe):
    for given in ({"text": "x" * 20_001}, {"text": "<image> Why?", "attributes": {"age": "x" * 20_001}}):
        with pytest.raises(ValueError, match=f"`{list(given)[-1]}` has 20,0[0-9]+ characters"):
            pipe.processor(**given, images=ASTRONAUT if "<image>" in given["text"] else None)


def test_label_sets_of_any_size_cost_nothing(pipe):
    sets = {"labels": [f"label {i}" for i in range(500)], r"labels\[1\]": ["happy", "sad " * 1250]}
    for name, labels in sets.items():
        for inputs in (PICTURE, [PICTURE]):
            with pytest.raises(
                ValueError, match=rf"`{name}` has [0-9,]+ (entries|characters), but `MediaLimits\.max_"
            ):
                pipe(inputs, labels=labels)


def test_limits_can_be_others(pipe):
    many, tight = [f"{number}" for number in range(101)], MediaLimits(max_labels=2, max_characters=300)
    assert len(pipe(PICTURE, labels=many, limits=MediaLimits(max_labels=101))["scores"]) == 101
    other = pipeline("emotion-chat", model=pipe.model, processor=pipe.processor, max_new_tokens=2, limits=tight)
    with media_limits(tight):
        assert "scores" in pipe(PICTURE, labels=["happy", "sad"])
        for asked in (pipe, other):
            with pytest.raises(ValueError, match=r"`labels` has 3 entries, but `MediaLimits\.max_labels` allows 2"):
                asked(PICTURE, labels=["happy", "sad", "calm"])
    with pytest.raises(ValueError, match="`question` has 301 characters"):
        other(PICTURE, question="x" * 301, labels=["happy", "sad"])
    told = {"age": "x" * 400}
    with pytest.raises(ValueError, match=r"`attributes` has 4\d\d characters"):
        other(PICTURE, question="?", labels=["a", "b"], attributes=told)
    loose = MediaLimits(max_characters=500)
    assert "scores" in other(PICTURE, question="?", labels=["a", "b"], attributes=told, limits=loose)


@pytest.mark.parametrize("question", ["", " ", "\n\t"])
def test_empty_questions(pipe, question):
    with pytest.raises(ValueError, match="`question`"):
        pipe(ASTRONAUT, question=question)
    assert_refused(pipe, {"image": ASTRONAUT, "question": question}, "`question`", ValueError)
    content = [{"type": "image", "image": ASTRONAUT}, {"type": "text", "text": question}]
    assert_refused(pipe, [{"role": "user", "content": content}], "no question", ValueError)


def test_a_very_long_question(pipe):
    words = [f"word{i}" for i in range(1500)]
    question = " ".join(words)[:10_000]
    result = pipe(PICTURE, question=question)
    assert "scores" in result
    other = pipe(PICTURE, question="x" + question[1:])  # what the Q-Former does not see, the language model does
    assert other["scores"] == pytest.approx(result["scores"], abs=1e-4)


@pytest.mark.parametrize("labels", [[], ["happy", "happy"], ["happy", " happy "], ["happy", " "], "happy", [None]])
def test_wrong_labels(pipe, labels):
    for inputs in (ASTRONAUT, [ASTRONAUT]):
        with pytest.raises(ValueError, match="`labels`"):
            pipe(inputs, labels=labels)


@pytest.mark.parametrize(("count", "given"), [(2, 1), (0, 1), (1, 2), (1, 0)])
def test_more_or_fewer_placeholders_than_visuals(pipe, count, given):
    with pytest.raises(ValueError, match=r"`text` has \[\d\] <image> placeholders, but `images` has"):
        pipe.processor(text="USER: " + "<image>" * count + " Why?", images=[ASTRONAUT] * given or None)
    inputs = pipe.processor(text="USER: " + "<image>" * 2 + " Why?", images=[ASTRONAUT] * 2)
    tokens = inputs["input_ids"][inputs["input_ids"] != pipe.processor.image_token_id][None]
    with pytest.raises((ValueError, RuntimeError), match="`input_ids` has 0 visual placeholders"):
        pipe.model(**{**inputs, "input_ids": tokens, "attention_mask": torch.ones_like(tokens)})


@pytest.mark.parametrize("sampling", [{"num_frames": 0}, {"num_frames": 1.5}, {"fps": 0}, {"fps": -1}])
def test_wrong_sampling(pipe, sampling):
    [(name, _)] = sampling.items()
    with pytest.raises(ValueError, match=f"`{name}`"):
        pipe({"video": clip(frames=5)}, **sampling)
