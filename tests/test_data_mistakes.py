"""Mistakes in a data set end a run before it trains, with the file and the row."""

from importlib import import_module

import pytest

import miniature_data
from emo_llama_command import main
from emo_llama_hf.data import RecordError, Records


@pytest.mark.parametrize(
    ("layout", "file", "words"),
    [
        ("raf_db", "basic/Image/aligned/train_00002_aligned.jpg", "list_patition_label.txt:2: {file} is not there"),
        ("affectnet", "Manually_Annotated_Images/t/2.jpg", "training.csv:3: {file} is not there"),
        ("dfew", "Clip/original/4.mp4", "train(single-labeled)/set_1.csv:3: {file} is not there"),
        ("mafw", "data/clips/00004.mp4", "set_1/train.txt:2: {file} is not there"),
        (
            "ferv39k",
            "2_ClipsforFaceCrop/Action/Sad/0010/1.jpg",
            "train_All.csv:2: {folder} is a folder without pictures",
        ),
        (
            "raf_db",
            "basic/EmoLabel/list_patition_label.txt",
            "{file} is not there, which raf_db is read from: put it there",
        ),
        ("affectnet", "Manually_Annotated_file_lists/training.csv", "no rows of split 'train'"),
        ("fer2013", "fer2013.csv", "{file} is not there, which fer2013 is read from: put it there"),
        (
            "dfew",
            "EmoLabel_DataSplit/test(single-labeled)/set_1.csv",
            "{file} is not there, which dfew is read from: put it there",
        ),
        (
            "mafw",
            "Train & Test Set/single/no_caption/set_1/train.txt",
            "{file} is not there, which mafw is read from: put it there",
        ),
        ("ferv39k", "4_setups/All_scenes/test_All.csv", "All_scenes has no list test_*.csv"),
    ],
)
def test_missing_files_are_named_before_training(tmp_path, tiny, capsys, monkeypatch, layout, file, words):
    monkeypatch.setattr(import_module("emo_llama_hf.training.train"), "train", lambda *args: pytest.fail("it trained"))
    path = getattr(miniature_data, layout)(tmp_path / "data") / file
    path.unlink()
    arguments = [
        "train",
        str(tmp_path / "data"),
        "--layout",
        layout,
        "--split",
        "train",
        "--output",
        str(tmp_path / "o"),
    ]
    assert main([*arguments, "--model", str(tiny), "--use-cpu"]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("emo-llama: ") and words.format(file=path, folder=path.parent) in line


@pytest.mark.parametrize(
    ("layout", "table", "old"),
    [
        ("raf_db", "basic/EmoLabel/list_patition_label.txt", "train_00002"),
        ("ferv39k", "4_setups/All_scenes/train_All.csv", "Action/Sad/0010"),
    ],
)
def test_names_that_no_file_can_have_are_told_of_their_row(tmp_path, layout, table, old):
    path = getattr(miniature_data, layout)(tmp_path) / table
    path.write_text(path.read_text().replace(old, "train_" + "x" * 300))
    with pytest.raises(RecordError, match=rf"{path.name}:2: .*xxx\S* is not there"):
        list(Records(tmp_path, layout=layout, split="train"))


@pytest.mark.parametrize(
    ("layout", "table", "old", "new", "words"),
    [  # RAF-DB's compound set, DFEW's before it was cleaned, MAFW's compound emotions, AffectNet without boxes
        ("raf_db", "basic/EmoLabel/list_patition_label.txt", " 5", " 11", "label.txt:2: label '11'"),
        (
            "dfew",
            "EmoLabel_DataSplit/train(single-labeled)/set_1.csv",
            "video_name",
            "order",
            "set_1.csv:2: must have",
        ),
        (
            "mafw",
            "Train & Test Set/single/no_caption/set_1/train.txt",
            "contempt",
            "anger_disgust",
            "train.txt:2: label",
        ),
        (
            "affectnet",
            "Manually_Annotated_file_lists/training.csv",
            "1,1,9,9,",
            "",
            "training.csv:1: must have 9 columns",
        ),
        ("ferplus", "fer2013new.csv", ",contempt", "", "fer2013new.csv:2: must have Usage and ten numbers"),
    ],
)
def test_label_files_of_another_version(tmp_path, layout, table, old, new, words):
    path = getattr(miniature_data, layout)(tmp_path) / table
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RecordError) as error:
        list(Records(tmp_path, layout))
    assert words in str(error.value)


def test_a_picture_without_its_annotation(tmp_path):
    for name in ("train_set/images/1.jpg", "train_set/annotations/2_exp.npy"):
        miniature_data.put(tmp_path / name, b"")
    with pytest.raises(RecordError, match=r"images/1\.jpg: has no annotation .*annotations/1_exp\.npy"):
        list(Records(tmp_path, "affectnet"))


@pytest.mark.parametrize("split", [None, "train"])
def test_a_clip_in_two_splits_names_both_rows(tmp_path, split):
    """Also where only the training data are asked for, which would be tested on later."""
    lists = miniature_data.mafw(tmp_path) / "Train & Test Set/single/no_caption/set_2"
    with open(lists / "test.txt", "a") as file:
        file.write("00009.mp4 contempt\n")
    with pytest.raises(
        RecordError, match=r"test\.txt:3: .*00009\.mp4 is in split train too, at .*train\.txt:7: leave"
    ):
        list(Records(tmp_path, fold=2, split=split))
