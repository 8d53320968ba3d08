"""Many inputs into Parquet: every kind of source, the pipeline's answers, nothing twice."""

import csv
import json
import os
import signal
import tarfile
import threading
import time
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from transformers import pipeline

from emo_llama_command import main
from emo_llama_hf.bulk import annotate
from emo_llama_hf.bulk.answer_rows import AnswerRows
from emo_llama_hf.bulk.parts import Parts
from emo_llama_hf.bulk.sources import count, items
from emo_llama_hf.input_error import InputError
from media import clip, numbered

SAMPLES = Path(__file__).parent / "samples"
NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "grace_hopper.jpg")
PICTURES = [str(SAMPLES / name) for name in NAMES]
LABELS = ["calm", "tense"]


@pytest.fixture(scope="module")
def pipe(tiny):
    return pipeline("emotion-chat", model=str(tiny), max_new_tokens=2)


@pytest.fixture
def parts(tmp_path):
    def make(name="out.parquet", size=2, **settings):
        return Parts(tmp_path / name, AnswerRows(LABELS), size, settings)

    return make


def read(folder):
    return pq.read_table(folder).to_pylist()


def pixels(value):
    if isinstance(value, dict):
        return "clip", value["video"]
    picture = Image.open(value if isinstance(value, str) else BytesIO(value))
    return picture.size, picture.convert("RGB").tobytes()


# -- sources


@pytest.fixture
def sources(tmp_path):
    """The same four pictures in every way that there is."""
    contents = [Path(path).read_bytes() for path in PICTURES]
    (tmp_path / "list.txt").write_text("# mine\n\n" + "\n".join(os.path.relpath(path, tmp_path) for path in PICTURES))
    with open(tmp_path / "table.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["what", "label", "image"], *(["x", "7", path] for path in PICTURES)])
    lines = [json.dumps({"image": path, "note": "x"}) for path in PICTURES]
    (tmp_path / "table.jsonl").write_text("\n".join(lines) + "\n")
    cells = [{"bytes": content, "path": None} for content in contents]
    pq.write_table(pa.table({"image": cells}), tmp_path / "table.parquet")
    for name, mode in (("a.tar", "w"), ("b.tar.gz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as archive:
            for path in PICTURES:
                archive.add(path, f"0001/{Path(path).name}")
                note = tarfile.TarInfo(f"0001/{Path(path).stem}.json")
                archive.addfile(note, BytesIO())
    datasets = pytest.importorskip("datasets", reason="datasets comes with TRL")
    dataset = datasets.Dataset.from_dict({"image": PICTURES, "label": [0, 1, 1, 0]})
    dataset.cast_column("image", datasets.Image()).save_to_disk(str(tmp_path / "saved"))
    return tmp_path


@pytest.mark.parametrize(
    ("source", "ids"),
    [
        ("list.txt", None),
        ("table.csv", [f"table.csv:{line}" for line in (2, 3, 4, 5)]),
        ("table.jsonl", [f"table.jsonl:{line}" for line in (1, 2, 3, 4)]),
        ("table.parquet", [f"table.parquet:{row}" for row in range(4)]),
        ("a.tar", [f"a.tar/0001/{name}" for name in NAMES]),
        ("b.tar.gz", [f"b.tar.gz/0001/{name}" for name in NAMES]),
        ("saved", [f"saved:{row}" for row in range(4)]),
    ],
)
def test_a_source_gives_its_pictures(sources, source, ids):
    found = [(item.id, pixels(item.read())) for item in items([sources / source])]
    assert [picture for _, picture in found] == list(map(pixels, PICTURES))
    assert ids is None or [name for name, _ in found] == [str(sources / one) for one in ids]
    assert count([sources / source]) == (None if source == "b.tar.gz" else 4)


def test_clips_frames_folders_patterns_and_urls(tmp_path):
    content = clip(frames=[numbered(i) for i in range(4)])
    (tmp_path / "clip.mp4").write_bytes(content)
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        archive.add(tmp_path / "clip.mp4", "clip.mp4")
    assert [item.read() for item in items([tmp_path / "c.tar"])] == [{"video": content}]
    found = [item.id for item in items([str(SAMPLES / "*.jpg"), "https://host/a.png", tmp_path])]
    assert found == [PICTURES[3], "https://host/a.png", str(tmp_path / "clip.mp4")]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path / "no.csv", "not there"),
        (lambda path: path / "no.tar", "not there"),
        (lambda path: path / "bad.tar", "bad.tar cannot be read"),
        (lambda path: path / "empty", "no photo or video"),
        (lambda path: path / "other.csv", "none of the columns"),
    ],
)
def test_what_is_no_source(tmp_path, make, words):
    (tmp_path / "bad.tar").write_bytes(b"no archive" * 100)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=words):
        list(items([make(tmp_path)]))


# -- annotate


