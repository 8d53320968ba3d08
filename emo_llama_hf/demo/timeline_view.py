"""The timeline under a video: a row a person, with segments to click and curves of the scores, as HTML."""

from collections.abc import Sequence
from html import escape

from ..chat.timeline.row import TimelineRow, TimelineSegment
from .clip import Clip

# In the order of the labels; dark words are legible on all of them, and all of them on white and on black.
COLORS = ("#e5604d", "#6bb55f", "#a679d9", "#f2b705", "#5b8def", "#f08a24", "#9aa5b1", "#2bb3a3", "#d96fa8", "#b08d57")
TICKS = 6  # at most, on the axis
STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


def timeline_view(clip: Clip) -> str:
    """
    The timeline as far as it is known. What has `data-time` seeks the video there, see `timeline.js`.

    Args:
        clip ([`Clip`])
    """
    timeline = clip.timeline
    duration = timeline.duration or max((row["time"] for row in clip.rows), default=0) or 1
    colors = {label: COLORS[i % len(COLORS)] for i, label in enumerate(timeline.labels)}
    people = "".join(_person(clip, number, duration, colors) for number in clip.numbers)
    told = {segment["emotion"] for segment in timeline.segments}
    legend = "".join(
        f'<li><i style="background:{color}"></i>{escape(label)}</li>'
        for label, color in colors.items()
        if label in told
    )
    step = next((step for step in STEPS if duration / step <= TICKS), duration)
    ticks = "".join(
        f'<span style="left:{100 * i * step / duration:.2f}%">{i * step:g} s</span>'
        for i in range(int(duration / step + 1e-6) + 1)
    )
    return (
        f'<div class="timeline" data-duration="{duration:.3f}">{people}'
        f'<div class="person axis"><b></b><div class="ticks">{ticks}</div></div>'
        f'<ul class="legend">{legend}</ul></div>'
    )


def _person(clip: Clip, number: int, duration: float, colors: dict[str, str]) -> str:
    rows = [row for row in clip.rows if row["person"] == number]
    segments = [segment for segment in clip.timeline.segments if segment["person"] == number]
    buttons = "".join(_segment(segment, duration, colors) for segment in segments)
    curves = "".join(
        _curve(rows, label, color, duration, 2.5 * clip.timeline.every) for label, color in colors.items()
    )
    return (
        f'<div class="person"><b>person {number}</b><div class="track"><div class="band">{buttons}</div>'
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">{curves}</svg>'
        '<i class="playhead" aria-hidden="true"></i></div></div>'
    )


def _segment(segment: TimelineSegment, duration: float, colors: dict[str, str]) -> str:
    start, end, emotion = segment["start"], segment["end"], escape(segment["emotion"])
    told = f"{start:.1f} to {end:.1f} s: perceived {emotion}, {segment['score']:.0%} on average"
    place = f"left:{100 * start / duration:.2f}%;width:{100 * (end - start) / duration:.2f}%"
    return (
        f'<button type="button" data-time="{start:.3f}" title="{told}" aria-label="{told}" '
        f'style="{place};background:{colors[segment["emotion"]]}">{emotion}</button>'
    )


def _curve(rows: Sequence[TimelineRow], label: str, color: str, duration: float, gap: float) -> str:
    points, before = [], None
    for row in rows:
        pen = "M" if before is None or row["time"] - before > gap else "L"  # no line where somebody is not seen
        points.append(f"{pen}{1000 * row['time'] / duration:.1f} {98 - 96 * row['scores'][label]:.1f}")
        before = row["time"]
    return f'<path d="{"".join(points)}" stroke="{color}"/>'
