"""Time and memory by the number of labels that a photo's emotion is chosen from: `pipe(photo, labels=...)`."""

from collections.abc import Callable
from itertools import islice, product
from pathlib import Path
from typing import Any

from harness.answers import check_scores, scored
from harness.pipe import pipe
from harness.row import Row
from inputs.photos import photos

SIZES = (2, 4, 8, 16, 32, 64)  # 100 are allowed
LABELS = [first + last for first, last in product(("calm", "glad", "tense", "bored", "grave", "proud", "shy", "keen"),
                                                  ("", "er", "est", "ish", "like", "ly", "ness", "some"))]  # fmt: skip


def package(case: str, inputs: Path) -> Callable[[], Any]:
    chat, photo, labels = pipe(), str(inputs / "512.png"), list(islice(LABELS, int(case)))
    return lambda: chat(photo, labels=labels, question="What does the face show?")


ROW = Row(cases={str(size): size for size in SIZES}, item="label", package=package, inputs=(photos,),
          told=scored, check=check_scores, repeats=3, grows=True)  # fmt: skip