def test_rows_are_the_pipelines_answers(pipe, parts, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    files = [*PICTURES[:2], str(bad), *PICTURES[2:]]
    report = annotate(pipe, items(files), out := parts(), batch_size=3, labels=LABELS, progress=False)
    assert vars(report) == {"annotated": 5, "errors": 1, "known": 0}
    assert sorted(path.name for path in out.folder.glob("*.parquet")) == [f"part-00000{k}.parquet" for k in range(3)]
    rows = read(out.folder)
    expected = pipe(files, labels=LABELS, return_perceived=True)
    assert [row["id"] for row in rows] == files
    for row, result in zip(rows, expected, strict=True):
        if "error" in result:
            assert row["error"] == result["error"] and row["emotion"] is None and row["calm"] is None
            continue
        assert (row["emotion"], row["generated_text"]) == (result["emotion"], result["generated_text"])
        assert {label: row[label] for label in LABELS} == pytest.approx(result["scores"], abs=1e-5)
        assert len(json.loads(row["faces"])) == len(result["faces"]) and row["error"] is None
        perceived = result["perceived"].get("age")
        assert row["perceived_age"] == (perceived and perceived["label"])


def test_nothing_is_done_twice_and_other_inputs_are_refused(pipe, parts, monkeypatch):
    annotate(pipe, items(PICTURES), whole := parts("whole"), labels=LABELS, progress=False)
    seen = []

    def some():
        for item in items(PICTURES):
            if len(seen) == 3:
                raise KeyboardInterrupt
            seen.append(item.id)
            yield item

    with pytest.raises(KeyboardInterrupt):
        annotate(pipe, some(), out := parts(), labels=LABELS, progress=False)
    assert len(read(out.folder)) == 2  # and one in the journal
    asked = []
    monkeypatch.setattr(type(pipe), "preprocess", note(asked, type(pipe).preprocess))
    report = annotate(pipe, items(PICTURES), parts(), labels=LABELS, progress=False)
    assert len(asked) == report.annotated == 4 - report.known and report.known >= 2
    assert read(out.folder) == read(whole.folder)
    assert not list(out.folder.glob("*.jsonl"))
    with pytest.raises(InputError, match="rows of other inputs"):
        annotate(pipe, items(PICTURES[1:]), parts(), labels=LABELS, progress=False)
    with pytest.raises(InputError, match="other `part_size`, `question`"):
        parts(size=3, question="Why?")


def note(asked, method):
    def noting(self, inputs, **settings):
        asked.append(inputs)
        return method(self, inputs, **settings)

    return noting


def test_processes_share_the_parts(pipe, parts):
    annotate(pipe, items(PICTURES), whole := parts("whole", 1), labels=LABELS, progress=False)
    for process in (1, 0):
        report = annotate(
            pipe, items(PICTURES), out := parts("out", 1), None, process, 2, labels=LABELS, progress=False
        )
        assert report.annotated == 2
    assert read(out.folder) == read(whole.folder)


def test_a_label_that_is_a_column():
    with pytest.raises(InputError, match="'person', which is a column"):
        AnswerRows(["happy", "person"])


def test_the_command(tiny, tmp_path, capsys):
    out = str(tmp_path / "out.parquet")
    command = ["annotate", *PICTURES, out, "--model", str(tiny), "--max-new-tokens", "2", "--no-attributes"]
    assert main(command) == 0
    assert "4 annotated" in capsys.readouterr().out
    assert {row["perceived_age"] for row in read(out)} == {None}
    assert main(command) == 0
    assert "0 annotated" in (again := capsys.readouterr().out) and "4 were there" in again
    for wrong, words in (
        ([*command, "--question", "Why?"], "other --question"),
        (["annotate", PICTURES[0], PICTURES[1], "--model", str(tiny)], "is something else"),
        (["annotate", PICTURES[0], str(tmp_path / "x"), "--ray-actors", "2"], "--ray-actors"),
    ):
        assert main(wrong) == 1
        assert words in capsys.readouterr().err
    assert Path(PICTURES[1]).is_file()


@pytest.mark.slow
def test_a_ray_cluster_whose_worker_is_killed(tiny, tmp_path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    common = ["--model", str(tiny), "--max-new-tokens", "2", "--part-size", "1", "--batch-size", "1"]
    many = [*PICTURES] * 4
    assert main(["annotate", *many, str(tmp_path / "plain"), *common]) == 0
    killed = []

    def kill():
        while not list((tmp_path / "ray").glob("part-*.parquet")):
            time.sleep(0.05)
        killed.extend(workers()[:1])
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    assert main(["annotate", *many, str(tmp_path / "ray"), *common, "--ray", "local", "--ray-actors", "2"]) == 0
    thread.join(10)
    assert killed and read(tmp_path / "ray") == read(tmp_path / "plain")


def workers():
    """The processes of Ray's actors that have a model."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found
