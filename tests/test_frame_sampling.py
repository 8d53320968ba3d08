"""Strategies of choosing a clip's frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo_llama_hf.processing.frame_sampling import CANDIDATES_PER_FRAME, FACE_BATCH, sample_frames
from media import clip, number_of, numbered

CLIP = clip(frames=100, keyframe_every=25)  # ten seconds
FRAMES = np.stack([numbered(i) for i in range(100)])


def numbers(sampled) -> list[int]:
    return [number_of(frame) for frame in sampled.frames]


def test_uniform_takes_the_centres_of_equal_spans():
    sampled = sample_frames(CLIP, num_frames=4)
    assert numbers(sampled) == [12, 37, 62, 87]
    assert sampled.timestamps == pytest.approx([1.2, 3.7, 6.2, 8.7])
    assert sampled.duration == pytest.approx(10.0)
    assert sampled.strategy == "uniform" and sampled.problem is None
    assert all(frame.mode == "RGB" for frame in sampled.frames)


def test_a_short_clip_gives_every_frame_once():
    assert numbers(sample_frames(clip(frames=3), num_frames=8)) == [0, 1, 2]


def test_fps_takes_so_many_frames_a_second_up_to_the_limit():
    sampled = sample_frames(CLIP, "fps", fps=1)
    assert numbers(sampled) == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95] and sampled.strategy == "fps"
    assert numbers(sample_frames(CLIP, "fps", fps=1, max_frames=4)) == [12, 37, 62, 87]
    assert numbers(sample_frames(CLIP, "fps", fps=1000)) == list(range(100))
    assert numbers(sample_frames(CLIP, "fps", fps=0.01)) == [50]
    assert numbers(sample_frames(FRAMES, "fps", fps=2, video_fps=50)) == [12, 37, 62, 87]


def test_face_spreads_frames_over_those_with_a_face():
    seen = []

    def in_the_second_half(frames):
        seen.append([number_of(frame) for frame in frames])
        return [number >= 50 for number in seen[-1]]

    sampled = sample_frames(CLIP, "face", num_frames=5, has_face=in_the_second_half)
    assert sampled.strategy == "face"
    assert numbers(sampled) == [57, 67, 77, 87, 97]
    candidates = [number for batch in seen for number in batch]
    assert candidates == numbers(sample_frames(CLIP, num_frames=5 * CANDIDATES_PER_FRAME))
    assert max(map(len, seen)) <= FACE_BATCH and len(candidates) == 5 * CANDIDATES_PER_FRAME


def test_face_gives_fewer_frames_where_fewer_show_one():
    sampled = sample_frames(CLIP, "face", num_frames=3, has_face=lambda frames: [number_of(f) < 10 for f in frames])
    assert sampled.strategy == "face" and numbers(sampled) == [4]


def test_face_falls_back_to_uniform_and_says_so():
    sampled = sample_frames(CLIP, "face", num_frames=4, has_face=lambda frames: [False] * len(frames))
    assert sampled.strategy == "uniform" and numbers(sampled) == [12, 37, 62, 87]


def test_face_answers_must_match_the_frames():
    with pytest.raises(ValueError, match="`has_face`"):
        sample_frames(CLIP, "face", has_face=lambda frames: [True])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.sets(st.integers(0, 99)))
def test_face_frames_show_faces_in_order(num_frames, with_face):
    sampled = sample_frames(
        FRAMES, "face", num_frames, has_face=lambda frames: [number_of(frame) in with_face for frame in frames]
    )
    chosen = numbers(sampled)
    assert chosen == sorted(set(chosen)) and len(chosen) <= num_frames
    candidates = set(numbers(sample_frames(FRAMES, num_frames=num_frames * CANDIDATES_PER_FRAME)))
    assert sampled.strategy == ("face" if candidates & with_face else "uniform")
    assert len(chosen) == min(num_frames, len(candidates & with_face) or num_frames)
    assert sampled.strategy == "uniform" or set(chosen) <= with_face


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ({"strategy": "middle"}, "strategy"),
        ({"on_error": "ignore"}, "on_error"),
        ({"num_frames": 0}, "num_frames"),
        ({"num_frames": 2.5}, "num_frames"),
        ({"num_frames": True}, "num_frames"),
        ({"num_frames": None}, "num_frames"),
        ({"strategy": "fps"}, "fps"),
        ({"strategy": "fps", "fps": 0}, "fps"),
        ({"strategy": "fps", "fps": float("nan")}, "fps"),
        ({"strategy": "fps", "fps": 1, "max_frames": 0}, "max_frames"),
        ({"strategy": "face"}, "has_face"),
        ({"video_fps": 10}, "video_fps"),
        ({"video": FRAMES, "video_fps": -1}, "video_fps"),
        ({"video": FRAMES, "strategy": "fps", "fps": 1}, "video_fps"),
    ],
)
def test_settings_out_of_range_are_named(setting, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        sample_frames(**{"video": CLIP, **setting})
