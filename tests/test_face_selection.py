"""Which faces are looked at, and the box cut out for one."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from emo_llama_hf.processing.face_detection import Face
from emo_llama_hf.processing.face_selection import expand_box, usable_faces

sides = st.integers(1, 4000)
coordinates = st.floats(-500, 4500, width=32)
boxes = st.tuples(coordinates, coordinates, coordinates, coordinates).map(
    lambda edges: (min(edges[0], edges[2]), min(edges[1], edges[3]), max(edges[0], edges[2]), max(edges[1], edges[3]))
)
margins = st.floats(0, 3)


def face(x0, y0, x1, y1, confidence):
    return Face((x0, y0, x1, y1), confidence, ((0.0, 0.0),) * 5)


LARGE = face(0, 0, 90, 110, 0.8)
SURE = face(200, 0, 240, 50, 0.99)
NARROW = face(300, 0, 310, 200, 0.9)
FACES = [LARGE, SURE, NARROW]


def test_small_and_doubtful_faces_are_left_out():
    assert usable_faces(FACES, 0, 0) == FACES
    assert usable_faces(FACES, 11, 0) == [LARGE, SURE]
    assert usable_faces(FACES, 10, 0) == FACES
    assert usable_faces(FACES, 0, 0.9) == [SURE, NARROW]
    assert usable_faces(FACES, 500, 0) == []
    assert usable_faces([], 0, 0) == []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("min_size", (-1, 0)),
        ("min_size", (math.nan, 0)),
        ("min_confidence", (0, 1.5)),
        ("min_confidence", (0, math.nan)),
    ],
)
def test_bad_limits_are_named(name, arguments):
    with pytest.raises(ValueError, match=name):
        usable_faces(FACES, *arguments)


@given(boxes, margins, sides, sides)
def test_an_expanded_box_lies_inside_the_picture(box, margin, width, height):
    x0, y0, x1, y1 = expand_box(box, margin, width, height)
    assert all(type(edge) is int for edge in (x0, y0, x1, y1))
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height


@given(boxes, margins, sides, sides)
def test_an_expanded_box_holds_what_the_picture_has_of_the_box(box, margin, width, height):
    x0, y0, x1, y1 = expand_box(box, margin, width, height)
    assume(box[0] < width and box[1] < height and box[2] > 0 and box[3] > 0)
    assert x0 <= max(box[0], 0)
    assert y0 <= max(box[1], 0)
    assert x1 >= math.floor(min(box[2], width))
    assert y1 >= math.floor(min(box[3], height))


@given(boxes, sides, sides)
def test_without_a_margin_a_second_time_changes_nothing(box, width, height):
    once = expand_box(box, 0, width, height)
    assert expand_box(once, 0, width, height) == once


@given(boxes, margins, margins, sides, sides)
def test_a_larger_margin_holds_a_smaller_one(box, margin, other, width, height):
    assume(box[0] < width and box[1] < height and box[2] > 0 and box[3] > 0)
    small = expand_box(box, min(margin, other), width, height)
    large = expand_box(box, max(margin, other), width, height)
    assert large[0] <= small[0] and large[1] <= small[1] and large[2] >= small[2] and large[3] >= small[3]


@given(boxes, st.integers(0, 300), sides, sides)
def test_the_rule_is_facexformers(box, percent, width, height):
    """FaceXFormer adds half of `percent` on each side, clips to the picture and cuts to whole pixels."""
    x0, y0, x1, y1 = box
    more_x, more_y = (x1 - x0) * percent / 200, (y1 - y0) * percent / 200
    expected = (
        math.trunc(max(0, x0 - more_x)),
        math.trunc(max(0, y0 - more_y)),
        math.trunc(min(width, x1 + more_x)),
        math.trunc(min(height, y1 + more_y)),
    )
    assume(expected[2] - expected[0] >= 1 and expected[3] - expected[1] >= 1)  # where its crop is not empty
    for edge, other in zip(expand_box(box, percent / 100, width, height), expected, strict=True):
        assert abs(edge - other) <= (0 if percent % 25 == 0 else 1)  # a rounded percentage may cross a whole pixel


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("box", ((10, 0, 0, 10), 0.5, 100, 100)),
        ("box", ((0, 10, 10, 0), 0.5, 100, 100)),
        ("box", ((0, 0, math.nan, 10), 0.5, 100, 100)),
        ("box", ((0, 0, math.inf, 10), 0.5, 100, 100)),
        ("box", ((0, 0, 10), 0.5, 100, 100)),
        ("margin", ((0, 0, 10, 10), -0.1, 100, 100)),
        ("margin", ((0, 0, 10, 10), math.inf, 100, 100)),
        ("width", ((0, 0, 10, 10), 0.5, 0, 100)),
        ("height", ((0, 0, 10, 10), 0.5, 100, 0)),
    ],
)
def test_bad_boxes_are_named(name, arguments):
    with pytest.raises(ValueError, match=name):
        expand_box(*arguments)
