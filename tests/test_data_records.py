"""Records of JSON, tables and class folders, and what happens to rows that cannot be read."""

import io
import json
import logging

import pytest
import typer
from PIL import Image

from emo_llama_hf.closed_set import preset
from emo_llama_hf.command_line.data_options import DataOptions
from emo_llama_hf.data import LabelMap, Record, RecordError, Records
from emo_llama_hf.data.layouts import llava
from emo_llama_hf.data.layouts.llava import chat_messages, llava_turns
from emo_llama_hf.data.samples import samples_of
from emo_llama_hf.input_error import InputError
from emo_llama_hf.instruct.output import write_lines
from emo_llama_hf.seeds import seed_of
from media import clip, encoded
from tiny_model import tiny_processor

PICTURE = encoded(Image.new("RGB", (8, 8)))
TURNS = [{"from": "human", "value": "<image>\nHow do they feel?"}, {"from": "gpt", "value": "Happy."}]
MESSAGES = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How do they feel?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Happy."}]},
]


def items(folder, number=3):
    (folder / "a.png").write_bytes(PICTURE)
    return [{"id": f"i{n}", "image": "a.png", "conversations": TURNS, "emotion": "joy"} for n in range(number)]


@pytest.mark.parametrize("lines", [True, False])
def test_llava_json_and_json_lines(tmp_path, lines):
    data = items(tmp_path)
    file = tmp_path / ("d.jsonl" if lines else "d.json")
    file.write_text("\n".join(map(json.dumps, data)) if lines else json.dumps(data, indent=1))
    records = list(Records(file))
    assert [record.id for record in records] == ["i0", "i1", "i2"]
    assert records[0].conversation == MESSAGES
    assert {record.emotion for record in records} == {"happy"}
    assert records[1].row == (f"{file}:2" if lines else f"{file}[1]")


def test_llama_vid_s_json(tmp_path):
    """Items as its scripts write them: clips shown as `<image>`, after the text too, ids that are numbers."""
    nouns = preset("paper").labels("mafw")
    options = "{" + ", ".join(nouns) + "}"
    question = (
        f"What is the facial expression of the person in the video? Choose one from the following options: {options}."
    )
    talk = [("What is the emotion of the person in the video?\n<image>", "The person is happy."), ("Why?", "A smile.")]
    data = [
        {"id": 17, "video": "clips/a.mp4", "conversations": turns(("<image>\n" + question, "happiness"))},
        {"id": "v", "video": "clips/a.mp4", "conversations": turns((question + "\n<video>", "Contempt."))},
        {"id": "w", "video": "clips/a.mp4", "conversations": turns(*talk)},
        {"id": "x", "video": "clips/a.mp4", "conversations": turns(("<image>\n" + question, "It is unclear."))},
        {"id": "text", "model": "", "conversations": turns(("Hello", "Hello!"))},
    ]
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/a.mp4").write_bytes(clip(frames=2))
    (tmp_path / "mafw.json").write_text(json.dumps(data))
    records = Records(tmp_path / "mafw.json", on_error="skip")
    first, _, third, _ = found = list(records)
    assert [record.id for record in found] == ["17", "v", "w", "x"]
    assert [record.emotion for record in found] == ["happiness", "contempt", None, None]
    assert [record.emotion_labels for record in found] == [nouns, nouns, None, None]
    assert all(record.is_video for record in found)
    assert first.conversation[0]["content"] == [{"type": "video"}, {"type": "text", "text": question}]
    assert [part["type"] for message in third.conversation for part in message["content"]] == ["video", *["text"] * 4]
    assert [error.row for error in records.skipped] == [f"{tmp_path / 'mafw.json'}[4]"]
    adjectives = LabelMap.from_file("mafw").label_set
    again = Records(tmp_path / "mafw.json", labels=adjectives, on_error="skip")
    assert [sample["emotion"] for sample in samples_of(again)] == ["happy", "contemptuous", None, None]


def turns(*pairs):
    return [{"from": who, "value": said} for pair in pairs for who, said in zip(("human", "gpt"), pair, strict=True)]


@pytest.mark.parametrize("layout", ["llava", "table"])
def test_rows_may_name_files_anywhere(tmp_path, layout):
    """By design: whoever writes a data set's file says where its pictures are."""
    (tmp_path / "a.png").write_bytes(PICTURE)
    folder = tmp_path / "data" / "set"
    folder.mkdir(parents=True)
    paths = [str(tmp_path / "a.png"), "../../a.png"]
    if layout == "llava":
        file = folder / "d.json"
        file.write_text(json.dumps([{"image": path, "conversations": TURNS, "emotion": "joy"} for path in paths]))
    else:
        file = folder / "d.csv"
        file.write_text("\n".join(["image,emotion", *(f"{path},joy" for path in paths)]))
    for record in Records(file):
        with open(record.visual, "rb") as picture:
            assert picture.read() == PICTURE


