"""
Measures rows of `benchmarks/rows`: this package, its state before, and peers, in turn.

    python benchmarks/run.py --all | --missing | --only NAME [NAME ...] | --page | --list
                             [--rounds N] [--threads N] [--before COMMIT] [--output DIR] [--work DIR]

A row is written as soon as it is measured, as JSON with machine, versions and commit, and the page and the pictures of
the documentation are made anew of all rows that are there. The state before is a git worktree in a temporary folder,
inputs are made of `tests/samples` in another, and both are removed in the end. A side that fails or a peer that is
not installed is told in the row's table and ends nothing.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from harness.checkout import ROOT, commit, compile_package, earlier
from harness.machine import machine, versions
from harness.measure_row import measure_row
from harness.page import write_page
from harness.results import summary
from harness.row import BEFORE, OURS, Row, load_row, row_files
from harness.table import table


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for; 1 where our side failed or answers differ."""
    files = row_files()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--all", action="store_true", help="every row")
    what.add_argument(
        "--missing", action="store_true", help="rows without results of this commit: goes on after a stop"
    )
    what.add_argument("--only", nargs="+", choices=files, metavar="NAME", help=f"of {', '.join(files)}")
    what.add_argument("--list", action="store_true", help="tell what rows there are")
    what.add_argument("--page", action="store_true", help="only make the page anew, of what was measured earlier")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each side (default: 3)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of each side (default: 2)")
    parser.add_argument("--before", default="3a2ff49", metavar="COMMIT", help="the state before (default: 3a2ff49)")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks", metavar="DIR")
    parser.add_argument("--work", type=Path, metavar="DIR", help="for 10 GB (default: the temporary folder)")
    options = parser.parse_args(arguments)
    for name in ("rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    rows = {name: load_row(path) for name, path in files.items() if not options.only or name in options.only}
    if options.list:
        for name, row in rows.items():
            print(f"{name:24}{row.about.splitlines()[0]}")
        return 0
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        return int(not options.page and measure(rows, files, options))
    finally:
        write_page(options.output)


def is_measured(path: Path, about: dict[str, Any]) -> bool:
    """Whether a row's results are of the same code, without changes, and made in the same way."""
    if not path.exists() or about["commit"].endswith("+"):
        return False
    kept = json.loads(path.read_text("utf-8"))
    return all(kept[name] == about[name] for name in ("commit", "before", "rounds", "threads"))


def measure(rows: dict[str, Row], files: dict[str, Path], options: argparse.Namespace) -> bool:
    """Measure the rows and write each; whether anything of ours was wrong."""
    about: dict[str, Any] = {
        "date": str(date.today()),
        "commit": commit(),
        "before": options.before,
        "rounds": options.rounds,
        "threads": options.threads,
        "machine": machine(),
    }
    if options.missing:
        rows = {name: row for name, row in rows.items() if not is_measured(options.output / f"{name}.json", about)}
    failed = False
    with ExitStack() as stack:
        trees = {OURS: ROOT}
        try:
            trees[BEFORE] = stack.enter_context(earlier(options.before))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{options.before} is left out: {getattr(error, 'stderr', '') or error}", file=sys.stderr)
        for tree in trees.values():
            compile_package(tree)
        inputs = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-", dir=options.work))) / "inputs"
        )
        inputs.mkdir()
        total = sum(options.rounds * len(row.sides) for row in rows.values())
        bar = stack.enter_context(tqdm(total=total, unit="run", bar_format="{l_bar}{bar}| {n}/{total} [{elapsed}]"))

        def told(text: str) -> None:
            bar.set_description(text)
            bar.update()

        made: set[Any] = set()
        for name, row in rows.items():
            for make in row.inputs:
                if make not in made:
                    bar.set_description(f"{name}: inputs")
                    make(inputs)
                    made.add(make)
            runs = measure_row(row, files[name], trees, inputs, options.rounds, options.threads, told)
            peers = [package.split("==")[0] for peer in row.peers.values() for package in peer.packages]
            kept = {**summary(row, runs), **about, "versions": versions(peers)}
            unfinished = options.output / f".{name}.json.part"
            unfinished.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
            os.replace(unfinished, options.output / f"{name}.json")
            bar.write(f"\n{name}\n{table(kept)}")
            failed |= any("differs" in case or "problem" in case["sides"][OURS] for case in kept["cases"].values())
    return failed


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that the worktree is removed
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; --missing goes on.")
