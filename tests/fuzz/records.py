"""Files of data sets and label maps: damaged, written by hand, of other columns, with strange fields."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from case import Case, WrongAnswer
from damage import maybe_damaged
from hypothesis import strategies as st
from pictures import file

from emo_llama_hf.data.label_map import LabelMap
from emo_llama_hf.data.record import Record
from emo_llama_hf.data.record_stream import Records

PIXELS = " ".join(["7"] * 2304)
FIELDS = [
    "", " ", "a.png", "b.png", "no.png", "../a.png", "/a.png", "a\0b.png", "\ud800.png", "x" * 5000, "happy",
    "Happiness",
    "HAPPY ", "7", "-1", "1e9", "nan", "NaN", "None", "null", "http://", "http://127.0.0.1:1/a.png", "é", "=1+1", '"',
    "a,b",
    "a\nb", "\t", "train", "Training", "\ufeff", "٣", "9" * 400,
]  # fmt: skip
VALUES: list[Any] = [None, True, 0, -1, 1.5, 10**400, float("nan"), "", [], [[]], {}, {"a": 1}, *FIELDS]
TABLE = "image,emotion,id,split,age,gender\na.png,happy,1,train,20,male\nb.png,sad,2,test,,\n"
LLAVA = [
    {"id": "1", "image": "a.png", "emotion": "happy", "split": "train", "attributes": {"age": "20"}, "conversations": [
        {"from": "human", "value": "<image>\nHow is it?"}, {"from": "gpt", "value": "Happy."}]},
    {"id": 2, "video": "b.png", "conversations": [{"from": "user", "value": "Why?"}, {"from": "gpt", "value": "So."}]},
]  # fmt: skip
# The file of each layout that is changed, and what lies beside it.
LAYOUTS: dict[str, tuple[str, bytes]] = {
    "csv": ("t.csv", TABLE.encode()),
    "tsv": ("t.tsv", TABLE.replace(",", "\t").encode()),
    "json": ("t.json", json.dumps(LLAVA).encode()),
    "jsonl": ("t.jsonl", "".join(json.dumps(item) + "\n" for item in LLAVA).encode()),
    "fer2013": ("fer2013.csv", f"emotion,pixels,Usage\n3,{PIXELS},Training\n0,{PIXELS},PublicTest\n".encode()),
    "ferplus": ("fer2013new.csv", b"Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,"
                b"unknown,NF\nTraining,fer0000000.png,1,8,0,0,0,0,0,0,1,0\n"),
    "raf_db": ("EmoLabel/list_patition_label.txt", b"train_00001.jpg 5\ntest_0001.jpg 4\n"),
    "affectnet": ("training.csv", b"1/a.jpg,1,2,3,4,5,6,0,0.1,0.2\n1/b.jpg,1,2,3,4,5,6,1,0.1,0.2\n"),
    "dfew": ("EmoLabel_DataSplit/train(single-labeled)/set_1.csv", b"video_name,label\n1,1\n2,7\n"),
    "ferv39k": ("4_setups/All_scenes/train_All.csv", b"Action/Happy/0267 Happy\nDaily/Sad/0001 Sad\n"),
    "mafw": ("Train & Test Set/single/no_caption/set_1/train.txt", b"00001.mp4 happiness\n00002.mp4 sadness\n"),
}  # fmt: skip
BESIDE = {"dfew": ["Clip/original/1.mp4", "EmoLabel_DataSplit/test(single-labeled)/set_1.csv"], "ferv39k": [
    "2_ClipsforFaceCrop/Action/Happy/0267/1.jpg", "4_setups/All_scenes/test_All.csv"], "mafw": [
    "data/clips/00001.mp4", "Train & Test Set/single/no_caption/set_1/test.txt"], "raf_db": [
    "Image/aligned/train_00001_aligned.jpg", "Annotation/manual/train_00001_manu_attri.txt"],
    "affectnet": ["1/a.jpg"], "ferplus": ["FER2013Train/fer0000000.png"]}  # fmt: skip


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def odd_json(draw: st.DrawFn) -> tuple[str, bytes]:
    """LLaVA's items with strange values, in one array or in lines."""
    items = json.loads(json.dumps(LLAVA))
    for _ in range(draw(st.integers(1, 2))):
        item, value = draw(st.sampled_from(items)), draw(st.sampled_from(VALUES))
        where = draw(st.sampled_from(["field", "turn", "turn field", "item", "new field", "out"]))
        if where == "item":
            items[draw(st.integers(0, 1))] = value
            break
        if where == "field":
            item[draw(st.sampled_from(list(item)))] = value
        elif where == "new field":
            item[draw(st.sampled_from(["image", "video", "emotion", "split", "attributes", "role", ""]))] = value
        elif where == "out":
            del item[draw(st.sampled_from(list(item)))]
            break
        elif isinstance(item.get("conversations"), list) and len(item["conversations"]) > 1:
            index = draw(st.integers(0, 1))
            if where == "turn" or not isinstance(item["conversations"][index], dict):
                item["conversations"][index] = value
            else:
                item["conversations"][index][draw(st.sampled_from(["from", "value", "role", "content"]))] = value
    if draw(st.integers(0, 9)) == 0:
        items.append(json.loads("[" * 900 + "]" * 900))
        content = dumped(items).replace(b"[" * 900 + b"]" * 900, b"[" * 30_000 + b"]" * 30_000)
    else:
        content = dumped(items)
    lines = draw(st.booleans())
    if lines:
        content = b"".join(dumped(item) + b"\n" for item in items)
    return f"{content!r:.300}", content