@pytest.mark.parametrize("piece", [1, 7, 64])
def test_json_arrays_are_read_in_pieces(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(llava, "READ_SIZE", piece)
    data = items(tmp_path, 5)
    data[2] |= {"id": -12.5e3, "attributes": None, "note": 'é "]},{[ \\'}
    file = tmp_path / "d.json"
    file.write_text(" " + json.dumps(data))
    assert [record.id for record in Records(file)] == ["i0", "i1", "-12500.0", "i3", "i4"]


def test_a_cut_off_array_is_reported_after_what_can_be_read(tmp_path):
    file = tmp_path / "d.json"
    file.write_text(json.dumps(items(tmp_path))[:-20])
    records = Records(file, on_error="skip")
    assert [record.id for record in records] == ["i0", "i1"]
    assert records.skipped[0].row == f"{file}[2]"


@pytest.mark.parametrize(
    ("change", "known"),
    [
        (lambda text: text + text, ["i0", "i1", "i2"]),  # a second array
        (lambda text: text.replace('"i1"', "NaN"), ["i0"]),
        (lambda text: text.replace('}, {"id": "i2"', '} {"id": "i2"'), ["i0", "i1"]),
        (lambda text: text.replace('"i2"', "'i2'"), ["i0", "i1"]),
    ],
)
def test_what_is_no_json_in_an_array_is_reported(tmp_path, change, known):
    file = tmp_path / "d.json"
    file.write_text(change(json.dumps(items(tmp_path))))
    records = Records(file, on_error="skip")
    assert [record.id for record in records] == known
    (error,) = records.skipped
    assert error.row == f"{file}[{len(known)}]" and "\n" not in str(error)
    assert "is not JSON, nothing after it can be read (" in error.reason


def test_a_line_in_another_encoding_spoils_only_itself(tmp_path):
    lines = [json.dumps(item).encode() for item in items(tmp_path)]
    lines[1] = lines[1].replace(b"Happy", b"Gl\xfccklich")
    (tmp_path / "d.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    records = Records(tmp_path / "d.jsonl", on_error="skip")
    assert [record.id for record in records] == ["i0", "i2"]
    assert records.skipped[0].row == f"{tmp_path / 'd.jsonl'}:2"
    (tmp_path / "d.json").write_bytes(b"[" + b",".join(lines) + b"]")
    records = Records(tmp_path / "d.json", on_error="skip")
    assert [record.id for record in records] == ["i0", "i2"]
    assert records.skipped[0].row == f"{tmp_path / 'd.json'}[1]"


def test_turns_survive_the_round_trip():
    system = [{"role": "system", "content": [{"type": "text", "text": "Be kind."}]}]
    more = [
        {"role": "user", "content": [{"type": "text", "text": "Why?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "The smile."}]},
    ]
    messages = [*system, *MESSAGES, *more]
    assert chat_messages(llava_turns(messages), "image") == messages
    assert llava_turns(MESSAGES) == TURNS


def test_a_placeholder_is_put_first_where_there_is_none():
    turns = [{"from": "human", "value": "Well?"}, {"from": "gpt", "value": "Sad."}]
    assert chat_messages(turns, "video")[0]["content"][0] == {"type": "video"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": None}, "`image` must be the path"),
        ({"video": "b.mp4"}, "and not both"),
        ({"conversations": []}, "not empty"),
        ({"conversations": TURNS[:1]}, "human and gpt in turn"),
        ({"conversations": TURNS * 2}, "shows 2 visuals"),
        ({"conversations": [{"from": "robot", "value": "x"}]}, "a turn must have `from`"),
        ({"conversations": ["hello"]}, "a turn must be an object"),
        ({"emotion": 3}, "`emotion` must be str"),
        ({"attributes": "old"}, "`attributes` must be dict"),
        ({"emotion": "hungry"}, "'hungry' is not in the label map 'common'"),
        ({"image": "missing.png"}, r"missing\.png is not there"),
        ({"image": "empty.png"}, "0 bytes"),
        ({"image": "folder"}, "folder without pictures"),
    ],
)
def test_a_bad_row_is_reported_with_its_place(tmp_path, caplog, change, reason):
    data = items(tmp_path)
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder").mkdir()
    data[1] |= change
    file = tmp_path / "d.jsonl"
    file.write_text("\n".join(map(json.dumps, data)))
    with pytest.raises(RecordError, match=reason) as error:
        list(Records(file))
    assert error.value.row == f"{file}:2"
    records = Records(file, on_error="skip")
    with caplog.at_level(logging.WARNING):
        assert [record.id for record in records] == ["i0", "i2"]
    assert [skipped.row for skipped in records.skipped] == [f"{file}:2"]
    assert f"{file}:2" in caplog.text


def test_a_broken_picture_is_reported_with_its_row(tmp_path, processor):
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy/a.png").write_bytes(PICTURE[:40])
    (record,) = Records(tmp_path)
    with pytest.raises(RecordError, match=r"happy/a\.png"):
        record.load(processor)


def test_class_folders_with_and_without_splits(tmp_path):
    for place in ("joy", "anger"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.png").write_bytes(PICTURE)
        (tmp_path / place / "notes.txt").write_text("not a picture")
    assert [(r.id, r.emotion, r.split) for r in Records(tmp_path)] == [
        ("anger/a.png", "angry", None),
        ("joy/a.png", "happy", None),
    ]
    nested = tmp_path / "nested"
    nested.mkdir()
    for split in ("train", "val"):
        (nested / split / "sadness").mkdir(parents=True)
        (nested / split / "sadness/a.png").write_bytes(PICTURE)
    assert [(r.id, r.split) for r in Records(nested, split="valid")] == [("val/sadness/a.png", "validation")]
    with pytest.raises(ValueError, match="of split 'test', only of train, validation"):
        list(Records(nested, split="test"))


def test_labels_of_ones_own(tmp_path):
    (tmp_path / "d" / "grumpy").mkdir(parents=True)
    (tmp_path / "d/grumpy/a.png").write_bytes(PICTURE)
    with pytest.raises(RecordError, match="label 'grumpy'"):
        list(Records(tmp_path / "d"))
    assert [r.emotion for r in Records(tmp_path / "d", label_map="keep")] == ["grumpy"]
    (tmp_path / "own.json").write_text('{"labels": {"Grumpy": "angry"}}')
    assert [r.emotion for r in Records(tmp_path / "d", label_map=tmp_path / "own.json")] == ["angry"]
    (tmp_path / "own.json").write_text('{"labels": ["angry"]}')
    with pytest.raises(ValueError, match=r"own[.]json must hold"):
        Records(tmp_path / "d", label_map=tmp_path / "own.json")


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
def test_delimited_tables(tmp_path, suffix, delimiter):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(PICTURE)
    rows = [
        ["id", "image", "mood", "age", "split"],
        ["x", "a.png", "Fear", "20-29", "val"],
        ["y", "", "Fear", "", ""],
        ["z", "b.png", "", "", "train"],
    ]
    file = tmp_path / f"t{suffix}"
    file.write_text("\n".join(delimiter.join(row) for row in rows) + "\n")
    records = Records(file, on_error="skip", emotion_column="mood")
    first, last = list(records)
    assert (first.id, first.emotion, first.attributes, first.split) == ("x", "afraid", {"age": "20-29"}, "validation")
    assert (last.emotion, last.attributes, last.split) == (None, None, "train")
    assert records.skipped[0].row == f"{file}:3"
    with pytest.raises(ValueError, match=r"`emotion_column` is 'no', but .* has the columns id, image, mood"):
        list(Records(file, emotion_column="no"))


def test_parquet_with_pictures_as_bytes(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet is in the extra `train`")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table(
        {
            "image": [{"bytes": PICTURE, "path": None}, {"bytes": None, "path": "gone.png"}],
            "label": [3, 4],
            "emotion": ["happy", "sad"],
            "race": ["Asian", None],
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    records = Records(tmp_path / "t.parquet", on_error="skip")
    (record,) = records
    assert Image.open(io.BytesIO(record.visual)).size == (8, 8)
    assert (record.emotion, record.attributes) == ("happy", {"race": "Asian"})
    assert records.skipped[0].row == f"{tmp_path / 't.parquet'}:1"
    numbers = Records(tmp_path / "t.parquet", label_map="fer2013", emotion_column="label", on_error="skip")
    assert [record.emotion for record in numbers] == ["happy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "imagenet"}, "`layout` must be one of raf_db"),
        ({"on_error": "ignore"}, "`on_error` must be raise or skip"),
        ({"fold": 3}, "Layout 'class_folders' has no option 'fold'"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        Records(tmp_path, **{"layout": "class_folders", **arguments})


def test_missing_data(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not there"):
        Records(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="has no rows"):
        list(Records(tmp_path, "class_folders"))


def test_errors_keep_their_place_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(RecordError("a.csv:3", "is empty")))
    assert (error.row, error.reason, str(error)) == ("a.csv:3", "is empty", "a.csv:3: is empty")
    assert Record("a", b"x").source() == b"x"


@pytest.fixture(scope="module")
def processor(tmp_path_factory):
    return tiny_processor(tmp_path_factory.mktemp("processor"))


def test_the_command_line_s_options_reach_the_layout(tmp_path):
    for fold, emotion in ((1, "fear"), (2, "anger")):
        lists = tmp_path / f"Train & Test Set/single/no_caption/set_{fold}"
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text(f"0000{fold}.mp4 {emotion}\n")
        (lists / "test.txt").touch()
    (tmp_path / "data/clips").mkdir(parents=True)
    (tmp_path / "data/clips/00002.mp4").write_bytes(b"x")
    (records,) = DataOptions([tmp_path], layout="mafw", data_option=["fold=2"], split="train").records()
    (record,) = records
    assert (record.id, record.emotion) == ("00002", "angry")
    assert DataOptions([tmp_path], layout="llava", data_option=["root=x y"]).records()[0].options == {"root": "x y"}
    with pytest.raises(typer.BadParameter):
        DataOptions([tmp_path], data_option=["fold"]).records()
    with pytest.raises(FileNotFoundError, match=r"'moods' is neither a JSON file nor one of afew, affectnet, common"):
        DataOptions([tmp_path], label_map="moods").records()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "image,emotion\nfröhlich.png,happy\n".encode("latin-1")),
        ("t.csv", b"image,emotion\n" + b"x" * 200_000 + b",happy\n"),
        ("t.parquet", b""),
        ("t.parquet", b"PAR1 but nothing else PAR1"),
    ],
    ids=["latin-1", "a field without end", "empty Parquet", "damaged Parquet"],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} cannot be read as table: "):
        list(Records(tmp_path / name, on_error="skip"))


def test_a_damaged_page_of_parquet_is_named(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet is in the extra `train`")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"image": [f"{number}.png" for number in range(1000)], "emotion": ["happy"] * 1000})
    parquet.write_table(table, tmp_path / "t.parquet", compression="none", use_dictionary=False)
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    content[4:30] = b"\xff" * 26  # the header of the first page
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"t\.parquet cannot be read as table: "):
        list(Records(tmp_path / "t.parquet", on_error="skip"))


@pytest.mark.parametrize(
    ("layout", "option", "value"),
    [("table", "root", 3), ("table", "attribute_columns", "age"), ("llava", "root", []), ("raf_db", "aligned", "no")],
)
def test_options_of_a_layout_have_types(tmp_path, layout, option, value):
    with pytest.raises(InputError, match=f"`{option}` of layout '{layout}' cannot be "):
        Records(tmp_path, layout=layout, **{option: value})


def test_json_nested_without_end_spoils_only_its_line(tmp_path):
    good = json.dumps({"image": "a.png", "emotion": "happy"})
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "t.jsonl").write_text('{"a":' * 100_000 + f"\n{good}\n")
    records = Records(tmp_path / "t.jsonl", on_error="skip")
    assert [record.emotion for record in records] == ["happy"]
    assert [error.row for error in records.skipped] == [f"{tmp_path}/t.jsonl:1"]
    with pytest.raises(InputError, match="`label_map`"):
        Records(tmp_path / "t.jsonl", label_map=tmp_path / "t.jsonl")


def test_an_array_nested_without_end_is_reported_after_what_can_be_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "t.json").write_text('[{"image": "a.png"}, ' + "[" * 1_000_000)
    records = Records(tmp_path / "t.json", on_error="skip")
    assert len(list(records)) == 1
    assert [str(error) for error in records.skipped] == [
        f"{tmp_path}/t.json[1]: is not JSON, nothing after it can be read (nested deeper than 100)"
    ]


def test_names_that_are_not_unicode_can_be_written_and_chosen_by(tmp_path):
    record = Record("a\udcff.png", str(tmp_path / "a\udcff.png"), emotion="happy")
    assert seed_of(record.id) == seed_of(record.id) != seed_of("b")
    write_lines(tmp_path / "o.jsonl", [{"id": record.id, "image": "ä"}])
    assert json.loads((tmp_path / "o.jsonl").read_bytes().decode("utf-8")) == {"id": record.id, "image": "ä"}
