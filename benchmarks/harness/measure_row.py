"""All sides of a row in turn, each in a fresh process, as often as there are rounds."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.row import BEFORE, OURS, Row

BENCHMARKS = Path(__file__).resolve().parents[1]
LONGEST = 900  # seconds of one process
LAST = 300  # characters of what a failed process said


def measure_row(
    row: Row,
    path: Path,
    trees: Mapping[str, Path],
    inputs: Path,
    rounds: int,
    threads: int,
    told: Callable[[str], Any] = lambda text: None,
) -> dict[str, Any]:
    """
    Run the sides one after the other, and again.

    Args:
        row ([`Row`]), path (`Path`): the row and its file.
        trees (`Mapping[str, Path]`): the code of `ours` and, unless it could not be had, of `before`.
        inputs (`Path`): where the row's inputs are; processes write beside it.
        rounds, threads (`int`): how often, and the threads of each process.
        told (`Callable`, *optional*): is told which side begins.

    Returns:
        `dict`: by side a list, one a round, of what [`harness.child`] wrote; or why there is nothing, a `str`.
    """
    runs: dict[str, Any] = {}
    for name in row.sides:
        missing = row.peers[name].missing if name in row.peers else None
        if name in (OURS, BEFORE) and name not in trees:
            missing = "its worktree could not be made"
        runs[name] = missing or []
    for number in range(rounds):
        for name, done in runs.items():
            told(f"{row.name}: {name}, round {number + 1}")
            if isinstance(done, list):
                try:
                    done.append(_run(row, path, name, trees, inputs, threads))
                except SideError as error:
                    runs[name] = str(error)
    return runs


class SideError(Exception):
    """A side's process failed."""


def _run(row: Row, path: Path, name: str, trees: Mapping[str, Path], inputs: Path, threads: int) -> dict[str, Any]:
    tree = trees.get(name, trees[OURS])
    work = inputs.parent
    with tempfile.TemporaryDirectory(dir=work) as folder, tempfile.TemporaryDirectory(dir=work) as scratch:
        result = Path(scratch) / "result.json"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (tree, BENCHMARKS))),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TQDM_DISABLE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        if name in row.peers:
            environment |= row.peers[name].environment(Path(scratch))
        words = [sys.executable, "-m", "harness.child", *map(str, (path, name, tree, inputs, result))]
        try:
            ended = subprocess.run(words, cwd=folder, env=environment, capture_output=True, timeout=LONGEST)
        except subprocess.TimeoutExpired as error:
            raise SideError(f"took more than {LONGEST} s") from error
        if ended.returncode or not result.exists():
            said = ended.stderr.decode(errors="replace").strip() or f"ended with {ended.returncode}"
            raise SideError(" ".join(said.splitlines()[-1].split())[-LAST:])
        measured: dict[str, Any] = json.loads(result.read_text())
        return measured
