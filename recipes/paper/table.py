"""The table of the recipe's rows, as Markdown, JSON and a picture."""

import json
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from emo_llama_hf.whole_file import whole_file, write_text

KINDS = {"image": "images", "video": "clips"}
FIGURES = ("war", "uar")
PROTOCOLS = ("generation", "likelihood")
CAPTION = (
    "WAR / UAR of the test data of each data set by free generation; images and clips: mean WAR over their data sets "
    "by free generation / by the likeliest label."
)
MINIATURE = (
    "These are **miniature data sets of a few drawn faces: the figures mean nothing**, only that the recipe runs."
)


def save_table(
    folder: Path,
    reports: dict[str, dict[str, Any]],
    sets: dict[str, dict[str, Any]],
    counts: dict[str, dict[str, int]],
    miniature: bool,
) -> None:
    """
    Write `table.md`, `table.json` and `table.png`.

    Args:
        folder (`Path`)
        reports (`dict`): the report of each row, see [`EvaluationReport`].
        sets (`dict`): the data sets, as the recipe has them.
        counts (`dict`): of each data set how many instructions of each kind there are.
        miniature (`bool`): whether the caption is to say that the figures mean nothing.
    """
    rows = {name: _figures(report, sets) for name, report in reports.items()}
    caption = f"{MINIATURE} {CAPTION}" if miniature else CAPTION
    header = ["row", *sets, *KINDS.values(), "unparsable"]
    body = [[name, *_cells(row)] for name, row in rows.items()]
    expected = [
        [name, *(f"{counts[name][kind]} ({one[kind]})" for kind in ("category", "conversation"))]
        for name, one in sets.items()
    ]
    parts = [
        caption,
        _markdown(header, body),
        "Instructions that were found, and about how many the authors have:",
        _markdown(["data set", "category", "conversation"], expected),
    ]
    write_text(folder / "table.md", "\n\n".join(parts) + "\n")
    content = {"caption": caption, "miniature": miniature, "rows": rows, "instructions": counts}
    write_text(folder / "table.json", json.dumps(content, indent=2) + "\n")
    _draw(folder / "table.png", rows, miniature)


def _figures(report: dict[str, Any], sets: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Of a row, what the table has of it."""
    parts = report["datasets"]
    means = {
        kind: {
            protocol: mean(parts[name][protocol]["war"] for name, one in sets.items() if one["shows"] == kind)
            for protocol in PROTOCOLS
        }
        for kind in KINDS
    }
    return {
        "datasets": {
            name: {protocol: {figure: parts[name][protocol][figure] for figure in FIGURES} for protocol in PROTOCOLS}
            for name in sets
        },
        "mean_war": means,
        "unparsable": sum(parts[name]["generation"]["unparsable"] for name in sets),
        "errors": report["errors"],
    }


def _cells(row: dict[str, Any]) -> list[str]:
    free = [one["generation"] for one in row["datasets"].values()]
    means = [" / ".join(f"{value:.1%}" for value in row["mean_war"][kind].values()) for kind in KINDS]
    return [*(f"{one['war']:.1%} / {one['uar']:.1%}" for one in free), *means, str(row["unparsable"])]


def _markdown(header: list[str], body: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *body))


def _draw(path: Path, rows: dict[str, dict[str, Any]], miniature: bool) -> None:
    """Bars of the mean WAR over images and over clips of each row."""
    figure = Figure(figsize=(7, 1.5 + 0.4 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="mean WAR", xlim=(0, 1))
    axes.set_title("miniature data: the figures mean nothing" if miniature else "by free generation", fontsize=10)
    for place, (kind, label) in enumerate(KINDS.items()):
        heights = [at + 0.4 * (place - 0.5) for at in range(len(rows))]
        axes.barh(heights, [row["mean_war"][kind]["generation"] for row in rows.values()], height=0.4, label=label)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.legend()
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)
