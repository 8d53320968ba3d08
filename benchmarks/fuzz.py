"""
Inputs that nobody means, many of them, each in a process of its own.

    python benchmarks/fuzz.py [--count N] [--seed S] [--kinds a,b] [--jobs J] [--table FILE] [--output DIR]
    python benchmarks/fuzz.py --kinds KIND --seed S --number N

Kinds of input are those of `tests/fuzz/kinds.py`; each gets its share of the count. An input is answered, or refused
in a message that names the argument or file; all else is a finding: another error, a crash, over 20 seconds, over
2 GB, files or threads left behind, an answer that is wrong. A run that was stopped goes on where it was. Each finding
is told with the command that repeats it, and its input stays in the output folder.
"""

import argparse
import gc
import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]
os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "fuzz")]

import av  # noqa: E402
import PIL  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from case import ANSWERED, REFUSED, Outcome, default_pipeline  # noqa: E402
from child import Child, drawn, outcome_in_child  # noqa: E402
from kinds import KINDS  # noqa: E402
from tqdm.auto import tqdm  # noqa: E402

import emo_llama_hf  # noqa: E402
from emo_llama_hf.whole_file import append, write_text  # noqa: E402
from harness.checkout import commit  # noqa: E402


def outcomes(todo: list[tuple[str, int]], seed: int, jobs: int, folder: Path) -> Iterator[tuple[str, int, Outcome]]:
    """What becomes of each (kind, number), as it comes, with so many processes at a time."""
    left, running = list(reversed(todo)), {}
    try:
        while left or running:
            while left and len(running) < jobs:
                kind, number = left.pop()
                running[kind, number] = Child(
                    lambda kind=kind, number=number: drawn(KINDS[kind], seed, number), folder / f"{kind}-{number}"
                )
            for (kind, number), child in list(running.items()):
                if (outcome := child.outcome()) is not None:
                    del running[kind, number]
                    yield kind, number, outcome
            time.sleep(0.005)
    finally:
        for child in running.values():
            child.kill()


INTRODUCTION = """\
# Reliability

What becomes of inputs that nobody means: damaged files, odd values, hostile servers. Each is made from a kind, a seed
and a number (`tests/fuzz/`, one file a kind), and read or asked about in a process of its own. It may be answered, or
refused in a message that names the argument or the file. All else is a finding: another error, a crash, over 20
seconds (waiting for a core not counted), over 2 GB, files or threads left behind, a wrong answer. Part of these inputs
is in the test suite.

"""


class Results:
    """
    Lines of JSON, one an input, in a file of this seed and this commit.

    Args:
        path (`Path`): the file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a+b", buffering=0)
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        self._file.truncate(sum(len(line) + 1 for line in lines[:-1]))  # after a line that was cut off
        self.entries: dict[tuple[str, int], dict] = {}
        for entry in map(json.loads, lines[:-1]):
            self.entries[entry["kind"], entry["number"]] = entry

    def add(self, kind: str, number: int, outcome: Outcome) -> None:
        """Write down what became of an input."""
        entry = {"kind": kind, "number": number, "outcome": outcome.kind, "text": outcome.text}
        append(self._file, json.dumps(entry).encode() + b"\n")
        self.entries[kind, number] = entry


def table(entries: list[dict], command: str) -> str:
    """The results as Markdown."""
    versions = {
        "emo_llama_hf": f"{emo_llama_hf.__version__} ({commit()})",
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "Pillow": PIL.__version__,
        "PyAV": av.__version__,
    }
    lines = [
        f"`{command}`, {date.today()}; " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
        "| kind | inputs | answered | refused | findings |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind in [*KINDS, "all"]:
        counts = Counter(entry["outcome"] for entry in entries if kind in (entry["kind"], "all"))
        if total := counts.total():
            found = total - counts[ANSWERED] - counts[REFUSED]
            lines.append(f"| {kind} | {total} | {counts[ANSWERED]} | {counts[REFUSED]} | {found} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="inputs in all (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--kinds", default=",".join(KINDS), metavar="a,b", help=f"default: {','.join(KINDS)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="J", help="processes (default: the cores)")
    parser.add_argument("--number", type=int, metavar="N", help="only this input of the one kind")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: fuzz-S")
    parser.add_argument("--table", type=Path, metavar="FILE", help="Markdown to write: docs/reliability.md, say")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"--kinds: {', '.join(unknown)} is none of {', '.join(KINDS)}")
    folder = options.output or Path(f"fuzz-{options.seed}")
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    default_pipeline()
    for kind in kinds:
        getattr(KINDS[kind], "warm", lambda: None)()
    gc.collect()
    gc.freeze()  # children need not look at, and so copy, what was there before them
    if options.number is not None:
        work = folder / f"{kinds[0]}-{options.number}"
        outcome = outcome_in_child(lambda: drawn(KINDS[kinds[0]], options.seed, options.number), work)
        print(f"{outcome.kind}: {outcome.text}")
        sys.exit(outcome.is_finding)
    results = Results(folder / f"results-{options.seed}-{commit()}.jsonl")
    todo = [
        (kind, number)
        for number in range(-(-options.count // len(kinds)))
        for kind in kinds
        if (kind, number) not in results.entries
    ]
    todo = todo[: max(0, options.count - len(results.entries))]
    bar = tqdm(outcomes(todo, options.seed, options.jobs, folder), total=len(todo), unit="input")
    for kind, number, outcome in bar:
        results.add(kind, number, outcome)
        if outcome.is_finding:
            bar.write(
                f"{outcome.kind}: {outcome.text}\n  {folder / f'{kind}-{number}'}: "
                f"python benchmarks/fuzz.py --kinds {kind} --seed {options.seed} --number {number}"
            )
    entries = list(results.entries.values())
    command = f"python benchmarks/fuzz.py --count {options.count} --seed {options.seed}"
    result = table(entries, command + (f" --kinds {options.kinds}" if len(kinds) < len(KINDS) else ""))
    print(result)
    if options.table is not None:
        write_text(options.table, INTRODUCTION + result)
    sys.exit(any(Outcome(entry["outcome"]).is_finding for entry in entries))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted; the same command goes on.")
