"""What only a GPU can show: half precision, 4 bits, flash attention, devices that share a model, training there.

`bash tests/run.sh -m gpu` runs these, and those of the other files.
"""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, pipeline
from transformers.utils import is_bitsandbytes_available, is_flash_attn_2_available

import training_run
from emo_llama_hf import default_model, load_model
from emo_llama_hf.load_model import load_processor, pipeline_device
from media import clip
from test_bad_input import ASTRONAUT, SAMPLES
from test_training_distributed import TUNING, in_two_processes

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
four_bits = pytest.mark.skipif(not is_bitsandbytes_available(), reason="bitsandbytes is optional")
GPU = "cuda"
PICTURES = [ASTRONAUT, str(SAMPLES / "grace_hopper.jpg"), str(SAMPLES / "chelsea.png")]


def answers(model, processor) -> list[dict]:
    """Of the default model about three pictures, two of them in one batch, and a clip."""
    pipe = pipeline("emotion-chat", model=model, processor=processor, device=pipeline_device(model))
    assert pipe.device.type == torch.device(GPU).type or model.device.type == "cpu"
    return [*pipe(PICTURES, batch_size=2), pipe(clip(frames=4), question="How does the mood change?")]


@pytest.fixture(scope="module")
def expected() -> list[dict]:
    return answers(*load_model(device="cpu"))


def near(found: list[dict], expected: list[dict], tolerance: float) -> None:
    assert [one["emotion"] for one in found] == [one["emotion"] for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=tolerance)
        assert one["generated_text"]


# -- answers


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-2), ("bfloat16", 0.05), ("float16", 0.02)])
def test_every_type(expected, dtype, tolerance):
    model, processor = load_model(device=GPU, dtype=dtype)
    assert model.dtype == getattr(torch, dtype)
    near(answers(model, processor), expected, tolerance)


@four_bits
@pytest.mark.parametrize("dtype", ["auto", "bfloat16", "float16"])
@pytest.mark.parametrize("bits", [4, 8])
def test_quantized(expected, bits, dtype):
    near(answers(*load_model(device=GPU, dtype=dtype, **{f"load_in_{bits}bit": True})), expected, 0.08)


@pytest.mark.skipif(not is_flash_attn_2_available(), reason="flash-attn is optional")
def test_flash_attention(expected):
    model = AutoModelForImageTextToText.from_pretrained(
        default_model(), dtype=torch.bfloat16, attn_implementation="flash_attention_2", device_map=GPU
    )
    assert model.config.text_config._attn_implementation == "flash_attention_2"
    near(answers(model.eval(), load_processor()), expected, 0.05)


@pytest.mark.parametrize("quantized", [False, pytest.param(True, marks=four_bits)], ids=["whole", "4 bits"])
def test_device_map(expected, quantized):
    model, processor = load_model(device_map="auto", load_in_4bit=quantized)
    assert {parameter.device.type for parameter in model.parameters()} == {torch.device(GPU).type}
    near(answers(model, processor), expected, 0.08 if quantized else 1e-2)


def spread(first: int | str, second: int | str) -> dict[str, int | str]:
    """A device map with the language model on the second device, all else on the first."""
    parts = ("query_tokens", "vision_model", "qformer", "visual_tokens", "face_prior", "face_info_mining")
    return {**{f"model.{part}": first for part in parts}, "model.language_model": second, "lm_head": second}


@two_gpus
def test_two_gpus_share_a_model(expected):
    model, processor = load_model(device_map=spread(0, 1))
    assert {str(parameter.device) for parameter in model.parameters()} == {"cuda:0", "cuda:1"}
    near(answers(model, processor), expected, 1e-2)


def test_the_cpu_holds_what_the_gpu_does_not(expected):
    model, processor = load_model(device_map=spread(0, "cpu"))
    near(answers(model, processor), expected, 1e-2)


# -- training


def losses(folder: Path) -> list[float]:
    return [loss for _, _, loss in training_run.history(folder, "loss")]


STEPS = {"max_steps": 2, "eval_steps": 2, "save_steps": 2, "use_cpu": False}


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "computed again"])
@pytest.mark.parametrize("quantized", [False, pytest.param(True, marks=four_bits)], ids=["LoRA", "QLoRA"])
def test_training(tiny, tmp_path, forgotten_device, quantized, checkpointing):
    """As on the CPU but for rounding, and the adapter opens and answers."""
    settings = {**STEPS, "bf16": True, "gradient_checkpointing": checkpointing}
    trainer = training_run.run(tiny, tmp_path / "gpu", settings, {"dtype": "bfloat16", "load_in_4bit": quantized})
    assert trainer.model.device.type == torch.device(GPU).type
    forgotten_device()
    training_run.run(tiny, tmp_path / "cpu", {**STEPS, "use_cpu": True})
    assert losses(tmp_path / "gpu") == pytest.approx(losses(tmp_path / "cpu"), abs=0.2)
    network, processor = load_model(str(tmp_path / "gpu"), device=GPU)
    pipe = pipeline("emotion-chat", model=network, processor=processor, device=network.device, max_new_tokens=2)
    assert sum(pipe(ASTRONAUT)["scores"].values()) == pytest.approx(1, abs=1e-3)


@two_gpus
@pytest.mark.usefixtures("forgotten_device")
def test_two_gpus_train_together(tiny, tmp_path):
    """Half a batch on each is a batch on one."""
    in_two_processes(tiny, tmp_path / "two", STEPS)
    training_run.run(tiny, tmp_path / "one", STEPS, TUNING)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=0.05)
