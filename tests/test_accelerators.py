"""Everything on an accelerator: the CPU's results, no tensor of another device, and how often Python waits for it.

Each test runs on the stand-in, and with `-m gpu` on a GPU.
"""

import copy
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import TextIteratorStreamer, pipeline

import stand_in_accelerator
import training_run
from emo_llama_hf.closed_set.label_scores import label_scores
from emo_llama_hf.data import FaceCache, Records, prepare
from emo_llama_hf.data.face_cache import default_cache
from emo_llama_hf.evaluation import EmoLlamaPredictor, evaluate
from emo_llama_hf.load_model import load_model
from emo_llama_hf.processing.mtcnn import pyramid_scales
from emotion_samples import EMOTIONS, face_folders
from evaluation_run import evaluation_samples
from media import clip
from test_modeling import make_batch, make_model, make_sample

SAMPLES = Path(__file__).parent / "samples"
if not torch.cuda.is_available():  # here, since autograd knows only devices that were there when it first ran
    stand_in_accelerator.set_up()
no_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
GREEDY = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}


class Accelerator(NamedTuple):
    """Where the tests run, how near to the CPU its results are, and what counts synchronizations there."""

    name: str
    tolerance: float
    synchronizations: Callable[[], AbstractContextManager[list[str]]]


@contextmanager
def cuda_synchronizations() -> Iterator[list[str]]:
    """`file:line` of each operation that made Python wait for CUDA."""
    places: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield places
        finally:
            torch.cuda.set_sync_debug_mode("default")
    places += [f"{one.filename}:{one.lineno}" for one in caught if "called a synchronizing" in str(one.message)]


@pytest.fixture(
    scope="module",
    params=[
        "stand-in",
        pytest.param("cuda", marks=[pytest.mark.gpu, no_cuda]),
    ],
)
def accelerator(request) -> Accelerator:
    if request.param == "cuda":
        return Accelerator("cuda:0", 1e-3, cuda_synchronizations)
    if torch.cuda.is_available():
        pytest.skip("torch has one accelerator besides the CPU, and there is a GPU")
    return Accelerator(f"{stand_in_accelerator.NAME}:0", 1e-5, stand_in_accelerator.synchronizations)


@pytest.fixture(scope="module")
def close(accelerator):
    return partial(torch.testing.assert_close, atol=accelerator.tolerance, rtol=accelerator.tolerance)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def moved(model, accelerator):
    return copy.deepcopy(model).to(accelerator.name)


@pytest.fixture(scope="module")
def batches(model):
    """A photo; two clips of different length; text; a photo and a clip in one sample."""
    photo, short, long, text, both = (
        make_sample(model, frames, seed) for seed, frames in enumerate(([1], [2], [4], [], [1, 2]))
    )
    return {"photo": photo, "clips": make_batch([short, long], "left"), "text": text, "both": both}


@pytest.fixture(scope="module")
def to(accelerator):
    return lambda batch: {name: value.to(accelerator.name) for name, value in batch.items()}


@pytest.fixture(scope="module")
def pipes(tiny, accelerator):
    """`emotion-chat` on the CPU and on the accelerator."""
    settings = {"model": str(tiny), "num_frames": 2, "max_new_tokens": 3, "do_sample": False}
    return [pipeline("emotion-chat", device=device, **settings) for device in ("cpu", accelerator.name)]


# -- the CPU's results


@pytest.mark.parametrize("name", ["photo", "clips", "text", "both"])
@torch.no_grad()
def test_forward(model, moved, batches, to, close, name):
    expected, found = model(**batches[name]), moved(**to(batches[name]))
    close(found.logits.cpu(), expected.logits)
    if name != "text":
        close(found.image_hidden_states.cpu(), expected.image_hidden_states)


@pytest.mark.parametrize(
    "settings",
    [{}, {"num_beams": 3}, {"num_beams": 2, "num_return_sequences": 2}, {"cache_implementation": "static"}],
    ids=["greedy", "beams", "sequences", "static"],
)
def test_generate(model, moved, batches, to, settings):
    settings = {**GREEDY, **settings, "disable_compile": True}
    expected = model.generate(**batches["clips"], **settings)
    assert torch.equal(moved.generate(**to(batches["clips"]), **settings).cpu(), expected)


def test_a_streamer_gets_the_tokens(pipes):
    heard = []
    for pipe in pipes:
        streamer = TextIteratorStreamer(pipe.processor.tokenizer, skip_prompt=True, timeout=30)
        pipe(SAMPLES / "coffee.png", streamer=streamer)
        heard.append("".join(streamer))
    assert heard[0] == heard[1] != ""


