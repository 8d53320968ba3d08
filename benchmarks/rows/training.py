"""`emo-llama prepare` and `train` as [Your own data](../guides/own-data.md) runs them, on 500 faces like FER2013's.

`prepare` finds the faces in pictures of 48x48 pixels, the whole command; `emo-llama instruct` goes before, untimed. A
step of `train` is 64 chats, two of each face, without LoRA; the time is of the whole command over an epoch, in which
ours looks at all faces first and keeps what the frozen eyes see. Memory is the commands'."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.emo_llama import emo_llama
from harness.row import Measured, Row
from inputs.records import FACES, records

STEPS = 16  # an epoch: a closed question and a conversation about each face
CASES = {"prepare, a face": FACES, "train, a step": STEPS}


def package(case: str, inputs: Path) -> Callable[[], Any]:
    if case == "train, a step":
        return train  # on what the case before has prepared
    emo_llama("instruct", str(inputs / "faces.parquet"), "--output", "qa.jsonl")
    return lambda: emo_llama("prepare", "qa.jsonl")


def train() -> Measured:
    """The guide's run, of another model than a `start` of its own."""
    options = ["--lora-rank", "0", "--parts", "language_model,projector,face_info_mining", "--learning-rate", "2e-3"]
    epoch = ["--num-train-epochs", "1", "--per-device-train-batch-size", "64"]
    run = emo_llama("train", "qa.jsonl", "--output", "run", *options, *epoch)
    steps = json.loads(Path("run/trainer_state.json").read_text())["global_step"]
    assert steps == STEPS, f"{steps} steps"
    return run


ROW = Row(cases=CASES, package=package, inputs=(records,), told=lambda given: None, repeats=1, warm=False)
