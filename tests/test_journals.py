"""Files that the package wrote and somebody or something changed: named where they are damaged, or written anew."""

import json

import pytest

from emo_llama_hf.data.face_cache import FaceCache
from emo_llama_hf.evaluation import result_journal
from emo_llama_hf.input_error import InputError
from emo_llama_hf.instruct import reply_journal

SETTINGS = {"labels": ["happy"]}
RESULT = {"id": "a", "target": "happy", "kind": "static", "answer": "happy", "scores": {"happy": 1.0}}
DAMAGE = [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100_000]


@pytest.mark.parametrize("content", DAMAGE, ids=range(len(DAMAGE)))
def test_damaged_settings_are_named(tmp_path, content):
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(InputError, match=r"settings\.json (is damaged|must hold)"):
        result_journal.Journal(tmp_path, SETTINGS)
    with pytest.raises(InputError, match=r"settings\.json (is damaged|must hold)"):
        FaceCache(tmp_path)


@pytest.mark.parametrize(
    "line",
    [*DAMAGE, b"{}", *(json.dumps({**RESULT, name: 3}).encode() for name in RESULT)],
    ids=lambda line: line[:20],
)
def test_a_damaged_result_is_asked_for_again(tmp_path, line):
    journal = result_journal.Journal(tmp_path, SETTINGS)
    (tmp_path / "results-00000.jsonl").write_bytes(line + b"\n" + json.dumps({**RESULT, "id": "b"}).encode())
    assert list(journal.read()) == ["b"]
    journal.add([{**RESULT, "id": "c\udcff"}])
    assert list(journal.read()) == ["b", "c\udcff"]


@pytest.mark.parametrize(
    "line",
    [
        *DAMAGE[1:],
        b"{}",
        b'{"id": 3}',
        b'{"id": "a", "tokens": 3}',
        b'{"id": "a", "tokens": [1]}',
        b'{"id": "a", "items": 3}',
    ],
    ids=lambda line: line[:20],
)
def test_a_damaged_reply_is_named(tmp_path, line):
    path = tmp_path / "o.journal"
    path.write_bytes(json.dumps({"settings": SETTINGS}).encode() + b"\n" + line + b"\n")
    with pytest.raises(InputError, match=r"o\.journal at byte \d+ "):
        reply_journal.Journal(path, SETTINGS)
    path.write_bytes(line + b"\n")
    with pytest.raises(InputError, match=r"o\.journal"):
        reply_journal.Journal(path, SETTINGS)


def test_a_reply_keeps_what_is_not_unicode(tmp_path):
    journal = reply_journal.Journal(tmp_path / "o.journal", SETTINGS)
    journal.add({"id": "\udcff", "tokens": [1, 2], "items": [{"id": "ä\udcff"}]})
    assert journal.items("\udcff") == [{"id": "ä\udcff"}]
    journal.close()
    assert "ä" in (tmp_path / "o.journal").read_bytes().decode("utf-8")


@pytest.mark.parametrize("line", [*DAMAGE, b"{}", b'{"key": "a", "faces": 3}'], ids=lambda line: line[:20])
def test_damaged_faces_are_named(tmp_path, line):
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "faces-1.jsonl").write_bytes(line + b"\n")
    with pytest.raises(InputError, match=r"faces-1\.jsonl at byte 0 "):
        FaceCache(tmp_path)
