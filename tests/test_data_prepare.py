"""Faces found once give the same visuals as faces found anew, also after a kill and from several processes."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from emo_llama_command import main
from emo_llama_hf.chat.pipeline import EmotionChatPipeline
from emo_llama_hf.data import FaceCache, Record, RecordError, Records, default_cache, prepare
from emo_llama_hf.input_error import InputError
from emo_llama_hf.whole_file import write_text
from forked import forked
from media import clip
from tiny_model import tiny_processor

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="module")
def processor(tmp_path_factory):
    return tiny_processor(tmp_path_factory.mktemp("processor"), num_frames=3)


@pytest.fixture(scope="module")
def model(tiny):
    return AutoModelForImageTextToText.from_pretrained(tiny).eval()


@pytest.fixture
def data(tmp_path):
    """Two faces and a coffee, a clip of a face that moves, and the same as a folder of frames."""
    folder = tmp_path / "faces"
    for label in ("happy", "sad"):
        (folder / label).mkdir(parents=True)
    face = Image.open(SAMPLES / "astronaut.png").convert("RGB").crop((100, 0, 420, 320))
    face.save(folder / "happy/a.png")
    Image.open(SAMPLES / "coffee.png").resize((200, 130)).save(folder / "happy/b.png")
    Image.open(SAMPLES / "grace_hopper.jpg").resize((170, 200)).save(folder / "sad/c.png")
    moved = [np.roll(np.asarray(face.resize((160, 160))), 4 * n, axis=1) for n in range(6)]
    (folder / "sad/d.mp4").write_bytes(clip(frames=moved))
    (folder / "sad/e").mkdir()
    for n, picture in enumerate(moved[:2]):
        Image.fromarray(picture).save(folder / "sad/e" / f"{n}.png")
    return folder


def numbers(frames):
    """Of each frame's faces: how many, and all that they are made of."""
    found = [[face for face in faces if face is not None] for faces in frames]
    faces = [(*face.box, face.confidence, *sum(face.landmarks, ())) for frame in found for face in frame]
    return [*map(len, found), *sum(faces, ())]


