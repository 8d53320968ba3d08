"""`emo-llama prepare`, which finds faces before training: 500 pictures of 48x48 pixels, the whole command."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.emo_llama import emo_llama
from harness.row import Measured, Row
from inputs.records import FACES, records


def package(case: str, inputs: Path) -> Callable[[], Any]:
    emo_llama("instruct", str(inputs / "faces.parquet"), "--output", "qa.jsonl")
    return prepare


def prepare() -> Measured:
    shutil.rmtree("found", ignore_errors=True)
    return emo_llama("prepare", "qa.jsonl", "--faces", "found")


ROW = Row(cases={"prepare": FACES}, item="face", package=package, inputs=(records,),
          told=lambda given: None, repeats=1, warm=False)  # fmt: skip