@st.composite
def odd_table(draw: st.DrawFn, text: str, delimiter: str) -> tuple[str, bytes]:
    """A table in which fields are something else, or missing, or too many."""
    rows = [line.split(delimiter) for line in text.splitlines()]
    for _ in range(draw(st.integers(1, 3))):
        row = draw(st.sampled_from(rows))
        kind = draw(st.sampled_from(["field", "field", "field", "out", "more", "twice"]))
        if kind == "twice":
            rows.append(list(row))
        elif kind == "more" or not row:
            row.append(draw(st.sampled_from(FIELDS)))
        elif kind == "out":
            row.pop(draw(st.integers(0, len(row) - 1)))
        else:
            row[draw(st.integers(0, len(row) - 1))] = draw(st.sampled_from(FIELDS))
    quoted = draw(st.booleans())
    lines = [delimiter.join(f'"{field}"' if quoted else field for field in row) for row in rows]
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    content = draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines).encode(encoding, "replace")
    return f"{content[:300]!r}", content


@cache
def parquet(index: int) -> bytes:
    """A Parquet file of one of some schemas."""
    bytes_and_path = {"bytes": file("PNG", "RGB"), "path": "a.png"}
    columns = [
        {"image": ["a.png", "b.png"], "emotion": ["happy", "sad"]},
        {"image": [bytes_and_path, bytes_and_path], "label": [3, 4], "age": [20, None]},
        {"image": [b"", b"not a picture"], "emotion": ["happy", None]},
        {"image": [{"bytes": None, "path": None}, {"bytes": b"x", "path": ""}], "emotion": [1.5, float("nan")]},
        {"image": [[1], [2, 3]], "emotion": [["happy"], []]},
        {"image": [None, None]},
        {"other": [1]},
        {"image": pyarrow.array([], pyarrow.string())},
        {"image": [{"a": 1}, {"a": 2}], "id": [None, b"\xff"], "split": [1, 0]},
    ][index]
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


@st.composite
def contents(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """Layout, what was done and the content of its file."""
    kind = draw(st.sampled_from([*LAYOUTS, "csv", "json", "json", "parquet", "parquet"]))
    if kind == "parquet":
        index = draw(st.integers(0, 8))
        change, content = draw(maybe_damaged(parquet(index)))
        return kind, f"schema {index}: {change}", content
    whole = LAYOUTS[kind][1]
    if kind in ("json", "jsonl") and draw(st.booleans()):
        return kind, *draw(odd_json())
    if kind not in ("json", "jsonl") and draw(st.booleans()):
        delimiter = {"tsv": "\t", "raf_db": " ", "ferv39k": " ", "mafw": " "}.get(kind, ",")
        return kind, *draw(odd_table(whole.decode(), delimiter))
    return kind, *draw(maybe_damaged(whole))


OPTIONS = [{}] * 6 + [
    {"root": "nowhere"}, {"fold": 2}, {"fold": "x"}, {"fold": -1}, {"emotion_column": "mood"},
    {"emotion_column": None},
    {"visual_column": "id"}, {"id_column": "emotion"}, {"attribute_columns": ["age"]}, {"attribute_columns": "age"},
    {"split_column": "age"}, {"setup": "../.."}, {"subset": 3}, {"aligned": "x"}, {"foo": 1}, {"root": 3},
]  # fmt: skip
MAPS = [None] * 4 + ["keep", "common", "raf_db", "no such map", "", "map.json"]


@st.composite
def data_sets(draw: st.DrawFn) -> Case:
    kind, change, content = draw(contents())
    name = LAYOUTS[kind][0] if kind in LAYOUTS else "t.parquet"
    given = {
        "split": draw(st.sampled_from([None, None, None, "train", "VAL", "x", 3])),
        "label_map": draw(st.sampled_from(MAPS)),
        "on_error": draw(st.sampled_from(["raise", "skip", "skip", "x"])),
        **draw(st.sampled_from(OPTIONS)),
    }
    layout = kind if kind not in ("csv", "tsv", "json", "jsonl", "parquet") else None
    files = {
        name: content,
        "a.png": file("PNG", "RGB"),
        "b.png": file("PNG", "L"),
        "map.json": b'{"labels": {"a": null}}',
    }
    for other in BESIDE.get(kind, []):
        files[other] = b"x"

    def ask(folder: Path) -> None:
        path = folder if layout not in (None, "fer2013") else folder / name
        records = Records(path, layout=layout, **given)
        found = list(records)
        if not all(isinstance(record, Record) and isinstance(record.id, str) for record in found):
            raise WrongAnswer(f"{found}")
        if [record.id for record in records] != [record.id for record in found]:
            raise WrongAnswer("other records when read again")

    return Case(f"{kind}: {change} {given}", ask, files, ("path", *map(str, given), str(layout)))


@st.composite
def label_maps(draw: st.DrawFn) -> Case:
    whole = b'{"labels": {"happy": "happiness", "Sad": "sadness", "none": null}}'
    content = draw(
        st.one_of(
            maybe_damaged(whole).map(lambda pair: pair[1]),
            st.sampled_from(VALUES).map(lambda value: dumped({"labels": value})),
            st.sampled_from(VALUES).map(lambda value: dumped({"labels": {"a": value}})),
            st.sampled_from(VALUES).map(dumped),
            st.just(b'{"labels":' * 30_000),
            st.just(b"[" * 100_000),
        )
    )

    def ask(folder: Path) -> None:
        label_map = LabelMap.from_file(folder / "map.json")
        if "happy" in label_map:
            label_map.words(label_map.meaning("happy") or "")

    return Case(f"label map {content[:200]!r}", ask, {"map.json": content})


def cases(cheap: bool = False) -> st.SearchStrategy[Case]:
    """Data sets and label maps; all are cheap."""
    return st.one_of(*[data_sets()] * 5, label_maps())
