"""Arithmetic of frame choice."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emo_llama_hf.processing.frame_indices import count_at_rate, decoding_runs, evenly_in_time, evenly_spaced

counts = st.integers(1, 500)
gaps = st.lists(st.floats(0.001, 100), min_size=1, max_size=60)


@given(counts, counts)
def test_evenly_spaced_takes_sorted_unique_items_from_centres_of_equal_stretches(available, wanted):
    indices = evenly_spaced(available, wanted)
    assert len(indices) == min(available, wanted)
    assert indices == sorted(set(indices))
    assert 0 <= indices[0] and indices[-1] < available
    step = available / len(indices)
    for i, index in enumerate(indices):
        assert abs(index + 0.5 - (i + 0.5) * step) <= 0.5 + 1e-9
    gaps = [b - a for a, b in itertools.pairwise(indices)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    mirrored = [available - 1 - index for index in reversed(indices)]
    assert all(abs(a - b) <= 1 for a, b in zip(indices, mirrored, strict=True))


def test_evenly_spaced_of_nothing_is_nothing():
    assert evenly_spaced(0, 5) == []


@given(counts, st.integers(1, 60), st.sampled_from([1.0, 0.04, 1001 / 30000]))
def test_equal_frames_in_time_are_evenly_spaced(available, wanted, gap):
    times = [i * gap for i in range(available)]
    in_time = evenly_in_time(times, available * gap, wanted)
    assert all(abs(a - b) <= 1 for a, b in zip(in_time, evenly_spaced(available, wanted), strict=True))


@given(gaps, counts)
def test_frames_in_time_are_sorted_unique_and_as_many_as_there_are(gaps, wanted):
    times = [sum(gaps[:i]) for i in range(len(gaps))]
    indices = evenly_in_time(times, sum(gaps), wanted)
    assert len(indices) == min(len(times), wanted)
    assert indices == sorted(set(indices))
    assert 0 <= indices[0] and indices[-1] < len(times)


@given(gaps, counts)
def test_frames_in_time_are_on_screen_at_the_centres_unless_one_covers_several(gaps, wanted):
    times = [sum(gaps[:i]) for i in range(len(gaps))]
    duration = sum(gaps)
    indices = evenly_in_time(times, duration, wanted)
    centres = [(i + 0.5) * duration / len(indices) for i in range(len(indices))]
    on_screen = [max(i for i, time in enumerate(times) if time <= centre) for centre in centres]
    if len(set(on_screen)) == len(on_screen):
        assert indices == on_screen


def test_frames_without_a_duration_count_as_equally_long():
    assert evenly_in_time([0, 1, 2, 3], None, 2) == [1, 3]


@pytest.mark.parametrize(
    ("duration", "fps", "limit", "count"),
    [(10, 1, None, 10), (10, 2.5, None, 25), (10, 2, 4, 4), (0.1, 1, None, 1), (10, 0.01, None, 1)],
)
def test_count_at_rate(duration, fps, limit, count):
    assert count_at_rate(duration, fps, limit) == count


@st.composite
def targets(draw):
    """Keyframes of a clip and wanted packets, each with the keyframe before it."""
    keyframes = sorted({0, *draw(st.lists(st.integers(0, 300), max_size=20))})
    wanted = draw(st.lists(st.integers(0, 320), min_size=1, max_size=20, unique=True))
    return [(max(k for k in keyframes if k <= packet), packet) for packet in wanted]


@given(targets(), st.integers(0, 20))
def test_decoding_runs_cover_every_target_from_its_keyframe_with_as_few_packets_as_seeking_allows(targets, seek_cost):
    runs = decoding_runs(targets, seek_cost)
    for keyframe, packet in targets:
        assert sum(first <= keyframe and packet <= last for first, last in runs) == 1
    assert all(after[0] - before[1] - 1 > seek_cost for before, after in itertools.pairwise(runs))
    assert {first for first, _ in runs} <= {keyframe for keyframe, _ in targets}
    needed = {p for keyframe, packet in targets for p in range(keyframe, packet + 1)}
    decoded = sum(last - first + 1 for first, last in runs)
    assert len(needed) <= decoded <= len(needed) + seek_cost * (len(targets) - 1)
