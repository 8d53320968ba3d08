"""Two processes on CPUs (gloo) against one: the same losses, the same evaluation, a model that loads."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor

from emo_llama_hf.training import EmoLlamaDataCollator
from emotion_samples import face_samples
from training_run import history, run

TESTS = Path(__file__).parent
TUNING = {"lora_dropout": 0.0, "augment": True}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def in_two_processes(model: Path, output: Path, training: dict, tuning: dict = TUNING) -> str:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={free_port()}"),
        *("training_run.py", str(model), str(output)),
        json.dumps({"per_device_train_batch_size": 2, "per_device_eval_batch_size": 1, **training}),
        json.dumps(tuning),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module")
def alone(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return run(tiny, folder, tuning=TUNING), folder


@pytest.mark.parametrize(
    "training",
    [
        pytest.param({}, id="ddp"),
        pytest.param({"fsdp": True, "fsdp_config": {"version": 2}}, id="fsdp2", marks=pytest.mark.slow),
    ],
)
def test_two_processes_are_one(tiny, alone, tmp_path, training):
    """Four samples a step either way; what differs is the order in which float32 numbers are added."""
    trainer, folder = alone
    errors = in_two_processes(tiny, tmp_path, training)
    assert ("FSDP2-wrapped module" in errors) == bool(training)
    for keys in (("loss",), ("eval_uar", "eval_war")):
        expected, found = history(folder, *keys), history(tmp_path, *keys)
        assert [entry[:2] for entry in found] == [entry[:2] for entry in expected] and expected
        assert [entry[2] for entry in found] == pytest.approx([entry[2] for entry in expected], abs=5e-5)
    batch = EmoLlamaDataCollator(AutoProcessor.from_pretrained(tmp_path))(face_samples(3))
    base = AutoModelForImageTextToText.from_pretrained(tiny)
    with torch.no_grad():
        logits = PeftModel.from_pretrained(base, tmp_path).eval()(**batch).logits
        expected = trainer.model.eval()(**batch).logits
    assert torch.allclose(logits, expected, atol=1e-3)


@pytest.mark.parametrize("training", [{}, {"fsdp": True, "fsdp_config": {"version": 2}}], ids=["ddp", "fsdp2"])
@pytest.mark.slow
def test_two_processes_resume_exactly(tiny, tmp_path, training):
    in_two_processes(tiny, tmp_path, {"save_steps": 5, "eval_steps": 5, **training})
    whole = history(tmp_path, "loss")
    (tmp_path / "checkpoint-6").rename(tmp_path / "later")
    in_two_processes(tiny, tmp_path, {"save_steps": 5, "eval_steps": 5, "resume_from_checkpoint": "last", **training})
    assert history(tmp_path, "loss") == whole and len(whole) == 6


@pytest.mark.slow
def test_two_processes_share_what_is_kept(tiny, tmp_path):
    tuning = {"lora_dropout": 0.0}
    training = {"max_steps": 8, "eval_steps": 8, "save_steps": 8}  # each of sixteen samples comes twice
    run(tiny, tmp_path / "alone", training, {**tuning, "feature_cache": "off"})
    in_two_processes(tiny, tmp_path / "both", training, tuning)
    in_two_processes(tiny, tmp_path / "named", training, {**tuning, "feature_cache": str(tmp_path / "cache")})
    expected = [entry[2] for entry in history(tmp_path / "alone", "loss", "eval_uar")]
    for name in ("both", "named"):
        assert [entry[2] for entry in history(tmp_path / name, "loss", "eval_uar")] == pytest.approx(
            expected, abs=5e-5
        )
    assert list((tmp_path / "cache").rglob("*.safetensors")) and not (tmp_path / "both" / "_features").exists()
