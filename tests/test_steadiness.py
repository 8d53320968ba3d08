"""One pipeline for many: threads, batches and orders change no answer, and nothing is kept of what was answered."""

import gc
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from transformers import TextIteratorStreamer, pipeline

from emotion_samples import drawn_face
from media import clip, encoded, numbered

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="module")
def pipe(tiny):
    return pipeline("emotion-chat", model=str(tiny), num_frames=2, max_new_tokens=6, do_sample=False)


@pytest.fixture(scope="module")
def photo():
    return Image.open(SAMPLES / "astronaut.png").convert("RGB").crop((140, 30, 310, 230))


@pytest.fixture(scope="module")
def inputs(photo):
    """Photos, clips and chats whose questions are of many lengths; with and without a face."""
    shown = {"type": "image", "image": photo}
    chat = [
        {"role": "user", "content": [shown, {"type": "text", "text": "Who?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A woman."}]},
        {"role": "user", "content": [{"type": "text", "text": "How does she feel about all of this, and why so?"}]},
    ]
    return [
        {"image": photo},
        {"image": drawn_face("sad"), "question": "Is this person sad, or does it only seem so to somebody like me?"},
        {"image": encoded(photo), "question": "Why?", "attributes": {"gender": "female"}},
        {"video": clip(frames=4)},
        {"video": [photo, Image.fromarray(numbered(3))], "question": "Does anything change in the course of this?"},
        chat,
    ]


def same(result: dict, expected: dict) -> bool:
    assert {**result, "scores": None, "faces": None} == {**expected, "scores": None, "faces": None}
    assert result["scores"] == pytest.approx(expected["scores"], abs=1e-4)
    assert flat(result["faces"]) == pytest.approx(flat(expected["faces"]), abs=1e-3)
    return True


def flat(value: object) -> list:
    """All that a nested value holds, as numbers."""
    if isinstance(value, dict):
        return [item for key in value for item in flat(value[key])]
    if isinstance(value, list):
        return [item for part in value for item in flat(part)]
    return [value if isinstance(value, float) else hash(value)]


def test_eight_threads_get_the_answers_of_one(pipe, inputs):
    expected = [pipe(one) for one in inputs]

    def ask(index: int) -> tuple[int, dict, str]:
        streamer = TextIteratorStreamer(pipe.processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
        result = pipe(inputs[index], streamer=streamer)
        return index, result, "".join(streamer)

    order = [index for _ in range(4) for index in range(len(inputs))]
    random.Random(0).shuffle(order)
    with ThreadPoolExecutor(8) as pool:
        for index, result, text in pool.map(ask, order):
            assert same(result, expected[index])
            assert text.strip() == result["generated_text"]


def test_threads_that_pad_do_not_change_what_others_read(pipe):
    processor, texts = pipe.processor, ["Why?", "How does she feel about all of this, and why so?"]
    expected = processor.tokenize(texts)["input_ids"]

    def ask(number: int) -> list[list[int]]:
        return processor.tokenize(texts, padding=bool(number % 4))["input_ids"]

    with ThreadPoolExecutor(8) as pool:
        assert all(ids == expected for ids in list(pool.map(ask, range(4000)))[::4])


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_batches_and_orders_change_nothing(pipe, inputs, batch_size):
    many = inputs * 3
    expected = [pipe(one) for one in inputs] * 3
    order = list(range(len(many)))
    random.Random(batch_size).shuffle(order)
    results = pipe([many[index] for index in order], batch_size=batch_size)
    for index, result in zip(order, results, strict=True):
        assert same(result, expected[index])


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("image", 2000), ("video", 200)])
def test_memory_and_open_files_stay_flat(pipe, photo, tmp_path, kind, count):
    def sources():
        for number in range(count):
            path = tmp_path / f"{number}"
            shown = photo.rotate(number % 7)
            if kind == "image":
                path.write_bytes(encoded(shown))
            else:
                path.write_bytes(clip(frames=4))
            yield {kind: str(path)}
            path.unlink()

    def used() -> tuple[int, int]:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))

    seen = []
    for number, result in enumerate(pipe(sources(), max_new_tokens=1)):
        assert "error" not in result
        if (number + 1) % (count // 10) == 0:
            seen.append(used())
    memory, files = zip(*seen[1:], strict=True)  # the first tenth warms up
    assert max(memory) - memory[0] < 32 * 2**20
    assert max(files) == files[0]
