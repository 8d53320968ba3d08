"""Which frames of a clip to take: arithmetic on frame numbers and times, without any pixels."""

from bisect import bisect_right
from collections.abc import Sequence


def evenly_spaced(available: int, wanted: int) -> list[int]:
    """
    Numbers of `wanted` of `available` items, at the centres of equal stretches; all of them if there are fewer.

    Sorted and unique, and the same from the back as from the front, up to rounding.
    """
    wanted = min(wanted, available)
    return [(2 * i + 1) * available // (2 * wanted) for i in range(wanted)]


def evenly_in_time(times: Sequence[float], duration: float | None, wanted: int) -> list[int]:
    """
    Numbers of the frames on screen at the centres of `wanted` equal spans of a clip; all if there are fewer frames.

    Args:
        times (`Sequence[float]`): when each frame appears, in seconds, increasing from 0.
        duration (`float`, *optional*): length of the clip in seconds; `None` takes the frames as equally long.
        wanted (`int`): number of frames.

    Returns:
        `list[int]`: sorted, unique frame numbers. Where one long-lasting frame covers several centres, its neighbours
        stand in.
    """
    if duration is None:
        return evenly_spaced(len(times), wanted)
    wanted = min(wanted, len(times))
    indices: list[int] = []
    for i in range(wanted):
        on_screen = bisect_right(times, (i + 0.5) * duration / wanted) - 1
        earliest = indices[-1] + 1 if indices else 0
        latest = len(times) - wanted + i  # leaves a frame for each span still to come
        indices.append(min(max(on_screen, earliest), latest))
    return indices


def count_at_rate(duration: float, fps: float, max_frames: int | None) -> int:
    """How many frames, one at least, `fps` a second make in `duration` seconds, capped by `max_frames`."""
    count = max(1, round(duration * fps))
    return count if max_frames is None else min(count, max_frames)


def decoding_runs(targets: Sequence[tuple[int, int]], seek_cost: int) -> list[tuple[int, int]]:
    """
    Stretches of packets, in decoding order, whose decoding yields every target frame.

    Args:
        targets (`Sequence[tuple[int, int]]`):
            For each wanted frame, the keyframe packet it can be decoded from and its own packet.
        seek_cost (`int`):
            Number of packets whose decoding takes as long as one seek: shorter gaps are decoded through.

    Returns:
        `list[tuple[int, int]]`: disjoint `(first, last)` packet numbers, both included, in increasing order; each
        `first` is a keyframe.
    """
    runs: list[tuple[int, int]] = []
    for first, last in sorted(targets):
        if runs and first <= runs[-1][1] + 1 + seek_cost:
            runs[-1] = (runs[-1][0], max(runs[-1][1], last))
        else:
            runs.append((first, last))
    return runs
