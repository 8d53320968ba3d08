"""Answers of `pipeline("emotion-chat")` to the default question about 16 photos of half a megapixel, one face each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.answers import check_scores, scored
from harness.pipe import pipe
from harness.row import Row
from inputs.photos import portrait_files, portraits


def package(case: str, inputs: Path) -> Callable[[], Any]:
    chat, files = pipe(), portrait_files(inputs)
    if case == "in a batch of 16":
        return lambda: chat(files, batch_size=16)
    return lambda: [chat(file) for file in files]


ROW = Row(cases={"one by one": 16, "in a batch of 16": 16}, item="photo", package=package, inputs=(portraits,),
          told=scored, check=check_scores, repeats=3)  # fmt: skip
