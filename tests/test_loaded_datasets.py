"""What the library `datasets` loads goes into the pipeline and `Records`: whole sets, columns, streams and files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import pipeline

from emo_llama_hf import default_model
from emo_llama_hf.data import RecordError, Records
from emo_llama_hf.input_error import InputError
from emo_llama_hf.processing.image_loading import load_image

datasets = pytest.importorskip("datasets")
SAMPLES = Path(__file__).parent / "samples"
PHOTOS = [str(SAMPLES / name) for name in ("astronaut.png", "grace_hopper.jpg")]
CLASSES = ["happiness", "neutral"]


@pytest.fixture(scope="module")
def photos():
    """As the hub has them: pictures, classes by number, and a column that nothing here knows."""
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=CLASSES), image_id=datasets.Value("string")
    )
    rows = {"image": PHOTOS, "label": [0, 1], "image_id": ["a", "b"]}
    return datasets.Dataset.from_dict(rows, features=features, split="train")


@pytest.fixture(scope="module")
def pipe():
    return pipeline("emotion-chat", model=default_model(), max_new_tokens=2)


@pytest.fixture(scope="module")
def expected(pipe):
    return pipe(PHOTOS)


def scores(results):
    return [pytest.approx(result["scores"], abs=1e-6) for result in results]


@pytest.mark.parametrize(
    "view",
    [
        lambda rows: rows,
        lambda rows: rows["image"],
        lambda rows: rows.cast_column("image", datasets.Image(decode=False)),
        lambda rows: rows.to_iterable_dataset(),
        lambda rows: rows.to_iterable_dataset()["image"],
        lambda rows: [rows[0], {"image": {"bytes": Path(PHOTOS[1]).read_bytes(), "path": None}}],
        lambda rows: [{"bytes": None, "path": PHOTOS[0]}, rows[1]],
    ],
    ids=["whole", "column", "files", "stream", "column of a stream", "rows", "files alone"],
)
def test_the_pipeline_answers_every_row(pipe, photos, expected, view):
    assert [result["scores"] for result in pipe(view(photos))] == scores(expected)


def test_a_row_that_cannot_be_read_costs_no_other_one_its_answer(pipe, expected):
    rows = datasets.Dataset.from_dict({"image": [PHOTOS[0], "missing.png"]})
    good, bad = pipe(rows["image"])
    assert [good["scores"]] == scores(expected[:1]) and "missing.png" in bad["error"]


@pytest.mark.parametrize("key", ["questions", "qestion", "images", "attribute"])
def test_a_misspelled_key_is_still_refused(pipe, key):
    with pytest.raises(InputError, match=f"'{key}'"):
        pipe({"image": PHOTOS[0], "label": 3, key: "How?"})


def test_a_file_as_datasets_keeps_it_is_the_same_picture():
    pixels = np.asarray(load_image(PHOTOS[0]))
    for stored in ({"bytes": Path(PHOTOS[0]).read_bytes(), "path": "x.png"}, {"bytes": None, "path": PHOTOS[0]}):
        assert np.array_equal(np.asarray(load_image(stored)), pixels)
    with pytest.raises(TypeError, match="has type dict"):
        load_image({"bytes": b"x", "path": None, "more": 1})


@pytest.mark.parametrize("streamed", [False, True])
def test_records_of_a_loaded_data_set(photos, streamed):
    """Labels by the names of their classes, in the canonical words; the split is the data set's own."""
    records = Records(photos.to_iterable_dataset() if streamed else photos)
    split = None if streamed else "train"  # which `to_iterable_dataset` forgets
    for _ in range(2):  # read anew each time
        assert [(r.id, r.emotion, r.split, r.visual) for r in records] == [
            ("0", "happy", split, PHOTOS[0]),
            ("1", "neutral", split, PHOTOS[1]),
        ]
    assert [r.emotion for r in Records(photos, label_map="keep")] == CLASSES
    assert list(Records(photos, split="train")) and records.path is None
    with pytest.raises(InputError, match="has no rows of split 'test'"):
        list(Records(photos, split="test"))
    with pytest.raises(InputError, match="`layout` of a loaded data set is 'table'"):
        Records(photos, "raf_db")
    with pytest.raises(InputError, match="the data set has the columns image, label, image_id"):
        list(Records(photos, emotion_column="mood"))


def test_records_of_pictures_in_memory_and_of_no_class(tmp_path):
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=CLASSES))
    drawn = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    loaded = datasets.Dataset.from_dict({"image": drawn, "label": [1, -1]}, features=features)
    loaded.to_parquet(tmp_path / "drawn.parquet")
    for records in (Records(loaded), Records(tmp_path / "drawn.parquet")):
        first, second = records
        assert (first.emotion, second.emotion, first.split) == ("neutral", None, None)
        assert load_image(second.visual).getpixel((0, 0)) == (0, 0, 255)


def test_records_refuse_a_class_that_no_label_map_knows(photos):
    odd = photos.cast_column("label", datasets.ClassLabel(names=["mood 0", "neutral"]))
    with pytest.raises(RecordError, match="the data set:0: label 'mood 0' is not in the label map"):
        list(Records(odd))
