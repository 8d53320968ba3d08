"""Time and memory by the number of pictures in a batch: `pipe(photos, batch_size=n)`."""

from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from harness.answers import check_scores, scored
from harness.pipe import pipe
from harness.row import Row
from inputs.photos import portrait_files, portraits

SIZES = (1, 2, 4, 8, 16, 32)


def package(case: str, inputs: Path) -> Callable[[], Any]:
    chat, files = pipe(), list(islice(cycle(portrait_files(inputs)), int(case)))
    return lambda: chat(files, batch_size=len(files))


ROW = Row(cases={str(size): size for size in SIZES}, item="picture", package=package, inputs=(portraits,),
          told=scored, check=check_scores, repeats=3, grows=True)  # fmt: skip
