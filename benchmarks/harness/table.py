"""A row's results as a Markdown table, which reads well on a terminal too."""

from collections.abc import Mapping
from typing import Any

from harness.row import BEFORE, OURS


def table(kept: Mapping[str, Any]) -> str:
    """Of a row's JSON; of one whose cases are sizes, how cost grows with them."""
    return _growth_table(kept) if "growth" in kept else _ratio_table(kept)


def _ratio_table(kept: Mapping[str, Any]) -> str:
    names = list(next(iter(kept["cases"].values()))["sides"])
    others = [name for name in names if name != OURS]
    heads = ["", "ours" + f", a {kept['item']}" * bool(kept["item"]), *(f"{name} ÷ ours" for name in others)]
    heads += ["before ÷ ours, CPU time", "peak memory"]
    lines = [_line(heads), "|---|" + "---:|" * (len(heads) - 1)]
    differs = []
    for case, found in kept["cases"].items():
        sides = found["sides"]
        cells = [case, _time(sides[OURS], found["count"])]
        cells += [_ratio(sides[name], found["ratios"].get(name)) for name in others]
        cpu = found["ratios"].get(BEFORE, {}).get("cpu")
        cells.append("" if cpu is None else f"{cpu:.2f}")
        memory = [f"{sides[name]['peak_bytes'] / 1e6:.0f}" for name in (OURS, BEFORE) if "peak_bytes" in sides[name]]
        cells.append(", before ".join(memory) + " MB" * bool(memory))
        lines.append(_line(cells))
        if "differs" in found:
            differs.append(f"**{case}: answers are not what they should be.** {found['differs']}")
    return "\n".join(lines + [line for text in differs for line in ("", text)])


def _growth_table(kept: Mapping[str, Any]) -> str:
    cases = list(kept["cases"].values())
    sizes = [case["count"] for case in cases]
    lines = [
        f"| {sizes[0]} to {sizes[-1]} {kept['item']}s | exponent of time | exponent of memory | time at {sizes[0]} | "
        f"time at {sizes[-1]} | peak memory at {sizes[-1]} |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in cases[0]["sides"]:
        sides = [case["sides"][name] for case in cases]
        if name in kept["growth"]:
            exponents = kept["growth"][name]
            cells = [f"{exponents['time']:.2f}", f"{exponents['memory']:.2f}", _time(sides[0]), _time(sides[-1])]
            lines.append(_line([name, *cells, f"{sides[-1]['peak_bytes'] / 1e6:.0f} MB"]))
        else:
            problem = next(side["problem"] for side in sides if "problem" in side)
            lines.append(_line([name, problem, "", "", "", ""]))
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _time(side: Mapping[str, Any], count: int = 1) -> str:
    if "problem" in side:
        return str(side["problem"])
    seconds = side["median_s"] / count
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def _ratio(side: Mapping[str, Any], ratio: Mapping[str, float] | None) -> str:
    if "problem" in side or ratio is None:
        return str(side.get("problem", "ours failed"))
    return f"{ratio['ratio']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
