"""What an input of the package is here, and what may become of it: an answer, a clear refusal, or a finding."""

import contextlib
import gc
import os
import re
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from emo_llama_hf.chat.pipeline import EmotionChatPipeline
from emo_llama_hf.load_model import load_model

SAMPLES = Path(__file__).parents[1] / "samples"
tqdm.monitor_interval = 0  # its thread, which outlives every bar, is no leak
ANSWERED, REFUSED = "answered", "refused"
SHORTEST = 20  # characters of a message that says something
UNFINISHED = re.compile(r"\.part$|\.tmp$|^tmp")


class WrongAnswer(Exception):
    """The package answered, but not what it should."""


@dataclass(frozen=True)
class Case:
    """
    One input.

    Args:
        change (`str`): what is odd about it.
        ask (`Callable`): gives it to the package, in an empty folder of its own; a [`WrongAnswer`] is a finding.
        files (`dict[str, bytes]`): of the folder.
        names (`tuple[str, ...]`): what a refusal may name instead of an argument or one of the files.
    """

    change: str
    ask: Callable[[Path], object] = field(repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """
    What became of a case.

    Args:
        kind (`str`): `"answered"`, `"refused"`, or the name of a finding.
        text (`str`): the message, or what went wrong and where.
    """

    kind: str
    text: str = ""

    @property
    def is_finding(self) -> bool:
        return self.kind not in (ANSWERED, REFUSED)


@cache
def default_pipeline() -> EmotionChatPipeline:
    """The default model, loaded once."""
    model, processor = load_model(None)
    return EmotionChatPipeline(model=model, processor=processor, max_new_tokens=2, do_sample=False, num_frames=2)


def judge(case: Case, folder: Path) -> Outcome:
    """
    Ask, in this process.

    Args:
        case ([`Case`])
        folder (`Path`): an empty one, where the case's files and temporary ones go.
    """
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    temporary = folder / "temporary"
    temporary.mkdir()
    tempfile.tempdir = str(temporary)
    opened, threads = _open_files(), threading.active_count()
    try:
        outcome = _asked(case, folder)
        gc.collect()
        if left := _open_files() - opened:
            return Outcome("open files", f"{sorted(left)} after: {outcome.kind} {outcome.text}")
        if left := list(temporary.rglob("*")) + _unfinished(folder):
            return Outcome("files left", f"{left} after: {outcome.kind} {outcome.text}")
        for _ in range(100):  # one that was told to end takes a moment
            if threading.active_count() <= threads:
                break
            time.sleep(0.01)
        else:
            return Outcome("threads left", f"{threading.enumerate()} after: {outcome.kind} {outcome.text}")
        return outcome
    finally:
        tempfile.tempdir = None


def _asked(case: Case, folder: Path) -> Outcome:
    try:
        case.ask(folder)
    except WrongAnswer as error:
        return Outcome("wrong answer", str(error))
    except Exception as error:
        return _of_error(error, (*case.names, *case.files))
    except BaseException as error:  # tokenizers' panics are no `Exception`
        return Outcome(type(error).__name__, _where(error))
    return Outcome(ANSWERED)


def _of_error(error: Exception, names: tuple[str, ...]) -> Outcome:
    text = str(error)
    if isinstance(error, MemoryError) or "allocate memory" in text:
        return Outcome("memory", _where(error))
    # A `FloatingPointError` is what `check_finite` says of scores that are no numbers.
    ours = isinstance(error, (ValueError, OSError, FloatingPointError)) or (
        isinstance(error, TypeError) and text.startswith("`")
    )
    # Subclasses of `ValueError` that libraries raise, which say nothing of the argument.
    ours = ours and not isinstance(error, UnicodeError) and type(error).__name__ != "JSONDecodeError"
    names_something = re.search(r"`[^`]+`", text) or any(name in text for name in names)
    if ours and len(text) >= SHORTEST and names_something:
        return Outcome(REFUSED, text)
    return Outcome(type(error).__name__ if not ours else "unclear", _where(error))


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    shown = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))
    return f"{str(error)[:300]} ({shown})"


def _open_files() -> set[str]:
    """Links of the process's open files; the number stands first, so that one opened twice counts twice."""
    links = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own
            link = os.readlink(f"/proc/self/fd/{number}")
            if not link.endswith(".ttf"):  # matplotlib keeps its fonts open
                links.add(f"{number} {link}")
    return links


def _unfinished(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name != "temporary" and UNFINISHED.search(path.name)]


def check_scores(result: Any) -> None:
    """Raise `WrongAnswer` unless the result of the pipeline has finite scores that add up to 1."""
    for person in result if isinstance(result, list) else [result]:
        if "error" in person:
            raise WrongAnswer(f"an error was returned, not raised: {person}")
        scores = list(person["scores"].values())
        if not (all(0 <= score <= 1 for score in scores) and abs(sum(scores) - 1) < 1e-3):
            raise WrongAnswer(f"scores {person['scores']}")
        if not isinstance(person["generated_text"], (str, list)) or person["num_frames"] < 1:
            raise WrongAnswer(f"{person}")
