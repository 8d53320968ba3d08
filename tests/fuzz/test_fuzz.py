"""Fuzzed inputs are answered or refused in words; `benchmarks/fuzz.py` runs many more. And the harness is tested."""

import ctypes
import gc
import tempfile
import threading
import time
from pathlib import Path

import pytest
from case import ANSWERED, REFUSED, Case, WrongAnswer, judge
from child import drawn, outcome_in_child
from hypothesis import HealthCheck, given, settings
from kinds import KINDS


@pytest.fixture(scope="module", autouse=True)
def _what_was_there_before():
    """Collecting garbage after each input need not look at it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


COUNTS = {
    "pictures": 80, "clips": 50, "conversations": 50, "urls": 12, "model_folders": 4, "weights": 3, "records": 40,
    "journals": 30, "checkpoints": 4, "command_lines": 6,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # odd inputs may well be warned of
@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_answered_or_refused(kind, tmp_path):
    @settings(
        max_examples=COUNTS[kind],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=KINDS[kind].cases(cheap=True))
    def check(case):
        outcome = judge(case, Path(tempfile.mkdtemp(dir=tmp_path)))
        assert not outcome.is_finding, f"{case.change!a}: {outcome}"

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_is_its_numbers(kind):
    changes = [drawn(KINDS[kind], seed, number).change for seed, number in ((0, 1), (0, 1), (0, 2), (1, 1))]
    assert changes[0] == changes[1]
    assert len(set(changes)) > 1


KEPT = []


def crash(folder):
    ctypes.string_at(0)


def leave_a_thread(folder):
    threading.Thread(target=time.sleep, args=(5,), daemon=True).start()


def leave_a_file(folder):
    (folder / ".out.txt.1234.part").write_text("half")


def raises(error):
    def ask(folder):
        raise error

    return ask


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda folder: None, ANSWERED),
        (raises(ValueError("`image` is empty (0 bytes).")), REFUSED),
        (raises(OSError("Cannot open in.txt for reading.")), REFUSED),
        (raises(TypeError("`image` has type int. Give a path.")), REFUSED),
        (raises(ValueError("too many values to unpack (expected 2)")), "unclear"),
        (raises(ValueError("`image`: no")), "unclear"),
        (raises(TypeError("unhashable type: 'list' in `image`")), "TypeError"),
        (raises(KeyError("image")), "KeyError"),
        (raises(RecursionError("`image` is nested too deep for this.")), "RecursionError"),
        (lambda folder: b"\xff".decode(), "UnicodeDecodeError"),
        (raises(WrongAnswer("another picture")), "wrong answer"),
        (raises(SystemExit(3)), "SystemExit"),
        (crash, "crash"),
        (lambda folder: time.sleep(60), "hang"),
        (lambda folder: bytearray(2**30), "memory"),
        (lambda folder: KEPT.append(open(folder / "in.txt")), "open files"),
        (lambda folder: tempfile.mkstemp(), "open files"),
        (lambda folder: tempfile.mkdtemp(), "files left"),
        (leave_a_file, "files left"),
        (leave_a_thread, "threads left"),
    ],
)
def test_what_is_a_finding(ask, kind, tmp_path):
    case = Case("", ask, {"in.txt": b"text"})
    outcome = outcome_in_child(lambda: case, tmp_path / "child", seconds=2, memory=2**29)
    assert outcome.kind == kind
    assert (tmp_path / "child").exists() == outcome.is_finding  # the input is kept


def test_a_strategy_that_fails_is_a_finding(tmp_path):
    assert outcome_in_child(raises(IndexError), tmp_path / "child").kind == "bad strategy"
