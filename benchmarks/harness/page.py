"""The page of the documentation, made of the JSON files beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.charts import draw_growth, draw_ratios
from harness.table import table

FEWEST_ROUNDS = 3
IDLE = 0.5  # load average, from which on something else was running

INTRODUCTION = """\
# Benchmarks

What takes time, of this package, of its state before it was made fast (commit {before}), and of peers. `python
benchmarks/run.py --all` measures all of it and writes this page, in under 40 minutes on two cores; `--only NAME`
measures a row. Each side runs in a fresh process, in turn with the others, on as many cores and with as many threads.

- A time is the median of all rounds. A ratio is the other side's time by ours, above 1 where ours is faster, with the
  least and the most of a round behind it.
- CPU time is of all threads, and says more where other things ran beside.
- Peak memory is of the whole process, with everything that it imported; of commands, of theirs.
- An exponent is that of cost by size over the larger half of the sizes: 1 is linear, 2 quadratic. Its memory is what
  came to that held before.
- Peers that are not installed are left out and told.

Where answers should be equal (labels and scores to 0.01, boxes to a pixel, frames to the bit), they are compared in
the same run; a row whose answers differ says so. The JSON files beside this page have all times, the machine and the
versions. Each row is a file of `benchmarks/rows/`; [another one](../../CONTRIBUTING.md#add-a-benchmark) is some 20
lines. `benchmarks/serving.py` measures a server, `benchmarks/timeline.py` hours of video, and `benchmarks/pipeline.py`
the stages of an answer.

![times of the other sides, ours = 1](ratios.png)
"""


def results(folder: Path) -> list[dict[str, Any]]:
    """The rows that a folder has results of, by name."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"), key=lambda path: path.stem)]


def page(found: list[dict[str, Any]]) -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION.format(before=found[0]["before"] if found else "")]
    for kept in found:
        parts.append(f"## {kept['row']}\n\n{kept['about']}\n\n{table(kept)}\n")
        if kept.get("growth"):
            parts.append(f"![time and memory by size]({kept['row']}.png)\n")
        parts.append(_origin(kept) + "\n")
    return "\n".join(parts)


def _origin(kept: Mapping[str, Any]) -> str:
    machine, versions = kept["machine"], kept["versions"]
    text = (
        f"{kept['date']}, commit {kept['commit']}, {kept['rounds']} round{'s' * (kept['rounds'] > 1)}, "
        f"{kept['threads']} thread{'s' * (kept['threads'] > 1)}; {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB; " + ", ".join(f"{name} {text}" for name, text in versions.items())
    )
    if kept["rounds"] < FEWEST_ROUNDS or machine["load"] > IDLE:
        text += f". **A trial**: few rounds, or a busy machine (load {machine['load']:g})"
    return text + "."


def write_page(folder: Path) -> None:
    """Write the page and its pictures anew."""
    found = results(folder)
    draw_ratios(found, folder / "ratios.png")
    for kept in found:
        if kept.get("growth"):
            draw_growth(kept, folder / f"{kept['row']}.png")
    (folder / "index.md").write_text(page(found), "utf-8")
