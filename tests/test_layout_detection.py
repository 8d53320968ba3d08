"""A data set's layout is told from its files, and what cannot be told is said."""

import logging

import pytest

import miniature_data
from emo_llama_command import main
from emo_llama_hf.data import LAYOUTS, Records
from emo_llama_hf.data.record_stream import COMMON
from emotion_samples import EMOTIONS, face_folders


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in COMMON])
def test_each_data_set_is_told_by_its_files(tmp_path, layout, caplog):
    folder = getattr(miniature_data, layout)(tmp_path / "data")
    with caplog.at_level(logging.INFO, "emo_llama_hf"):
        records = Records(folder)
    assert records.layout == layout and f"{folder} is read as {layout}." in caplog.text
    assert list(records) == list(Records(folder, layout))


def test_common_layouts(tmp_path):
    face_folders(tmp_path / "plain", 1)
    face_folders(tmp_path / "split/train", 1)
    (tmp_path / "a.jsonl").write_text("{}")
    (tmp_path / "a.csv").write_text("image,emotion\n")
    names = {"plain": "class_folders", "split": "class_folders", "a.jsonl": "llava", "a.csv": "table"}
    assert {name: Records(tmp_path / name).layout for name in names} == names


def test_the_table_of_fer2013_alone(tmp_path):
    assert Records(miniature_data.fer2013(tmp_path) / "fer2013.csv").layout == "fer2013"


def test_class_folders_in_train_and_val_are_not_sfew(tmp_path):
    """Common names; SFEW has seven labels to the letter."""
    face_folders(tmp_path / "Train", 1)
    face_folders(tmp_path / "Val", 1)
    assert Records(tmp_path).layout == "class_folders"
    for label in ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"):
        miniature_data.put(tmp_path / "sfew/Train" / label / "a.png", miniature_data.face(1))
    assert Records(tmp_path / "sfew").layout == "sfew"


def test_what_cannot_be_told_is_an_error_of_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["prepare", str(tmp_path / "empty"), "--no-attributes"]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"emo-llama: DATA: {tmp_path / 'empty'} looks like no known layout") and "--layout" in line
    assert all(f"{name}: {layout.looked_for}" in line for name, layout in LAYOUTS.items())
    miniature_data.dfew(miniature_data.raf_db(tmp_path / "both"))
    assert main(["prepare", str(tmp_path / "both"), "--no-attributes"]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.endswith("looks like raf_db and dfew: say which it is with --layout.")
    assert Records(tmp_path / "both", "dfew").layout == "dfew"
    (tmp_path / "notes.txt").write_text(",".join(EMOTIONS))
    with pytest.raises(ValueError, match=r"notes\.txt looks like no known layout"):
        Records(tmp_path / "notes.txt")
