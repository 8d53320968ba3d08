"""Face detection beside facenet-pytorch's own results, and what holds for any set of boxes."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emo_llama_hf.processing import face_detection as module
from emo_llama_hf.processing.face_detection import SMALLEST_FACE, EmoLlamaFaceDetector, EmoLlamaFaceDetectorConfig
from emo_llama_hf.processing.face_finder import FaceFinder, FaceSettings
from emo_llama_hf.processing.mtcnn import pyramid_scales
from emo_llama_hf.processing.non_maximum_suppression import nms_per_picture, non_maximum_suppression
from emo_llama_hf.processing.visual import Visual
from tiny_model import FACE_DETECTOR

HERE = Path(__file__).parent
FIXTURES = HERE / "fixtures" / "mtcnn"
SAMPLES = ["astronaut.png", "chelsea.png", "coffee.png", "grace_hopper.jpg"]


@pytest.fixture(scope="module")
def detector():
    return EmoLlamaFaceDetector.from_pretrained(FACE_DETECTOR)


def sample(name):
    with Image.open(HERE / "samples" / name) as image:
        return image.convert("RGB")


def synthetic_pictures():
    """Pictures made of the samples by steps that every version of Pillow and numpy does alike."""
    astronaut, hopper, cat = sample("astronaut.png"), sample("grace_hopper.jpg"), sample("chelsea.png")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (420, 500, 3), dtype=np.uint8))
    crowd = noise.copy()
    for index in range(6):
        one = (astronaut, hopper)[index % 2].reduce(3 + index // 2)
        crowd.paste(one, (15 + 160 * (index % 3), 10 + 205 * (index // 3)))
    pair = Image.new("RGB", (700, 600), "gray")
    pair.paste(astronaut.crop((100, 0, 350, 300)), (20, 40))
    pair.paste(hopper.crop((80, 40, 430, 480)), (320, 60))
    ramp = np.add.outer(np.arange(200), np.arange(260)) // 2
    small = Image.fromarray(np.stack([ramp, 255 - ramp, ramp], -1).astype(np.uint8))
    small.paste(hopper.reduce(6), (90, 60))
    return {
        "crowd_on_noise": crowd,
        "pair_of_two_sizes": pair,
        "small_on_gradient": small,
        "mirrored": astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "cut_by_left_edge": astronaut.crop((205, 20, 400, 260)),
        "cut_by_bottom_edge": hopper.crop((100, 60, 440, 300)),
        "enlarged": astronaut.crop((150, 30, 300, 210)).resize((900, 1080), Image.Resampling.NEAREST),
        "face_and_cat": Image.fromarray(np.hstack([np.asarray(cat), np.asarray(hopper.crop((80, 60, 420, 360)))])),
    }


def assert_same_faces(faces, expected):
    boxes, probabilities = expected["boxes"] or [], expected["probs"] or []
    assert len(faces) == len(boxes)
    for face, box, probability, landmarks in zip(
        faces, boxes, probabilities, expected["landmarks"] or [], strict=True
    ):
        np.testing.assert_allclose(face.box, box, rtol=0, atol=1)
        assert face.confidence == pytest.approx(probability, abs=1e-3)
        np.testing.assert_allclose(face.landmarks, landmarks, rtol=0, atol=1)


def test_samples_give_the_originals_faces(detector):
    expected = json.loads((FIXTURES / "expected.json").read_text())
    for name, faces in zip(SAMPLES, detector.detect([sample(name) for name in SAMPLES]), strict=True):
        assert_same_faces(faces, expected[name])


def test_synthetic_pictures_give_the_originals_faces(detector):
    expected = json.loads((FIXTURES / "synthetic.json").read_text())["pictures"]
    pictures = synthetic_pictures()
    assert pictures.keys() == expected.keys()
    for name, picture in pictures.items():
        assert_same_faces(detector.detect([picture])[0], expected[name])


def test_a_batch_gives_what_each_picture_gives_alone(detector):
    pictures = [*synthetic_pictures().values(), sample("astronaut.png"), sample("coffee.png")]
    pictures += [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in pictures]
    small_batches = EmoLlamaFaceDetector(EmoLlamaFaceDetectorConfig(batch_size=3, crop_batch_size=7))
    small_batches.load_state_dict(detector.state_dict())
    alone = [detector.detect([picture])[0] for picture in pictures]
    for batched in (detector.detect(pictures), small_batches.detect(pictures)):
        for faces, expected in zip(batched, alone, strict=True):
            assert len(faces) == len(expected)
            for face, other in zip(faces, expected, strict=True):
                np.testing.assert_allclose(face.box, other.box, atol=0.01)


def test_at_most_batch_size_pictures_are_looked_at_together(detector, monkeypatch):
    seen = []
    forward = detector.mtcnn.forward
    monkeypatch.setattr(detector.mtcnn, "forward", lambda pixels: seen.append(len(pixels)) or forward(pixels))
    detector.detect([Image.new("RGB", (40, 40 + 8 * (index % 2))) for index in range(21)])
    assert sum(seen) == 21
    assert max(seen) == detector.config.batch_size


def test_no_more_pixels_than_a_large_picture_has_are_looked_at_together(detector, monkeypatch):
    picture = sample("astronaut.png")
    [[expected]] = detector.detect([picture])
    monkeypatch.setattr(module, "LARGEST_PICTURE", picture.width * picture.height // 3)
    seen = []
    forward = detector.mtcnn.forward
    monkeypatch.setattr(
        detector.mtcnn, "forward", lambda pixels: seen.append(pixels[..., 0].numel()) or forward(pixels)
    )
    small = picture.resize((picture.width // 2, picture.height // 2))
    [face], *rest = detector.detect([picture, small, small])
    assert max(seen) <= module.LARGEST_PICTURE and len(seen) == 3
    assert len(rest) == 2
    np.testing.assert_allclose(face.box, expected.box, atol=8)
    np.testing.assert_allclose(face.landmarks, expected.landmarks, atol=8)


def test_faces_are_looked_for_in_proportion_to_the_picture(detector, monkeypatch):
    """In a large picture none is lost that is a fortieth of its shorter side, and a quarter of its pixels is read."""
    person = sample("astronaut.png").crop((140, 0, 320, 230))
    [[face]] = detector.detect([person])
    picture, expected, left = Image.new("RGB", (2600, 1600), (90, 110, 130)), [], 20
    for side in (600, 200, 90, 60, 45, 41):
        scale = side / (face.box[2] - face.box[0])
        shown = person.resize((round(person.width * scale), round(person.height * scale)))
        picture.paste(shown, (left, 30))
        expected.append([edge * scale + corner for edge, corner in zip(face.box, (left, 30) * 2, strict=True)])
        left += shown.width + 10
    proportional = EmoLlamaFaceDetector(EmoLlamaFaceDetectorConfig(min_face_fraction=SMALLEST_FACE))
    proportional.load_state_dict(detector.state_dict())
    seen = []
    forward = proportional.mtcnn.forward
    monkeypatch.setattr(
        proportional.mtcnn, "forward", lambda pixels: seen.append(pixels[..., 0].numel()) or forward(pixels)
    )
    [faces] = proportional.detect([picture])
    for found, box in zip(faces, expected, strict=True):
        np.testing.assert_allclose(found.box, box, atol=max(4, 0.1 * (box[2] - box[0])))
    assert seen[0] < picture.width * picture.height / 2
    assert EmoLlamaFaceDetectorConfig().min_face_fraction == 0  # as facenet-pytorch looks


def inner_face(detector, name: str, side: int) -> Image.Image:
    """The inner part of the face in a sample, which fills its picture."""
    image = sample(name)
    x0, y0, x1, y1 = detector.detect([image])[0][0].box
    inset_x, inset_y = (x1 - x0) / 10, (y1 - y0) / 10
    part = image.crop((int(x0 + inset_x), int(y0 + inset_y), int(x1 - inset_x), int(y1 - inset_y)))
    return part.resize((side, side), Image.Resampling.BICUBIC)


def test_a_face_that_fills_its_picture_is_one_as_a_whole(detector):
    for name, side in itertools.product(("astronaut.png", "grace_hopper.jpg"), (48, 96, 224)):
        [face] = detector.detect_whole([inner_face(detector, name, side)])
        assert face.confidence > 0.2
        assert all(0 < place < side for point in face.landmarks for place in point)
        assert min(face.box[2] - face.box[0], face.box[3] - face.box[1]) > side / 2
    for name in ("chelsea.png", "coffee.png"):
        assert detector.detect_whole([sample(name)])[0].confidence < 0.2
    assert detector.detect_whole([Image.new("RGB", (10, 200))]) == [None]


def test_whole_pictures_are_judged_where_the_search_finds_nothing(detector):
    finder = FaceFinder(detector, FaceSettings(min_whole_confidence=0.2))
    tight = inner_face(detector, "astronaut.png", 96)
    assert not FaceFinder(detector).detect([tight])[0]
    pictures = [sample("chelsea.png"), tight, sample("grace_hopper.jpg")]
    cat, face, photo = finder.detect(pictures)
    assert not cat and len(face) == 1
    assert photo == FaceFinder(detector).detect(pictures[2:])[0]
    with pytest.raises(ValueError, match="min_whole_confidence"):
        FaceSettings(min_whole_confidence=2)


def test_small_pictures_are_crops_where_no_face_is_found(detector):
    finder = FaceFinder(detector, FaceSettings(full_frame_below=96, missing_face="mask"))
    face = sample("grace_hopper.jpg")
    found = face.resize((90, 90 * face.height // face.width), Image.Resampling.BICUBIC).crop((0, 0, 90, 90))
    cat = sample("chelsea.png").resize((90, 60))
    for picture, source in ((found, "detected"), (cat, "full_frame"), (cat.resize((97, 60)), "none")):
        [visual] = finder.find([Visual([picture], [0.0], is_video=False)])
        assert finder.sources(visual) == [source]
        [box] = finder.boxes(visual)
        assert (box == (0, 0, *picture.size)) == (source == "full_frame")


def test_faces_are_ordered_by_size(detector):
    faces = detector.detect([synthetic_pictures()["crowd_on_noise"]])[0]
    areas = [(face.box[2] - face.box[0]) * (face.box[3] - face.box[1]) for face in faces]
    assert len(areas) > 2
    assert areas == sorted(areas, reverse=True)


def test_left_is_the_viewers(detector):
    face = detector.detect([sample("astronaut.png")])[0][0]
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (5, 3), (19, 400), (400, 19), (20, 20), (20, 900), (23, 24)])
def test_tiny_pictures_have_no_faces(detector, size):
    assert detector.detect([Image.new("RGB", size, "white")]) == [[]]


def test_no_picture_gives_no_result(detector):
    assert detector.detect([]) == []


def test_smaller_faces_are_found_when_asked_for(detector):
    picture = sample("astronaut.png").reduce(9)  # its face is about 10 x 12 pixels
    finder = EmoLlamaFaceDetector(EmoLlamaFaceDetectorConfig(min_face_size=14))
    finder.load_state_dict(detector.state_dict())
    assert detector.detect([picture]) == [[]]
    assert len(finder.detect([picture])[0]) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_loading_in_another_dtype_changes_nothing(detector, dtype):
    other = EmoLlamaFaceDetector.from_pretrained(FACE_DETECTOR, dtype=dtype)
    assert other.detect([sample("astronaut.png")]) == detector.detect([sample("astronaut.png")])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_cast_rounds_the_weights_and_nothing_else(dtype):
    expected = json.loads((FIXTURES / "expected.json").read_text())["astronaut.png"]
    cast = EmoLlamaFaceDetector.from_pretrained(FACE_DETECTOR).to(dtype)
    assert_same_faces(cast.detect([sample("astronaut.png")])[0], expected)
    assert cast.dtype == dtype


def test_autocast_is_left_aside(detector):
    picture = sample("astronaut.png")
    plain = detector.detect([picture])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert detector.detect([picture]) == plain


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_originals_faces():
    expected = json.loads((FIXTURES / "expected.json").read_text())
    detector = EmoLlamaFaceDetector.from_pretrained(FACE_DETECTOR).to("cuda")
    for name, faces in zip(SAMPLES, detector.detect([sample(name) for name in SAMPLES]), strict=True):
        assert_same_faces(faces, expected[name])


def test_a_saved_detector_loads_as_a_subfolder(detector, tmp_path):
    other = EmoLlamaFaceDetector(EmoLlamaFaceDetectorConfig(min_face_size=31.5, thresholds=(0.5, 0.6, 1)))
    other.load_state_dict(detector.state_dict())
    other.save_pretrained(tmp_path / "face_detector")
    assert {path.name for path in (tmp_path / "face_detector").iterdir()} == {"config.json", "model.safetensors"}
    loaded = EmoLlamaFaceDetector.from_pretrained(tmp_path, subfolder="face_detector")
    assert loaded.config.to_diff_dict() == other.config.to_diff_dict()
    assert loaded.mtcnn.min_face_size == 31.5
    assert list(loaded.mtcnn.thresholds) == [0.5, 0.6, 1]
    for name, tensor in detector.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_images_of_a_wrong_type_are_named(detector):
    picture = sample("astronaut.png")
    with pytest.raises(TypeError, match="list"):
        detector.detect(picture)
    with pytest.raises(TypeError, match=r"images\[1\].*ndarray"):
        detector.detect([picture, np.asarray(picture)])
    for mode in ("L", "RGBA", "P", "CMYK", "I;16"):
        with pytest.raises(ValueError, match=rf"images\[1\].*'{mode}'.*RGB"):
            detector.detect([picture, Image.new(mode, (50, 50))])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_face_size", 0),
        ("min_face_size", float("nan")),
        ("min_face_fraction", -0.1),
        ("min_face_fraction", 1.5),
        ("thresholds", (0.6, 0.7)),
        ("thresholds", (0.6, 0.7, 1.1)),
        ("pyramid_factor", 1.0),
        ("pyramid_factor", 0.0),
        ("nms_thresholds", (0.5, 0.7, 0.7, -0.1)),
        ("nms_thresholds", (0.5,)),
        ("batch_size", 0),
        ("crop_batch_size", -1),
    ],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        EmoLlamaFaceDetectorConfig(**{name: value})


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 100), st.floats(0.1, 0.9))
def test_the_pyramid_goes_from_the_smallest_to_the_largest_face(height, width, min_face_size, factor):
    scales = pyramid_scales(height, width, min_face_size, factor)
    assert bool(scales) == (min(height, width) * (12 / min_face_size) >= 12)
    for larger, smaller in itertools.pairwise(scales):
        assert smaller == pytest.approx(larger * factor)
    if scales:
        assert scales[0] == 12 / min_face_size
        assert min(height, width) * scales[-1] * factor < 12 * (1 + 1e-9)
        assert min(int(height * scales[-1] + 1), int(width * scales[-1] + 1)) >= 12


@st.composite
def rated_boxes(draw):
    """Boxes on whole pixels and scores that all differ."""
    count = draw(st.integers(0, 25))
    edges = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 30), st.integers(0, 30))
    corners = torch.tensor([draw(edges) for _ in range(count)], dtype=torch.float32).reshape(-1, 4)
    boxes = torch.cat((corners[:, :2], corners[:, :2] + corners[:, 2:]), dim=1)
    scores = torch.tensor(draw(st.permutations(range(count))), dtype=torch.float32) / 25
    return boxes, scores


def overlap(a, b, over_smaller):
    """Of two boxes, in plain arithmetic; None where both are empty."""
    more = 1 if over_smaller else 0
    area_a, area_b = ((box[2] - box[0] + more) * (box[3] - box[1] + more) for box in (a, b))
    width = min(a[2], b[2]) - max(a[0], b[0]) + more
    height = min(a[3], b[3]) - max(a[1], b[1]) + more
    shared = max(width, 0) * max(height, 0)
    whole = min(area_a, area_b) if over_smaller else area_a + area_b - shared
    return shared / whole if whole else None


@given(rated_boxes(), st.sampled_from([0.25, 0.5, 0.75]), st.booleans())
def test_suppression_keeps_the_best_and_only_what_overlaps_little(rated, threshold, over_smaller):
    boxes, scores = rated
    kept = non_maximum_suppression(boxes, scores, threshold, over_smaller).tolist()
    assert len(kept) == len(set(kept))
    assert [scores[index] for index in kept] == sorted((scores[index] for index in kept), reverse=True)
    if len(boxes):
        assert kept[0] == scores.argmax()
    for index, box in enumerate(boxes.tolist()):
        overlaps = [
            overlap(box, boxes[other].tolist(), over_smaller) for other in kept if scores[other] > scores[index]
        ]
        # Kept exactly when no better kept box overlaps it by more.
        assert (index in kept) == all(value is None or value <= threshold for value in overlaps)


@given(rated_boxes(), st.sampled_from([0.25, 0.5, 0.75]), st.booleans(), st.randoms(use_true_random=False))
def test_suppression_does_not_depend_on_the_order_of_boxes(rated, threshold, over_smaller, random):
    boxes, scores = rated
    order = list(range(len(boxes)))
    random.shuffle(order)
    order = torch.tensor(order, dtype=torch.long)
    kept = non_maximum_suppression(boxes, scores, threshold, over_smaller)
    kept_of_shuffled = non_maximum_suppression(boxes[order], scores[order], threshold, over_smaller)
    assert torch.equal(order[kept_of_shuffled], kept)


@given(rated_boxes(), st.randoms(use_true_random=False))
def test_pictures_do_not_suppress_each_other(rated, random):
    boxes, scores = rated
    picture = torch.tensor([random.randrange(3) for _ in boxes], dtype=torch.long)
    kept = nms_per_picture(picture, boxes, scores, 0.5)
    for index in range(3):
        (members,) = (picture == index).nonzero(as_tuple=True)
        alone = members[non_maximum_suppression(boxes[members], scores[members], 0.5)]
        assert torch.equal(kept[picture[kept] == index], alone)
