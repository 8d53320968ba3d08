"""`pipe.timeline` of a clip of 720p, at every frame: finding, following and asking about everybody."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.answers import NEAR
from harness.pipe import pipe
from harness.row import Row
from inputs.clips import face_clips

FRAMES = 50
FILES = {"one face": "faces-1.mp4", "four faces": "faces-4.mp4"}


def package(case: str, inputs: Path) -> Callable[[], Any]:
    chat, clip = pipe(), str(inputs / FILES[case])
    return lambda: list(chat.timeline(clip, every=0.04))


def told(rows: Any) -> list[dict[str, Any]]:
    return [{name: row[name] for name in ("time", "person", "scores")} for row in rows]


def check(case: str, answers: Mapping[str, Any]) -> None:
    ours = answers["ours"]
    for name, others in answers.items():
        assert len(ours) == len(others), f"{name} has {len(others)} rows, ours {len(ours)}"
        for mine, other in zip(ours, others, strict=True):
            assert mine["person"] == other["person"], f"at {mine['time']} s: another person than {name}"
            most = max(abs(mine["scores"][label] - other["scores"][label]) for label in mine["scores"])
            assert most <= NEAR, f"at {mine['time']} s: a score is {most:.3f} from that of {name}"


ROW = Row(cases=dict.fromkeys(FILES, FRAMES), item="frame", package=package, inputs=(face_clips,),
          told=told, check=check, repeats=1)  # fmt: skip
