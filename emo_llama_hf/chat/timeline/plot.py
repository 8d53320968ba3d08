"""The scores over time as a picture."""

import math
from pathlib import Path
from typing import Any

from ...missing_package import MissingPackageError
from .row import TimelineRow
from .timeline import Timeline

MOST_POINTS = 2000
"""Points of a line, more than a picture has pixels; of a longer clip each is a mean."""

MOST_PEOPLE = 8


class TimelinePlot:
    """
    Collects rows while they come, in memory that does not grow with the clip, and draws them.

    Args:
        timeline ([`Timeline`]): whose rows will come.

    Raises:
        `MissingPackageError`: matplotlib is not installed.
    """

    def __init__(self, timeline: Timeline) -> None:
        try:
            from matplotlib.figure import Figure  # not pyplot, which would pick a window system
        except ImportError as error:
            raise MissingPackageError("`plot` needs matplotlib: pip install 'emo_llama_hf[timeline]'.") from error
        self._figure = Figure
        self._timeline = timeline
        self._width = timeline.every  # seconds that a point stands for
        self._sums: dict[int, dict[int, list[float]]] = {}  # by person and point: rows, then the sum of each score

    def add(self, row: TimelineRow) -> None:
        """
        Take a row into account.

        Args:
            row (`TimelineRow`): rows come in order of time.
        """
        while row["time"] >= self._width * MOST_POINTS:
            self._width *= 2
            for person, points in self._sums.items():
                self._sums[person] = _halved(points)
        point = int(row["time"] / self._width + 1e-6)
        _add(self._sums.setdefault(row["person"], {}), point, [1, *row["scores"].values()])

    def save(self, path: Path) -> None:
        """
        Draw each person's scores, with their segments as a band above; of many people, those seen most.

        Args:
            path (`Path`): PNG file to write.
        """
        from matplotlib import colormaps
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        labels = self._timeline.labels
        colors = dict(zip(labels, (colormaps["tab10"](i % 10) for i in range(len(labels))), strict=True))
        seen = sorted(self._timeline.people, key=lambda person: -person["moments"])[:MOST_PEOPLE]
        shown = sorted(person["person"] for person in seen)
        figure = self._figure(figsize=(10, 1 + 2.2 * max(len(shown), 1)), layout="constrained")
        FigureCanvasAgg(figure)
        end = self._timeline.duration or max((person["last"] for person in self._timeline.people), default=1)
        if not shown:
            figure.add_subplot(xlabel="seconds", xlim=(0, end), ylim=(0, 1.1), title="no face was found")
        first: Any = None
        for position, person in enumerate(shown, 1):
            first = axes = figure.add_subplot(len(shown), 1, position, sharex=first, ylim=(0, 1.1))
            axes.set_ylabel(f"person {person}")
            axes.set_xlim(0, end)
            axes.grid(alpha=0.3)
            self._draw_scores(axes, self._sums[person], colors)
            for segment in self._timeline.segments:
                if segment["person"] == person:
                    bar = [(segment["start"], segment["end"] - segment["start"])]
                    axes.broken_barh(bar, (1.04, 0.06), color=colors[segment["emotion"]])
            if position == len(shown):
                axes.set_xlabel("seconds")
        if shown:
            lines = figure.axes[0].get_lines()[: len(labels)]
            figure.legend(lines, labels, loc="outside right upper", title="perceived")
        left_out = len(self._timeline.people) - len(shown)
        if left_out:
            figure.suptitle(f"{len(shown)} of {len(self._timeline.people)} people", fontsize=10)
        figure.savefig(path, format="png", dpi=120)

    def _draw_scores(self, axes: Any, points: dict[int, list[float]], colors: dict[str, Any]) -> None:
        times: list[float] = []
        means: list[list[float]] = []
        # Who is not seen for two points in a row has no line there.
        for point, following in zip(sorted(points), [*sorted(points)[1:], math.inf], strict=True):
            count, *sums = points[point]
            times.append(point * self._width)
            means.append([total / count for total in sums])
            if following - point > 2:
                times.append(times[-1] + self._width)
                means.append([math.nan] * len(sums))
        for (label, color), scores in zip(colors.items(), zip(*means, strict=True), strict=True):
            alone = len(times) == 2
            axes.plot(times, scores, label=label, color=color, marker="o" if alone else None, linewidth=1.2)


def _add(points: dict[int, list[float]], point: int, values: list[float]) -> None:
    points[point] = [a + b for a, b in zip(points.get(point, [0.0] * len(values)), values, strict=True)]


def _halved(points: dict[int, list[float]]) -> dict[int, list[float]]:
    """Two neighbours as one."""
    halved: dict[int, list[float]] = {}
    for point, values in points.items():
        _add(halved, point // 2, values)
    return halved
