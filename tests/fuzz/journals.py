"""Journals and other files that the package wrote once, broken since."""

import hashlib
import json
from pathlib import Path
from typing import Any

from case import Case, WrongAnswer
from damage import maybe_damaged
from hypothesis import strategies as st

from emo_llama_hf.data.face_cache import FaceCache
from emo_llama_hf.data.record import Record
from emo_llama_hf.evaluation import result_journal
from emo_llama_hf.evaluation.evaluation_report import make_report
from emo_llama_hf.instruct import reply_journal

SETTINGS = {"labels": ["happy", "sad"], "seed": 0}
RESULTS: list[Any] = [
    {"id": "a", "target": "happy", "kind": "static", "answer": "happy", "scores": {"happy": 0.7, "sad": 0.3}},
    {"id": "b", "target": "sad", "kind": "static", "error": "`image` is empty"},
    {"id": "c", "target": "sad", "kind": "dynamic", "answer": "?", "scores": {"happy": 0.5, "sad": 0.5}, "fold": "1"},
]
REPLIES: list[Any] = [
    {"settings": SETTINGS},
    {"id": "a", "tokens": [3, 4], "items": [{"id": "a-0", "image": "a.png", "conversations": []}]},
    {"id": "b", "tokens": [1, 2]},
]
FACES: list[Any] = [
    {"key": hashlib.sha256(b"picture").hexdigest(), "stamp": "", "timestamps": [0.0], "strategy": None,
    "problem": None,
     "faces": [[[[0, 0, 9, 9], 0.9, [[1, 1]] * 5]]], "chosen": [0], "perceived": {"age": ["20-29", 0.9]}},
]  # fmt: skip
VALUES = [None, 0, -1, 1.5, 10**30, "", "x", "\udcff", [], [1], {}, {"a": 1}, True, float("nan")]


def lines(entries: list[Any]) -> bytes:
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


@st.composite
def odd_lines(draw: st.DrawFn, entries: list[Any]) -> tuple[str, bytes]:
    """A journal with one line or one field changed, or damaged as a file."""
    if draw(st.booleans()):
        return draw(maybe_damaged(lines(entries)))
    entries = json.loads(json.dumps(entries))
    index, value = draw(st.integers(0, len(entries) - 1)), draw(st.sampled_from(VALUES))
    kind = draw(st.sampled_from(["field", "field", "line", "out", "put in", "deep", "twice"]))
    if kind == "field":
        name = draw(st.sampled_from(list(entries[index])))
        entries[index][name] = value
        return f"line {index}: {name} = {value!r}", lines(entries)
    if kind == "out":
        name = draw(st.sampled_from(list(entries[index])))
        del entries[index][name]
        return f"line {index}: {name} left out", lines(entries)
    if kind == "line":
        entries[index] = value
    elif kind == "put in":
        entries.insert(index, value)
    elif kind == "twice":
        entries.insert(index, entries[index])
    else:
        return "a deep line", lines(entries) + b"[" * 100_000 + b"\n"
    return f"{kind} at {index}: {value!r}", lines(entries)


@st.composite
def evaluations(draw: st.DrawFn) -> Case:
    change, content = draw(odd_lines(RESULTS))
    settings = json.dumps(SETTINGS).encode()
    other, settings = draw(st.one_of(st.just(("whole", settings)), maybe_damaged(settings)))
    extra = draw(st.sampled_from(["d", "\udcff", "ä"]))

    def ask(folder: Path) -> None:
        journal = result_journal.Journal(folder, SETTINGS)
        before = journal.read()
        journal.add([{"id": extra, "target": "sad", "kind": "static", "error": "no \udcff file"}])
        after = journal.read()
        if extra not in after or not before.keys() <= after.keys():
            raise WrongAnswer(f"{before} became {after}")
        make_report(after.values(), SETTINGS["labels"])

    files = {"results-00000.jsonl": content, "settings.json": settings}
    return Case(f"evaluation: {change}, settings: {other}", ask, files, ("No sample",))


@st.composite
def instructions(draw: st.DrawFn) -> Case:
    change, content = draw(odd_lines(REPLIES))
    extra = draw(st.sampled_from(["d", "\udcff", "ä"]))

    def ask(folder: Path) -> None:
        journal = reply_journal.Journal(folder / "o.jsonl.journal", SETTINGS)
        try:
            for name in ("a", "b"):
                if name in journal:
                    journal.items(name)
            journal.add({"id": extra, "tokens": [1, 1], "items": [{"id": extra}]})
            if journal.items(extra) != [{"id": extra}] or not all(isinstance(count, int) for count in journal.usage):
                raise WrongAnswer(f"{journal.items(extra)} {journal.usage}")
        finally:
            journal.close()
        reply_journal.Journal(folder / "o.jsonl.journal", SETTINGS).close()

    return Case(f"instruct: {change}", ask, {"o.jsonl.journal": content})


@st.composite
def prepared(draw: st.DrawFn) -> Case:
    change, content = draw(odd_lines(FACES))
    settings = b'{"faces": {}, "labels": ["happy"]}'
    other, settings = draw(st.one_of(st.just(("whole", settings)), maybe_damaged(settings)))

    def ask(folder: Path) -> None:
        cache = FaceCache(folder / "t.faces")
        record = Record("a", b"picture", row="t.csv:1")
        if record in cache:
            cache.attributes(record)

    files = {"t.faces/faces-0.jsonl": content, "t.faces/settings.json": settings}
    return Case(f"faces: {change}, settings: {other}", ask, files)


def cases(cheap: bool = False) -> st.SearchStrategy[Case]:
    """Journals; all are cheap."""
    return st.one_of(evaluations(), instructions(), prepared())