def test_pipeline(pipes, accelerator):
    picture = np.asarray(Image.open(SAMPLES / "astronaut.png").convert("RGB"))[:192, 128:320]
    video = clip(frames=[picture[:, 4 * i : 4 * i + 128] for i in range(4)], fps=2)
    inputs = [{"image": Image.fromarray(picture)}, {"video": video, "question": "How does the mood change?"}]
    for source in inputs:
        expected, found = (pipe(source, return_perceived=True) for pipe in pipes)
        assert found["faces"] and expected["faces"]
        assert numbers_apart(found)[0] == numbers_apart(expected)[0]
        # A pixel is where a box is; a network's outputs are near.
        assert numbers_apart(found)[1] == pytest.approx(
            numbers_apart(expected)[1], rel=1e-5, abs=accelerator.tolerance
        )


def numbers_apart(result) -> tuple:
    """A result without its numbers, and these."""
    numbers: list[float] = []

    def taken(value):
        if isinstance(value, dict):
            return {name: taken(part) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [taken(part) for part in value]
        return numbers.append(value) if isinstance(value, float) else value

    return taken(result), numbers


def test_analyze_faces(model, moved, batches, to, close):
    crops = {"face_pixel_values": batches["both"]["face_pixel_values"]}
    expected, found = model.analyze_faces(**crops), moved.analyze_faces(**to(crops))
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        close(found[name].cpu(), values)


def test_evaluate(tiny, accelerator, tmp_path, forgotten_device):
    results = []
    for device in ("cpu", accelerator.name):
        network, processor = load_model(str(tiny), device=device)
        predictor = EmoLlamaPredictor(network, processor, EMOTIONS, device, max_new_tokens=3)
        folder = tmp_path / device
        forgotten_device()
        evaluate(predictor, evaluation_samples()[-3:], processor, folder, batch_size=2, progress=False)
        lines = [line for file in folder.glob("results-*.jsonl") for line in file.read_text().splitlines()]
        results.append(sorted(map(json.loads, lines), key=lambda entry: entry["id"]))
    assert len(results[0]) == 3
    for expected, found in zip(*results, strict=True):
        assert {**found, "scores": None} == {**expected, "scores": None}
        assert found["scores"] == pytest.approx(expected["scores"], abs=accelerator.tolerance)


def test_prepare(tiny, accelerator, tmp_path):
    caches = []
    for device in ("cpu", accelerator.name):
        data = face_folders(tmp_path / device / "data", 1)
        Image.open(SAMPLES / "grace_hopper.jpg").resize((256, 256)).save(data / EMOTIONS[0] / "face.png")
        network, processor = load_model(str(tiny), device=device)
        processor.faces.detector.to(device)
        prepare(Records(data), processor, network, progress=False)
        cache = FaceCache(default_cache(data))
        record = next(record for record in Records(data) if record.id.endswith("face.png"))
        caches.append((cache.visual(record, processor), cache.attributes(record)))
    (expected, known), (found, perceived) = caches
    assert expected.has_face and found.faces[0].box == pytest.approx(expected.faces[0].box, rel=1e-4)
    assert numbers_apart(perceived)[0] == numbers_apart(known)[0]
    assert numbers_apart(perceived)[1] == pytest.approx(numbers_apart(known)[1], abs=accelerator.tolerance)


# -- training


def test_gradients(model, moved, batches, to, close):
    ids = batches["clips"]["input_ids"]
    batch = {**batches["clips"], "labels": ids.masked_fill(ids == model.config.image_token_id, -100)}
    losses = [network(**inputs).loss for network, inputs in ((model, batch), (moved, to(batch)))]
    for loss in losses:
        loss.backward()
    close(losses[1].detach().cpu(), losses[0].detach())
    for (name, one), other in zip(model.named_parameters(), moved.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            close(other.grad.cpu(), one.grad, msg=name)
    model.zero_grad()
    moved.zero_grad()


@pytest.mark.slow
@pytest.mark.usefixtures("forgotten_device")
def test_a_training_run(tiny, tmp_path, accelerator, monkeypatch):
    """Two steps as `train` makes them: LoRA, the closed set's loss, clipping, an evaluation and a saved adapter."""
    settings = {"max_steps": 2, "per_device_train_batch_size": 2, "per_device_eval_batch_size": 5}
    settings |= {
        "save_strategy": "no",
        "eval_strategy": "no",
        "load_best_model_at_end": False,
        "dataloader_pin_memory": False,
    }
    logs = []
    for device in ("cpu", accelerator.name):
        monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", device)
        trainer = training_run.run(tiny, tmp_path / device, {**settings, "use_cpu": device == "cpu"})
        assert trainer.model.device == torch.device(device)
        logs.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert len(logs[0]) == 2 and logs[1] == pytest.approx(logs[0], abs=20 * accelerator.tolerance)


# -- how often Python waits


@torch.no_grad()
def test_a_forward_waits_for_nothing(moved, batches, to, accelerator):
    photo = to(batches["photo"])
    with accelerator.synchronizations() as places:
        read = moved(**photo)
        token = read.logits[:, -1:].argmax(-1)
        moved(input_ids=token, past_key_values=read.past_key_values)  # a step of decoding
    assert places == []


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@torch.no_grad()
def test_with_padding_only_transformers_looks_at_it(model, batches, to, accelerator, attention):
    """
    It asks a mask whether it masks anything, for a faster kernel: the language model's twice with sdpa, never with
    eager attention; the Q-Former's always.
    """
    network = copy.deepcopy(model)
    if attention == "eager":
        network.set_attn_implementation(attention)
    network.to(accelerator.name)
    clips = to(batches["clips"])
    for given in ({}, {"qformer_attention_mask": torch.ones_like(clips["qformer_input_ids"])}):
        with accelerator.synchronizations() as places:
            read = network(**clips, **given)
            token = read.logits[:, -1:].argmax(-1)
            mask = torch.cat([clips["attention_mask"], torch.ones_like(token)], dim=1)
            network(input_ids=token, attention_mask=mask, past_key_values=read.past_key_values)
        assert all("masking_utils.py" in place for place in places), places
        assert len(places) <= len(given) + (3 if attention == "sdpa" else 0), places


@pytest.mark.gpu
@no_cuda
def test_wrong_placeholders_are_asserted_there(model, batches, tmp_path):
    """In a process of its own, since the assertion is the end of its CUDA."""
    ids = batches["photo"]["input_ids"]
    torch.save({**batches["photo"], "input_ids": ids[ids != model.config.image_token_id][None]}, tmp_path / "wrong")
    script = f"""
import torch
from test_modeling import make_model
wrong = torch.load({str(tmp_path / "wrong")!r}, weights_only=True)
make_model().to("cuda")(**{{name: value.to("cuda") for name, value in wrong.items()}}).logits.cpu()
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert ended.returncode != 0 and "visual placeholders" in ended.stdout + ended.stderr


def test_the_detector_waits_a_few_times_a_scale(pipes, accelerator):
    """The pictures go there; of each scale come back how many faces, where and what; of two nets, all."""
    pictures = [Image.open(SAMPLES / "astronaut.png").convert("RGB").resize((256, 256))] * 2
    detectors = [pipe.processor.faces.detector for pipe in pipes]
    expected = detectors[0].detect(pictures)
    with accelerator.synchronizations() as places:
        found = detectors[1].detect(pictures)
    config = detectors[1].config
    scales = pyramid_scales(256, 256, config.min_face_size, config.pyramid_factor)
    assert [len(faces) for faces in found] == [len(faces) for faces in expected] == [1, 1]
    assert found[0][0].box == pytest.approx(expected[0][0].box, rel=1e-4)
    assert len(places) <= 1 + 3 * len(scales) + 2 + 3, places


def test_label_scores_wait_for_their_inputs_and_the_result(pipes, accelerator, close):
    """Tokens, mask and positions go there twice, for prompts and labels; likelihoods come back."""
    scores = []
    for pipe in pipes:
        processor = pipe.processor
        visual = processor.load_visual(SAMPLES / "coffee.png")
        prompt = "USER: <image> Why? ASSISTANT:"
        with torch.no_grad():
            features = pipe.model.get_image_features(
                **{
                    name: value.to(pipe.device)
                    for name, value in processor(text=prompt, images=visual.frames).items()
                    if name not in ("input_ids", "attention_mask")
                }
            )
        embeds = [features.pooler_output.flatten(0, 1)]
        with accelerator.synchronizations() as places:
            scores.append(label_scores(pipe.model, processor, [prompt], [[visual]], embeds, EMOTIONS, [[None]]).scores)
    close(scores[1], scores[0])
    assert sum("masking_utils.py" not in place for place in places) <= 7 and len(places) <= 10, places