def assert_same_visual(first, second):
    assert first.timestamps == second.timestamps
    assert (first.is_video, first.strategy, first.problem) == (second.is_video, second.strategy, second.problem)
    # A detector that looks at several pictures at once rounds otherwise.
    assert numbers(first.detections) == pytest.approx(numbers(second.detections), abs=1e-3)
    assert numbers([[face] for face in first.faces]) == pytest.approx(numbers([[f] for f in second.faces]), abs=1e-3)
    for one, other in zip(first.frames, second.frames, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("num_workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_cache_gives_what_the_processor_finds(data, processor, model, num_workers):
    report = prepare(Records(data), processor, model, num_workers=num_workers, shard_size=2, progress=False)
    assert (report.prepared, report.known, report.without_face, report.skipped) == (5, 0, 1, [])
    cache = FaceCache(default_cache(data))
    assert len(cache) == 5
    pipe = EmotionChatPipeline(model=model, processor=processor)
    for record in Records(data):
        (expected,) = processor.faces.find([record.load(processor)])
        visual = cache.visual(record, processor)
        assert_same_visual(visual, expected)
        attributes = cache.attributes(record)
        assert (attributes is None) == (not expected.has_face)
        if not record.is_video and attributes:
            (face,) = [face for face in pipe(record.visual, max_new_tokens=1)["faces"] if face["chosen"]]
            assert {name: value for name, (value, _) in attributes.items()} == {
                name: value["label"] for name, value in face["perceived"].items()
            }


def test_frames_chosen_by_their_faces_are_kept(data, tmp_path):
    by_face = tiny_processor(tmp_path / "by_face", num_frames=2, frame_sampling="face")
    prepare(Records(data), by_face, progress=False)
    cache = FaceCache(default_cache(data))
    for record in Records(data):
        (expected,) = by_face.faces.find([record.load(by_face)])
        assert_same_visual(cache.visual(record, by_face), expected)


def test_a_second_run_finds_nothing_to_do_and_a_changed_file_is_done_again(data, processor):
    prepare(Records(data), processor, progress=False)
    again = prepare(Records(data), processor, progress=False)
    assert (again.prepared, again.known) == (0, 5)
    shutil.copy(data / "sad/c.png", data / "happy/b.png")
    record = next(record for record in Records(data) if record.id == "happy/b.png")
    with pytest.raises(ValueError, match="emo-llama prepare"):
        FaceCache(default_cache(data)).visual(record, processor)
    changed = prepare(Records(data), processor, progress=False)
    assert (changed.prepared, changed.known) == (1, 4)
    assert FaceCache(default_cache(data)).visual(record, processor).has_face


def test_where_a_cache_lies():
    assert default_cache("a/b.csv") == Path("a/b.csv.faces")
    assert default_cache(".") == Path(f"{Path.cwd()}.faces")
    assert default_cache("/").parent == Path("/")  # which has no name


def test_the_cache_moves_with_the_data(data, processor, tmp_path):
    prepare(Records(data), processor, progress=False)
    (tmp_path / "elsewhere").mkdir()
    for path in (data, default_cache(data)):
        shutil.move(path, tmp_path / "elsewhere" / path.name)
    moved = tmp_path / "elsewhere" / data.name
    cache = FaceCache(default_cache(moved))
    assert all(record in cache for record in Records(moved))


def test_pictures_given_as_bytes(data, processor, tmp_path):
    content = (data / "happy/a.png").read_bytes()
    record = Record("x", content, row="t:1")
    twin = Record("y", content, row="t:2")
    report = prepare([record, twin], processor, cache_dir=tmp_path / "cache", progress=False)
    assert (report.prepared, report.known) == (1, 1)
    assert FaceCache(tmp_path / "cache").visual(twin, processor).has_face


@pytest.mark.parametrize("perceived", ["", [], False, "happy", {"age": ["young"]}])
def test_a_damaged_entry_is_named(perceived, processor, tmp_path, data):
    record = Record("x", (data / "happy/a.png").read_bytes(), row="t:1")
    prepare([record], processor, cache_dir=tmp_path, progress=False)
    [file] = tmp_path.glob("faces-*.jsonl")
    file.write_text(json.dumps({**json.loads(file.read_text()), "perceived": perceived}) + "\n")
    with pytest.raises(InputError, match=rf"{file.name} at byte 0 is damaged"):
        FaceCache(tmp_path).attributes(record)


def test_a_killed_run_goes_on_where_it_was(data, tiny):
    written = []

    def killing(path, text):
        if path.name.startswith("faces-"):
            written.append(path.name)
            if len(written) == 3:
                path.with_name(".half-" + path.name).write_text(text[:20])
                os._exit(9)
        write_text(path, text)

    def until_killed():
        sys.modules["emo_llama_hf.data.prepare"].write_text = killing
        prepare(Records(data), AutoProcessor.from_pretrained(tiny), shard_size=1, progress=False)

    assert forked(until_killed)[0] == 9
    report = prepare(Records(data), AutoProcessor.from_pretrained(tiny), shard_size=1, progress=False)
    assert (report.known, report.prepared) == (2, 3)
    assert len(FaceCache(default_cache(data))) == 5


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_broken_file_is_fatal_or_skipped_as_asked(data, processor, num_workers):
    broken = data / "happy/broken.png"
    broken.write_bytes((data / "happy/a.png").read_bytes()[:500])
    with pytest.raises(RecordError, match=r"broken\.png"):
        prepare(Records(data), processor, num_workers=num_workers, progress=False)
    report = prepare(Records(data), processor, num_workers=num_workers, on_error="skip", progress=False)
    assert [error.row for error in report.skipped] == [str(broken)]
    assert len(FaceCache(default_cache(data))) == 5


def test_other_settings_are_refused(data, processor, tmp_path):
    prepare(Records(data), processor, progress=False)
    other = tiny_processor(tmp_path / "other", num_frames=4)
    with pytest.raises(ValueError, match="prepared with other `num_frames`"):
        prepare(Records(data), other, progress=False)
    with pytest.raises(ValueError, match="`cache_dir` is missing"):
        prepare(list(Records(data)), processor, progress=False)
    with pytest.raises(FileNotFoundError, match="emo-llama prepare"):
        FaceCache(tmp_path)


def test_a_record_without_a_face_is_reported_where_the_processor_wants_one(data, tmp_path):
    strict = tiny_processor(tmp_path / "strict", missing_face="error")
    report = prepare(Records(data), strict, on_error="skip", progress=False)
    assert [error.row for error in report.skipped] == [str(data / "happy/b.png")]


def test_the_command(data, tiny, capsys):
    arguments = ["prepare", str(data), "--model", str(tiny), "--on-error", "skip", "--no-attributes"]
    assert main(arguments) == 0
    assert "5 prepared (1 without a face), 0 known already" in capsys.readouterr().out
    (data / "happy/empty.png").touch()
    assert main(arguments) == 1
    output = capsys.readouterr()
    assert "0 prepared" in output.out
    assert "empty.png is empty (0 bytes)" in output.err
