"""
`pipe.timeline` of a clip of 720p, at every frame: finding, following and asking about everybody.

Before, the whole of every frame was searched; now known faces are followed, whose boxes differ by some per cent of a
face. So people must be the same at 99% of the moments, and their emotions at 95%.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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


def emotions(rows: list[dict[str, Any]]) -> dict[tuple[float, int], str]:
    """The likeliest emotion of each person at each moment."""
    return {(row["time"], row["person"]): max(row["scores"], key=row["scores"].__getitem__) for row in rows}


def check(case: str, answers: Mapping[str, Any]) -> None:
    ours = emotions(answers["ours"])
    for name, rows in answers.items():
        others = emotions(rows)
        both = ours.keys() & others.keys()
        seen = len(both) / max(len(ours), len(others))
        assert seen >= 0.99, f"only {seen:.1%} of who is seen when is as {name}"
        alike = sum(ours[moment] == others[moment] for moment in both) / len(both)
        assert alike >= 0.95, f"only {alike:.1%} of the emotions are those of {name}"


ROW = Row(cases=dict.fromkeys(FILES, FRAMES), item="frame", package=package, inputs=(face_clips,),
          told=told, check=check, repeats=1)  # fmt: skip
