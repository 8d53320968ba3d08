"""Following faces over frames."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emo_llama_hf.processing.face_detection import Face
from emo_llama_hf.processing.face_tracks import link_faces, select_tracks, shift


def face(x, y, width, height, confidence=0.9):
    return Face((float(x), float(y), float(x + width), float(y + height)), confidence, ((0.0, 0.0),) * 5)


corners, sizes = st.integers(0, 120), st.integers(1, 60)
faces = st.builds(face, corners, corners, sizes, sizes, st.floats(0.5, 1, width=16))
frames = st.lists(faces, max_size=5, unique_by=lambda found: found.box)
clips = st.lists(frames, max_size=6)


@given(faces, faces, st.floats(0.1, 10), st.integers(-50, 50))
def test_shift_does_not_depend_on_order_place_or_scale(first, second, scale, move):
    def moved(found):
        return Face(tuple(scale * (edge + move) for edge in found.box), found.confidence, found.landmarks)

    assert shift(first, first) == 0 <= shift(first, second) == shift(second, first)
    assert shift(moved(first), moved(second)) == pytest.approx(shift(first, second), rel=1e-3, abs=1e-3)


def test_shift_by_hand():
    assert shift(face(0, 0, 10, 10), face(5, 0, 10, 10)) == pytest.approx(0.5)
    assert shift(face(0, 0, 10, 10), face(30, 40, 10, 10)) == pytest.approx(5)
    assert shift(face(0, 0, 10, 10), face(0, 0, 30, 30)) == pytest.approx(2**0.5)
    assert shift(face(0, 0, 0, 0), face(0, 0, 0, 0)) == 0
    assert shift(face(0, 0, 0, 0), face(1, 0, 9, 9)) == math.inf


@given(clips)
def test_every_face_is_in_one_track_at_its_frame(clip):
    tracks = link_faces(clip)
    assert all(len(track) == len(clip) and any(track) for track in tracks)
    for index, found in enumerate(clip):
        linked = [track[index] for track in tracks if track[index] is not None]
        assert sorted(map(id, linked)) == sorted(map(id, found))


@given(clips)
def test_successive_faces_of_a_track_are_near(clip):
    for track in link_faces(clip, max_shift=0.7):
        present = [found for found in track if found is not None]
        assert all(shift(*pair) <= 0.7 for pair in pairwise(present))


@given(clips, st.randoms(use_true_random=False))
def test_the_order_within_a_frame_does_not_matter(clip, random):
    shuffled = [random.sample(found, len(found)) for found in clip]
    assert set(map(tuple, link_faces(clip))) == set(map(tuple, link_faces(shuffled)))


@given(frames, st.integers(1, 5))
def test_who_does_not_move_stays_one_person(found, times):
    apart = [face(1000 * i, 0, f.box[2] - f.box[0], f.box[3] - f.box[1]) for i, f in enumerate(found)]
    assert link_faces([apart] * times) == [[person] * times for person in apart]


def test_people_who_cross_or_turn_away_are_followed():
    left, right = [face(x, 0, 40, 40) for x in (0, 10, 20)], [face(x, 0, 40, 40) for x in (200, 190, 180)]
    tracks = link_faces([[left[0], right[0]], [right[1]], [right[2], left[2]]])
    assert tracks == [[left[0], None, left[2]], [right[0], right[1], right[2]]]
    newcomer = face(500, 0, 40, 40)
    assert link_faces([[], [newcomer]]) == [[None, newcomer]]


def test_each_choice_takes_its_track():
    brief = [face(0, 0, 100, 100, 0.99), None, None]
    lasting = [face(300, 0, 70, 70, 0.6)] * 3
    certain = [face(600, 0, 30, 30, 0.95)] * 3
    tracks = [brief, lasting, certain]
    assert select_tracks(tracks, "largest") == [lasting]
    assert select_tracks(tracks, "most_confident") == [certain]
    assert select_tracks(tracks, "all") == tracks
    assert select_tracks([certain, certain[:]], "largest")[0] is certain  # of equals the first
    for choice in ("largest", "most_confident", "all"):
        assert select_tracks([], choice) == []


@given(clips, st.sampled_from(["largest", "most_confident"]))
def test_one_track_is_chosen_if_there_is_any(clip, choice):
    tracks = link_faces(clip)
    chosen = select_tracks(tracks, choice)
    assert len(chosen) == min(len(tracks), 1)
    assert all(track in tracks for track in chosen)


def test_an_unknown_choice_is_named():
    for tracks in ([], [[face(0, 0, 1, 1)]]):
        with pytest.raises(ValueError, match=r"`face_choice` must be one of largest, .*'tallest'"):
            select_tracks(tracks, "tallest")
