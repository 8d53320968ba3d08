"""Miniature copies of each data set as its authors ship it, read back."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from emo_llama_hf import EmoLlamaConfig
from emo_llama_hf.data import LabelMap, RecordError, Records, canonical_labels
from emo_llama_hf.data.label_map import LABEL_FOLDER
from media import clip, encoded

PICTURE = encoded(Image.new("RGB", (8, 8), "grey"))
CLIP = clip(frames=3)


def put(path, content=PICTURE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def summary(records):
    return [(record.id, record.emotion, record.split) for record in records]


def test_every_label_file_maps_to_the_canonical_set():
    canonical = set(canonical_labels())
    assert set(EmoLlamaConfig().emotion_labels) <= canonical
    for file in LABEL_FOLDER.glob("*.json"):
        if file.stem != "canonical":
            label_map = LabelMap.from_file(file.stem)
            assert {label_map.meaning(label) for label in label_map._labels} <= canonical | {None}, file


def test_raf_db(tmp_path):
    put(tmp_path / "basic/EmoLabel/list_patition_label.txt", "train_00001.jpg 5\ntest_0001.jpg 1\n")
    put(tmp_path / "basic/Image/aligned/train_00001_aligned.jpg")
    put(tmp_path / "basic/Image/aligned/test_0001_aligned.jpg")
    put(tmp_path / "basic/Image/original/train_00001.jpg")
    landmarks = "10.5\t20.5\n" * 5
    put(tmp_path / "basic/Annotation/manual/train_00001_manu_attri.txt", landmarks + "1\n2\n3\n")
    records = list(Records(tmp_path, "raf_db"))
    assert summary(records) == [("train_00001", "sad", "train"), ("test_0001", "surprised", "test")]
    assert records[0].attributes == {"age": "40-69", "gender": "female", "race": "Asian"}
    assert records[1].attributes is None
    (original,) = Records(tmp_path / "basic", "raf_db", split="train", aligned=False)
    assert original.visual.endswith("original/train_00001.jpg")


def test_affectnet_of_the_lists(tmp_path):
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    lists = tmp_path / "Manually_Annotated_file_lists"
    put(lists / "training.csv", header + "689/a.jpg,1,1,9,9,1;2,7,0.1,0.2\n689/b.jpg,1,1,9,9,1;2,10,-2,-2\n")
    put(lists / "validation.csv", "944/c.jpg,1,1,9,9,1;2,0,0,0\n")
    for name in ("689/a.jpg", "689/b.jpg", "944/c.jpg"):
        put(tmp_path / "Manually_Annotated/Manually_Annotated_Images" / name)
    records = Records(tmp_path, "affectnet")
    assert summary(records) == [("689/a.jpg", "contemptuous", "train"), ("944/c.jpg", "neutral", "validation")]
    assert records.without_emotion == 1  # 10: no face


def test_affectnet_of_the_arrays(tmp_path):
    for name, expression in (("train_set/2", "3"), ("train_set/10", "6"), ("val_set/0", "1")):
        folder, number = name.split("/")
        put(tmp_path / folder / "images" / f"{number}.jpg")
        (tmp_path / folder / "annotations").mkdir(exist_ok=True)
        np.save(tmp_path / folder / "annotations" / f"{number}_exp.npy", np.array(expression))
        np.save(tmp_path / folder / "annotations" / f"{number}_val.npy", np.array("0.5"))
    assert summary(Records(tmp_path, "affectnet")) == [
        ("train_set/2", "surprised", "train"),
        ("train_set/10", "angry", "train"),
        ("val_set/0", "happy", "validation"),
    ]


def test_an_annotation_that_cannot_be_read_is_reported(tmp_path):
    put(tmp_path / "train_set/images/1.jpg")
    put(tmp_path / "train_set/annotations/1_exp.npy", b"\x93NUMPY")
    with pytest.raises(RecordError, match=r"1_exp\.npy: cannot be read"):
        list(Records(tmp_path, "affectnet"))
    put(tmp_path / "basic/EmoLabel/list_patition_label.txt", "train_00001.jpg 5\n")
    put(tmp_path / "basic/Annotation/manual/train_00001_manu_attri.txt", "1\n2\n9\n")
    with pytest.raises(RecordError, match=r"label\.txt:1: its manual annotation"):
        list(Records(tmp_path, "raf_db"))


def fer2013(path, faces):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for emotion, level, usage in faces:
            writer.writerow([emotion, " ".join([str(level)] * 48 * 48), usage])


VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


def test_ferplus_of_the_tables(tmp_path):
    usages = ["Training", "Training", "Training", "PublicTest", "PrivateTest"]
    fer2013(tmp_path / "fer2013.csv", [(0, 10 * n, usage) for n, usage in enumerate(usages)])
    lines = [
        "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",  # 4 of 9 is no majority
        "Training,,0,0,0,0,0,0,0,0,0,10",  # no file: not a face
        "Training,fer0000002.png,5,0,0,1,1,1,1,1,0,0",  # single votes do not count: 5 of 5
        "PublicTest,fer0000003.png,0,0,0,0,0,0,0,0,0,10",
        "PrivateTest,fer0000004.png,0,10,0,0,0,0,0,0,0,0",
    ]
    put(tmp_path / "fer2013new.csv", VOTES + "\n".join(lines) + "\n")
    records = Records(tmp_path, "ferplus")
    found = list(records)
    assert summary(found) == [("fer0000002", "neutral", "train"), ("fer0000004", "happy", "test")]
    assert records.without_emotion == 2
    assert np.asarray(Image.open(io.BytesIO(found[0].visual))).mean() == 20


def test_ferplus_of_the_pictures(tmp_path):
    put(tmp_path / "fer2013new.csv", VOTES + "PublicTest,fer0028638.png,0,0,8,0,0,0,0,0,0,0\n")
    put(tmp_path / "data/FER2013Train/x.png")
    put(tmp_path / "data/FER2013Valid/fer0028638.png")
    (record,) = Records(tmp_path, "ferplus")
    assert (record.emotion, record.split) == ("surprised", "validation")


def test_ferplus_tables_of_different_length_are_an_error(tmp_path):
    fer2013(tmp_path / "fer2013.csv", [(0, 1, "Training")] * 2)
    put(tmp_path / "fer2013new.csv", VOTES + "Training,fer0000000.png,9,0,0,0,0,0,0,0,0,0\n")
    with pytest.raises(RecordError, match=r"fer2013\.csv:3: has no row in .*fer2013new\.csv"):
        list(Records(tmp_path, "ferplus"))


def test_fer2013(tmp_path):
    fer2013(tmp_path / "fer2013.csv", [(6, 1, "Training"), (1, 2, "PrivateTest")])
    assert summary(Records(tmp_path, "fer2013")) == [
        ("fer0000000", "neutral", "train"),
        ("fer0000001", "disgusted", "test"),
    ]


@pytest.mark.parametrize(
    ("train", "val", "name", "content", "is_video"),
    [
        ("Train_AFEW", "Val_AFEW", "000046280.avi", CLIP, True),
        ("Train", "Val", "a.png", PICTURE, False),
        ("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces_new", "a.png", PICTURE, False),
    ],
)
def test_afew_and_sfew(tmp_path, train, val, name, content, is_video):
    put(tmp_path / train / "Angry" / name, content)
    put(tmp_path / train / "Angry" / "Thumbs.db", b"x")
    put(tmp_path / val / "Surprise" / name, content)
    records = list(Records(tmp_path, "afew"))
    assert [(r.emotion, r.split, r.is_video) for r in records] == [
        ("angry", "train", is_video),
        ("surprised", "validation", is_video),
    ]


@pytest.mark.parametrize(
    "place",
    [
        "original/{number}.mp4",
        "original/part_1/{number}.mp4",
        "clip_224x224_avi/{number:05d}.avi",
        "clip_224x224/{number:05d}/00001.jpg",
        "clip_224x224_16f/{number:05d}/1.jpg",
    ],
)
def test_dfew(tmp_path, place):
    for fold in (1, 2):
        for split, number in (("train", 10 + fold), ("test", 20 + fold)):
            table = f"video_name,label\n{number},{fold}\n"
            put(tmp_path / f"EmoLabel_DataSplit/{split}(single-labeled)/set_{fold}.csv", table)
            file = tmp_path / "Clip" / place.format(number=number)
            put(file, PICTURE if file.suffix == ".jpg" else CLIP)
    records = list(Records(tmp_path, "dfew", fold=2))
    assert summary(records) == [("00012", "sad", "train"), ("00022", "sad", "test")]
    assert all(record.is_video for record in records)
    with pytest.raises(ValueError, match="from 1 to 5, got 6"):
        list(Records(tmp_path, "dfew", fold=6))


def test_ferv39k(tmp_path):
    put(tmp_path / "4_setups/All_scenes/train_All.csv", "Action/Happy/0267 Happy\n")
    put(tmp_path / "4_setups/All_scenes/test_All.csv", "Action/Sad/0010 Sad\n")
    put(tmp_path / "2_ClipsforFaceCrop/Action/Happy/0267/1.jpg")
    put(tmp_path / "2_ClipsforFaceCrop/Action/Sad/0010/1.jpg")
    assert summary(Records(tmp_path, "ferv39k")) == [
        ("Action/Happy/0267", "happy", "train"),
        ("Action/Sad/0010", "sad", "test"),
    ]


@pytest.mark.parametrize("place", ["clips/00001.mp4", "frames/00001/0001.png"])
def test_mafw(tmp_path, place):
    folder = tmp_path / "Train & Test Set/single/no_caption/set_3"
    put(folder / "train.txt", "00001.mp4 helplessness\n")
    put(folder / "test.txt", "")
    put(tmp_path / "data" / place, CLIP if place.endswith("mp4") else PICTURE)
    assert summary(Records(tmp_path, "mafw", fold=3)) == [("00001", "helpless", "train")]


@pytest.mark.parametrize(
    ("layout", "table", "content"),
    [
        ("raf_db", "EmoLabel/list_patition_label.txt", "train_00001.jpg\n"),
        ("affectnet", "Manually_Annotated_file_lists/training.csv", "a.jpg,1,1\n"),
        ("fer2013", "fer2013.csv", "emotion,pixels,Usage\n0,1 2 3,Training\n"),
        ("fer2013", "fer2013.csv", "emotion,pixels,Usage\n0,,Holiday\n"),
        ("ferplus", "fer2013new.csv", VOTES + "Training,a.png,many,0,0,0,0,0,0,0,0,0\n"),
        ("dfew", "EmoLabel_DataSplit/train(single-labeled)/set_1.csv", "video_name,label\nfirst,1\n"),
        ("ferv39k", "4_setups/All_scenes/train_All.csv", "Action/Happy/0267\n"),
        ("mafw", "Train & Test Set/single/no_caption/set_1/train.txt", "00001.mp4\n"),
    ],
)
def test_a_row_that_makes_no_sense_is_reported_with_its_place(tmp_path, layout, table, content):
    put(tmp_path / table, content)
    for folder in ("Clip", "data", "2_ClipsforFaceCrop"):
        (tmp_path / folder).mkdir()
    tests = (table.replace("train.txt", "test.txt"), table.replace("train_All", "test_All"))
    for name in ("EmoLabel_DataSplit/test(single-labeled)/set_1.csv", *tests):
        if not (tmp_path / name).exists():
            put(tmp_path / name, "video_name,label\n" if layout == "dfew" else "")
    records = Records(tmp_path, layout, on_error="skip")
    assert list(records) == []
    assert [error.row for error in records.skipped] == [f"{tmp_path / table}:{content.count(chr(10))}"]


@pytest.mark.parametrize("layout", ["affectnet", "afew", "dfew", "ferv39k", "mafw", "raf_db", "ferplus", "fer2013"])
def test_a_folder_of_another_layout_is_refused(tmp_path, layout):
    with pytest.raises(FileNotFoundError):
        list(Records(tmp_path, layout))


def test_frames_of_a_folder_are_in_the_order_of_their_numbers(tmp_path):
    put(tmp_path / "4_setups/All_scenes/train_All.csv", "A/Fear/1 Fear\n")
    put(tmp_path / "4_setups/All_scenes/test_All.csv", "")
    for number in (1, 2, 10):
        put(tmp_path / f"2_ClipsforFaceCrop/A/Fear/1/{number}.jpg")
    (record,) = Records(tmp_path, "ferv39k")
    assert [path.rsplit("/", 1)[1] for path in record.source()] == ["1.jpg", "2.jpg", "10.jpg"]
