"""From what was measured to a row's JSON: medians, ratios, and how cost grows."""

import math
import statistics
from collections.abc import Mapping
from typing import Any

from harness.row import OURS, Row


def summary(row: Row, runs: Mapping[str, Any]) -> dict[str, Any]:
    """
    What is kept of a row.

    Args:
        row ([`Row`])
        runs (`Mapping[str, Any]`): of [`measure_row`].

    Returns:
        `dict`: `cases`, of each its `count` and `sides` (times, memory, or `problem`), `ratios` of the other sides'
        times to ours (above 1 is slower than ours), and `differs` where answers are not what they should be; with
        sizes also `growth`.
    """
    cases = {case: _case(row, case, count, runs) for case, count in row.cases.items()}
    kept = {"row": row.name, "about": row.about, "item": row.item, "cases": cases}
    if row.grows:
        kept["growth"] = {name: found for name in row.sides if (found := growth(cases, name))}
    return kept


def _case(row: Row, case: str, count: int, runs: Mapping[str, Any]) -> dict[str, Any]:
    sides = {name: _side(case, run) for name, run in runs.items()}
    kept: dict[str, Any] = {"count": count, "sides": sides, "ratios": {}}
    for name, side in sides.items():
        if name != OURS and "median_s" in side and "median_s" in sides[OURS]:
            both = zip(sides[OURS]["rounds_s"], side["rounds_s"], strict=False)
            rounds = [statistics.median(others) / statistics.median(ours) for ours, others in both]
            ratio = side["median_s"] / sides[OURS]["median_s"]
            cpu = side["cpu_s"] / sides[OURS]["cpu_s"] if sides[OURS]["cpu_s"] else None
            kept["ratios"][name] = {"ratio": ratio, "low": min(rounds), "high": max(rounds), "cpu": cpu}
    answers = {name: run[0][case]["answer"] for name, run in runs.items() if "median_s" in sides[name]}
    if row.check is not None and OURS in answers:
        try:
            row.check(case, answers)
        except Exception as error:  # whatever is wrong with the answers
            kept["differs"] = f"{type(error).__name__}: {error}"[:300]
    return kept


def _side(case: str, run: Any) -> dict[str, Any]:
    if isinstance(run, str):
        return {"problem": run}
    if problems := [one[case]["problem"] for one in run if "problem" in one[case]]:
        return {"problem": problems[0]}
    rounds = [one[case]["seconds"] for one in run]
    every = [second for seconds in rounds for second in seconds]
    return {
        "median_s": statistics.median(every),
        "low_s": min(every),
        "high_s": max(every),
        "cpu_s": statistics.median(second for one in run for second in one[case]["cpu_seconds"]),
        "peak_bytes": max(one[case]["peak_bytes"] for one in run),
        "held_bytes": statistics.median(one[case]["held_bytes"] for one in run),
        "rounds_s": rounds,
    }


def growth(cases: Mapping[str, Mapping[str, Any]], side: str) -> dict[str, float] | None:
    """
    The exponents of a side's cost by size, fitted to the larger half of the sizes: 1 is linear, 2 quadratic.

    Returns:
        `dict`, *optional*: `time`, and `memory` beyond what was held before the smallest; `None` if a size is missing.
    """
    sides = [case["sides"][side] for case in cases.values()]
    if any("median_s" not in one for one in sides):
        return None
    counts = [case["count"] for case in cases.values()]
    added = [max(one["peak_bytes"] - sides[0]["held_bytes"], 1) for one in sides]
    half = len(counts) // 2
    return {
        "time": exponent(counts[half:], [one["median_s"] for one in sides[half:]]),
        "memory": exponent(counts[half:], added[half:]),
    }


def exponent(sizes: list[int], costs: list[float]) -> float:
    """The slope of the straight line nearest to the costs, both axes logarithmic."""
    slope, _ = statistics.linear_regression([math.log(size) for size in sizes], [math.log(cost) for cost in costs])
    return slope
