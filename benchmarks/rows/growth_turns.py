"""Time and memory by the number of turns of a chat about one photo, all of which are given: the last is answered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.answers import check_scores, scored
from harness.pipe import pipe
from harness.row import Row
from inputs.photos import photos

SIZES = (1, 2, 4, 8, 16, 32)
QUESTIONS = ("Why do you think so?", "Is she happy?", "What do the eyes show?", "How old does the person look?")


def package(case: str, inputs: Path) -> Callable[[], Any]:
    photo, chat = str(inputs / "512.png"), pipe()
    asked: list[dict[str, Any]] = []
    for number in range(int(case)):
        content: list[dict[str, str]] = [{"type": "image", "image": photo}] if number == 0 else []
        content.append({"type": "text", "text": QUESTIONS[number % len(QUESTIONS)]})
        asked += [{"role": "user", "content": content}, {"role": "assistant", "content": "The corners of the mouth."}]
    return lambda: chat(asked[:-1])


ROW = Row(cases={str(size): size for size in SIZES}, item="turn", package=package, inputs=(photos,),
          told=scored, check=check_scores, repeats=3, grows=True)  # fmt: skip
