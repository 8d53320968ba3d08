"""A step of `emo-llama train` as [Your own data](../guides/own-data.md) runs it, on 500 faces like FER2013's.

`emo-llama instruct` and `prepare` go before, untimed. A step is eight chats, with LoRA and all other defaults; steps
are timed by the trainer, and memory is the whole process'."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.emo_llama import emo_llama
from harness.row import Measured, Row
from inputs.records import records

STEPS = 30


def package(case: str, inputs: Path) -> Callable[[], Any]:
    emo_llama("instruct", str(inputs / "faces.parquet"), "--output", "qa.jsonl")
    emo_llama("prepare", "qa.jsonl")
    return train


def train() -> Measured:
    run = emo_llama("train", "qa.jsonl", "--output", "run", "--max-steps", str(STEPS))
    figures = json.loads(Path("run/train_results.json").read_text())
    return Measured(figures["train_runtime"], peak_bytes=run.peak_bytes)


ROW = Row(cases={"train": STEPS}, item="step", package=package, inputs=(records,),
          told=lambda given: None, repeats=1, warm=False)  # fmt: skip
