"""The whole answer of `pipeline("emotion-chat")` about a clip of 720p: reading, faces of six frames, answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.answers import check_scores, scored
from harness.pipe import pipe
from harness.row import Row
from inputs.clips import face_clips

FILES = {"one face": "faces-1.mp4", "four faces": "faces-4.mp4"}


def package(case: str, inputs: Path) -> Callable[[], Any]:
    chat, clip = pipe(), str(inputs / FILES[case])
    return lambda: chat(clip)


ROW = Row(cases=dict.fromkeys(FILES, 1), item="clip", package=package, inputs=(face_clips,),
          told=scored, check=check_scores, repeats=3)  # fmt: skip
