"""
One side of one row, in a process of its own, whose working directory is empty.

    python -m harness.child ROW.py SIDE TREE INPUTS RESULT.json
"""

import json
import os
import sys
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.memory import forget_peak, held_bytes, peak_bytes
from harness.row import BEFORE, OURS, Measured, Row, Side, load_row

LONG = 3.0  # seconds: a first call of more is timed, and is the only one
ENOUGH = 3.0  # seconds of timed calls after which there is no other


def cpu_seconds() -> float:
    """Of this process and the commands that it ran."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(row: Row, side: Side, case: str, inputs: Path) -> dict[str, Any]:
    """Times and memory of a case, and the answer."""
    call = side(case, inputs)
    held = held_bytes()
    forget_peak()
    seconds: list[float] = []
    cpu: list[float] = []
    peaks: list[int] = []
    answer: Any = None
    is_warm = not row.warm
    while len(seconds) < row.repeats and sum(seconds) < ENOUGH:
        cpu_start, start = cpu_seconds(), time.perf_counter()
        given = call()
        took, computed = time.perf_counter() - start, cpu_seconds() - cpu_start
        peaks.append(peak_bytes())
        if isinstance(given, Measured):
            took, answer = given.seconds, given.answer
            peaks.append(given.peak_bytes or 0)
        else:
            answer = given
        if is_warm or took > LONG:
            seconds.append(took)
            cpu.append(computed)
        is_warm = True
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "held_bytes": held,
        "peak_bytes": max(peaks),
        "answer": row.told(answer),
    }


def check_tree(tree: str) -> None:
    """What was measured is the code of this tree, and not what is installed."""
    spec = find_spec("emo_llama_hf")
    files = [(spec and spec.origin) or "nothing"]
    files += [
        getattr(sys.modules[name], "__file__", None) or "" for name in sys.modules if name.startswith("emo_llama_")
    ]
    for file in filter(None, files):
        inside = Path(file).resolve().is_relative_to(Path(tree).resolve())
        assert inside, f"{file} was measured instead of what is in {tree}"


def main() -> None:
    path, name, tree, inputs, result = sys.argv[1:]
    threads = int(os.environ["OMP_NUM_THREADS"])  # what asks for more, as decoders do, gets no more cores than these
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    row = load_row(Path(path))
    cases: dict[str, Any] = {}
    for case in row.cases:
        try:
            cases[case] = measure(row, row.sides[name], case, Path(inputs))
        except Exception as error:
            traceback.print_exc()
            cases[case] = {"problem": f"{type(error).__name__}: {error}"[:500]}
    if name in (OURS, BEFORE):
        check_tree(tree)
    Path(result).write_text(json.dumps(cases))


if __name__ == "__main__":
    main()
