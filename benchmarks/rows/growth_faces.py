"""Time and memory by the number of faces in a picture of 1280x720, each asked about (`face_choice="all"`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.answers import check_scores, scored
from harness.pipe import pipe
from harness.row import Row
from inputs.photos import CROWDS, crowds


def package(case: str, inputs: Path) -> Callable[[], Any]:
    chat, photo = pipe(face_choice="all"), str(inputs / f"crowd-{case}.png")
    return lambda: chat(photo)


ROW = Row(cases={str(size): size for size in CROWDS}, item="face", package=package, inputs=(crowds,),
          told=scored, check=check_scores, repeats=3, grows=True)  # fmt: skip
