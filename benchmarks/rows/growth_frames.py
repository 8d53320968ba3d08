"""Time and memory by the number of frames that are looked at of a clip: `pipe(clip, num_frames=n)`, of 720p."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.answers import check_scores, scored
from harness.pipe import pipe
from harness.row import Row
from inputs.clips import face_clips

SIZES = (1, 2, 4, 8, 16)


def package(case: str, inputs: Path) -> Callable[[], Any]:
    chat, clip = pipe(), str(inputs / "faces-1.mp4")
    return lambda: chat(clip, num_frames=int(case))


ROW = Row(cases={str(size): size for size in SIZES}, item="frame", package=package, inputs=(face_clips,),
          told=scored, check=check_scores, repeats=3, grows=True)  # fmt: skip
