"""Faces that are followed are those that a search of the whole frame finds."""

import math
from pathlib import Path

import pytest
from PIL import Image

from emo_llama_hf.processing.face_detection import EmoLlamaFaceDetector, EmoLlamaFaceDetectorConfig
from emo_llama_hf.processing.face_following import follow_faces
from emo_llama_hf.processing.face_tracks import shift
from tiny_model import FACE_DETECTOR

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="module")
def detector():
    return EmoLlamaFaceDetector.from_pretrained(FACE_DETECTOR)


def people(number: int, size: tuple[int, int] = (640, 360)) -> Image.Image:
    """A frame of a film in which two people move, come nearer and go away."""
    frame = Image.new("RGB", size, (90, 110, 130))
    for place, (name, part) in enumerate({"astronaut.png": (100, 0, 400, 300), "grace_hopper.jpg": None}.items()):
        photo = Image.open(SAMPLES / name).convert("RGB")
        side = round(220 + 40 * math.sin(number / 4 + place))
        left = round(60 + 290 * place + 25 * math.sin(number / 2 + place))
        frame.paste(photo.resize((side, side), box=part), (left, round(60 + 30 * math.cos(number / 3))))
    return frame


@pytest.mark.parametrize("fraction", [0, 1 / 10], ids=["as large as it is", "scaled down"])
def test_followed_faces_are_those_of_the_whole_frame(detector, fraction):
    detector = EmoLlamaFaceDetector(EmoLlamaFaceDetectorConfig(min_face_fraction=fraction)).eval()
    detector.load_state_dict(EmoLlamaFaceDetector.from_pretrained(FACE_DETECTOR).state_dict())
    known = detector.detect([people(0)])[0]
    assert len(known) == 2
    for number in range(1, 16):
        frame = people(number)
        followed, [whole] = follow_faces(detector, frame, known), detector.detect([frame])
        assert len(followed) == len(whole)
        for face in whole:
            nearest = min(followed, key=lambda other: shift(face, other))
            side = face.box[2] - face.box[0]
            assert nearest.box == pytest.approx(face.box, abs=0.15 * side)
            for point, other in zip(nearest.landmarks, face.landmarks, strict=True):
                assert point == pytest.approx(other, abs=0.15 * side)
        areas = [(face.box[2] - face.box[0]) * (face.box[3] - face.box[1]) for face in followed]
        assert areas == sorted(areas, reverse=True)
        known = followed


def test_a_face_that_is_gone_is_lost(detector):
    frame = people(0)
    known = detector.detect([frame])[0]
    assert follow_faces(detector, Image.new("RGB", frame.size), known) is None
    one_left = frame.copy()
    one_left.paste((0, 0, 0), (0, 0, 330, 360))
    assert follow_faces(detector, one_left, known) is None
    assert follow_faces(detector, frame, []) == []


def test_two_faces_are_never_followed_to_one(detector):
    [face] = detector.detect([people(0).crop((0, 0, 330, 360))])[0]
    assert follow_faces(detector, people(0), [face, face]) is None


def test_a_face_at_the_edge_is_followed(detector):
    person = Image.open(SAMPLES / "astronaut.png").convert("RGB").crop((150, 30, 350, 230))
    [face] = detector.detect([person])[0]
    [followed] = follow_faces(detector, person, [face])
    assert followed.box == pytest.approx(face.box, abs=0.15 * (face.box[2] - face.box[0]))


def test_little_of_the_frame_is_looked_at(detector, monkeypatch):
    seen = []
    forward = detector.mtcnn.forward
    monkeypatch.setattr(
        detector.mtcnn, "forward", lambda pixels, *args: seen.append(pixels[..., 0].numel()) or forward(pixels, *args)
    )
    frame = people(0, (1280, 720))
    [faces] = detector.detect([frame])
    assert len(follow_faces(detector, frame, faces)) == 2
    assert sum(seen[1:]) < seen[0] / 4
