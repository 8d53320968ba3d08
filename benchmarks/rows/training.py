"""`emo-llama prepare` and `train` as [Your own data](../guides/own-data.md) runs them, on 500 faces like FER2013's.

`prepare` finds the faces in pictures of 48x48 pixels, the whole command; `emo-llama instruct` goes before, untimed. A
step of `train` is eight chats, with LoRA and all other defaults, timed by the trainer. Memory is the commands'."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.emo_llama import emo_llama
from harness.row import Measured, Row
from inputs.records import FACES, records

STEPS = 30
CASES = {"prepare, a face": FACES, "train, a step": STEPS}


def package(case: str, inputs: Path) -> Callable[[], Any]:
    if case == "train, a step":
        return train  # on what the case before has prepared
    emo_llama("instruct", str(inputs / "faces.parquet"), "--output", "qa.jsonl")
    return lambda: emo_llama("prepare", "qa.jsonl")


def train() -> Measured:
    run = emo_llama("train", "qa.jsonl", "--output", "run", "--max-steps", str(STEPS))
    figures = json.loads(Path("run/train_results.json").read_text())
    return Measured(figures["train_runtime"], peak_bytes=run.peak_bytes)


ROW = Row(cases=CASES, package=package, inputs=(records,), told=lambda given: None, repeats=1, warm=False)
