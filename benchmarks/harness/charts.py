"""Results as pictures: ratios of all rows, and cost by size of a row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.row import BEFORE, OURS

COLORS = {OURS: "tab:green", BEFORE: "tab:blue"}
PEERS = ("tab:orange", "tab:purple", "tab:brown", "tab:pink", "tab:olive", "tab:red", "tab:cyan")


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot, which would pick a window system

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    # Without its version the file changes only when the figures do.
    figure.savefig(path, format="png", dpi=120, metadata={"Software": None})


def draw_ratios(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A bar for each case and each other side: its time by ours, on a logarithmic axis; the line is ours."""
    from matplotlib.ticker import LogLocator

    bars = [
        (f"{kept['row']}: {case}", name, ratio)
        for kept in results
        if "growth" not in kept
        for case, found in kept["cases"].items()
        for name, ratio in found["ratios"].items()
    ]
    others = [name for name in dict.fromkeys(name for _, name, _ in bars) if name != BEFORE]
    colors = {**COLORS, **{name: PEERS[i % len(PEERS)] for i, name in enumerate(others)}}
    figure = _figure(9, 1.2 + 0.24 * len(bars))
    axes = figure.add_subplot(xlabel="time, ours = 1 (above: ours is faster)", xscale="log")
    labelled: dict[str, Any] = {}
    for place, (_, name, ratio) in enumerate(bars):
        middle = ratio["ratio"]
        spread = [[max(middle - ratio["low"], 0)], [max(ratio["high"] - middle, 0)]]
        bar = axes.barh(place, middle - 1, left=1, color=colors[name], xerr=spread, error_kw={"linewidth": 0.8})
        axes.annotate(f" {middle:.2f}", (max(middle, ratio["high"], 1), place), va="center", fontsize=7)
        labelled.setdefault(name, bar)
    firsts = [place for place, bar in enumerate(bars) if place == 0 or bar[0] != bars[place - 1][0]]
    axes.set_yticks(firsts, [bars[place][0] for place in firsts], fontsize=7)
    axes.set_ylim(max(len(bars), 1) - 0.5, -0.5)
    axes.margins(x=0.12)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.grid(axis="x", alpha=0.3)
    if labelled:
        figure.legend(list(labelled.values()), list(labelled), loc="outside upper right", ncols=4, fontsize=8)
    _save(figure, path)


def draw_growth(kept: Mapping[str, Any], path: Path) -> None:
    """Time, and memory beyond what was held before, by size; both axes logarithmic, dashed what linear would be."""
    cases = list(kept["cases"].values())
    sizes = [case["count"] for case in cases]
    figure = _figure(9, 3.4)
    panels = {"seconds": figure.add_subplot(1, 2, 1), "MB added at most": figure.add_subplot(1, 2, 2)}
    for name, exponents in kept["growth"].items():
        sides = [case["sides"][name] for case in cases]
        added = [max(side["peak_bytes"] - sides[0]["held_bytes"], 1) / 1e6 for side in sides]
        drawn = {"seconds": [side["median_s"] for side in sides], "MB added at most": added}
        for (title, axes), kind in zip(panels.items(), ("time", "memory"), strict=True):
            label = f"{name}, exponent {exponents[kind]:.2f}"
            axes.plot(sizes, drawn[title], marker="o", markersize=4, color=COLORS.get(name), label=label)
    for title, axes in panels.items():
        axes.set(xlabel=f"{kept['item']}s", ylabel=title, xscale="log", yscale="log")
        if lines := axes.get_lines():
            last = lines[0].get_ydata()[-1]
            linear = [last * size / sizes[-1] for size in sizes]
            axes.plot(sizes, linear, "--", color="gray", linewidth=0.8, label="linear")
            axes.legend(fontsize=8)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3)
    _save(figure, path)
