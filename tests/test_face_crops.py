"""Pictures that are face crops by their layout keep the face prior, whatever a detector finds in them."""

import json

import pytest
from transformers import AutoProcessor

import miniature_data
from emo_llama_command import main
from emo_llama_hf.data import FaceCache, Records, default_cache, prepare
from emo_llama_hf.data.reading import Reading
from emo_llama_hf.instruct import CategoryQuestions, instruct
from emotion_samples import face_folders

CROPS = ("raf_db", "affectnet", "fer2013", "ferplus", "sfew", "ferv39k")


@pytest.fixture(scope="module")
def processor(tiny):
    return AutoProcessor.from_pretrained(tiny)


def sources(records, processor):
    visuals = processor.faces.find([record.load(processor) for record in records])
    return {source for visual in visuals for source in processor.faces.sources(visual)}


@pytest.mark.parametrize("layout", CROPS)
def test_crops_are_taken_for_faces_as_a_whole(tmp_path, processor, layout):
    assert sources(Records(getattr(miniature_data, layout)(tmp_path)), processor) == {"full_frame"}


@pytest.mark.parametrize("layout", ["dfew", "mafw", "afew"])
def test_whole_clips_are_not(tmp_path, processor, layout):
    assert "full_frame" not in sources(Records(getattr(miniature_data, layout)(tmp_path), split="train"), processor)


def test_original_pictures_and_aligned_clips(tmp_path, processor):
    """What is a crop depends on which files are read, not on the data set's name."""
    assert sources(Records(miniature_data.raf_db(tmp_path / "r"), aligned=False), processor) == {"none"}
    miniature_data.dfew(tmp_path / "d")
    (tmp_path / "d/Clip/original").rename(tmp_path / "d/Clip/elsewhere")
    for number in range(1, 11):
        miniature_data.put(tmp_path / f"d/Clip/clip_224x224/{number:05d}/1.jpg", miniature_data.face(number))
    assert sources(Records(tmp_path / "d"), processor) == {"full_frame"}


def test_crops_stay_crops_in_instructions_and_in_the_cache(tmp_path, processor):
    records = Records(miniature_data.raf_db(tmp_path / "raf"))
    instruct(records, tmp_path / "qa.jsonl", CategoryQuestions(), progress=False)
    again = Records(tmp_path / "qa.jsonl")
    report = prepare(again, processor, progress=False)
    assert (report.prepared, report.without_face) == (3, 0)
    cache = FaceCache(default_cache(again.path))
    for record in again:
        assert processor.faces.sources(cache.visual(record, processor)) == ["full_frame"]


def test_faces_prepared_with_other_settings_are_refused(tmp_path, tiny, capsys):
    """By training and evaluation, before anything is computed, unless the same are given."""
    data = str(face_folders(tmp_path / "faces", 1))
    flags = ["--missing-face", "full_frame", "--full-frame-below", "10"]
    assert main(["prepare", data, "--model", str(tiny), "--no-attributes", *flags]) == 0
    settings = json.loads((tmp_path / "faces.faces/settings.json").read_text())
    assert (settings["missing_face"], settings["full_frame_below"]) == ("full_frame", 10)
    output = ["--model", str(tiny), "--output", str(tmp_path / "out")]
    for command in (["train", data, *output, "--use-cpu"], ["evaluate", data, *output, "--device", "cpu"]):
        assert main(command) == 1
        *_, line = capsys.readouterr().err.splitlines()
        assert "was prepared with other --missing-face, --full-frame-below: use the same" in line
        assert not list((tmp_path / "out").glob("results-*"))
    assert main(["evaluate", data, *output, "--device", "cpu", "--max-new-tokens", "1", *flags]) == 0


def test_wrong_settings(processor):
    before = processor.faces.settings
    for reading in (Reading(missing_face="ignore"), Reading(num_frames=0), Reading(full_frame_below=-1)):
        with pytest.raises(ValueError, match=r"`(missing_face|num_frames|full_frame_below)`"):
            reading.set_in(processor)
    assert processor.faces.settings == before
