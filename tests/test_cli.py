"""The command line, in this process and as a process of its own."""

import io
import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

import emo_llama_command as cli
from emo_llama_hf.command_line.analyze import _save_annotated
from emo_llama_hf.command_line.model_options import ModelOptions
from emo_llama_hf.only_writer import only_writer
from media import clip, numbered
from test_isolation import serving

SAMPLES = Path(__file__).parent / "samples"
ASTRONAUT, HOPPER, COFFEE = (str(SAMPLES / name) for name in ("astronaut.png", "grace_hopper.jpg", "coffee.png"))


@pytest.fixture
def run(tiny, capsys):
    """Run a command on the tiny model: exit code, lines of stdout, stderr."""

    def call(command, *arguments, model=str(tiny)):
        capsys.readouterr()
        code = cli.main([command, "--model", model, *arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return code, captured.out.splitlines(), captured.err

    return call


def process(*arguments, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "emo_llama_hf", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(frames=[numbered(i) for i in range(12)]))
    return str(path)


SHORT = ["--max-new-tokens", "2"]


# -- analyze


def test_json_lines(run, video):
    files = [ASTRONAUT, video, "missing.png", COFFEE]
    code, lines, errors = run("analyze", *files, "--json", *SHORT)
    results = [json.loads(line) for line in lines]
    assert [result["file"] for result in results] == files
    assert ["error" in result for result in results] == [False, False, True, False]
    assert [len(result["faces"]) for result in (results[0], results[3])] == [1, 0]
    assert results[1]["num_frames"] == 8
    assert code == 1
    assert "1 of 4 files could not be analyzed" in errors


def test_text(run, video):
    code, lines, _ = run("analyze", ASTRONAUT, video, *SHORT)
    assert code == 0
    assert lines[0].startswith(f"{ASTRONAUT}: ")
    assert sum(line.startswith("  perceived emotion: ") for line in lines) == 2
    assert "  faces: 1" in lines and "  faces: 0 in 8 frames" in lines


@pytest.mark.parametrize("size", ["1", "3"])
def test_question_labels_and_batches(run, size):
    options = ["--labels", "calm, tense", "--question", "How?", "--json", "--batch-size", size, *SHORT]
    code, lines, _ = run("analyze", ASTRONAUT, HOPPER, *options)
    results = [json.loads(line) for line in lines]
    assert code == 0 and len(results) == 2
    for result in results:
        assert list(result["scores"]) == ["calm", "tense"]
        assert sum(result["scores"].values()) == pytest.approx(1, abs=1e-5)
        assert "perceived" in result["faces"][0]
    code, lines, _ = run("analyze", ASTRONAUT, "--no-attributes", "--json", *SHORT)
    assert code == 0 and "perceived" not in lines[0]


def test_progress_goes_to_stderr(run):
    _, lines, errors = run("analyze", ASTRONAUT, COFFEE, "--json", *SHORT)
    assert all(line.startswith("{") for line in lines)
    assert "2/2" in errors


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--labels", ""], "labels"),
        (["--labels", "happy"], "labels"),
        (["--labels", "happy,,sad"], "labels"),
        (["--labels", "happy,happy"], "labels"),
        (["--question", " "], "question"),
    ],
)
def test_wrong_labels_and_questions(run, options, name):
    code, lines, errors = run("analyze", ASTRONAUT, *options)
    assert (code, lines) == (1, [])
    assert errors.splitlines()[-1].startswith("emo-llama: ") and f"--{name}" in errors


def test_all_files_bad(run, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    code, lines, errors = run("analyze", str(tmp_path / "empty.png"), str(tmp_path), "missing.png")
    assert code == 1 and len(lines) == 3
    assert all(": error: " in line for line in lines)
    assert "3 of 3 files" in errors


def test_folders_and_patterns(run, tmp_path, video):
    (tmp_path / "a" / ".hidden").mkdir(parents=True)
    for name in ("b.png", "a/c.png", "a/.d.png", "a/.hidden/e.png"):
        shutil.copy(COFFEE, tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    inside = [str(tmp_path / name) for name in ("a/c.png", "b.png", "clip.mp4")]
    pattern, out = str(tmp_path / "**" / "*.png"), tmp_path / "new" / "out.jsonl"
    code, lines, errors = run("analyze", str(tmp_path), pattern, "--output", str(out), "--quiet", *SHORT)
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert (code, lines, errors) == (0, [], "")
    assert [result["file"] for result in results] == [*inside, *inside[:2]]
    assert [path.name for path in out.parent.iterdir()] == ["out.jsonl"]
    for nothing in (tmp_path / "new", tmp_path / "*.jpg"):
        code, lines, errors = run("analyze", str(nothing), *SHORT)
        assert (code, lines) == (1, []) and str(nothing) in errors


def test_a_result_file_is_whole_or_as_it_was(run, tmp_path, monkeypatch):
    out = tmp_path / "out[1].jsonl"
    out.write_text("before")
    (tmp_path / ".out[1].jsonl.0a1b2c3d.part").write_text("of a process that was killed")

    def interrupt(*args, **kwargs):
        yield {"error": "the first"}
        raise KeyboardInterrupt

    monkeypatch.setattr("emo_llama_hf.chat.pipeline.EmotionChatPipeline.__call__", interrupt)
    code, lines, _ = run("analyze", ASTRONAUT, COFFEE, "--output", str(out))
    assert (code, lines, out.read_text()) == (130, [], "before")
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize(("options", "frames"), [(["--num-frames", "3"], 3), (["--fps", "5"], None)])
def test_frames_of_a_clip(run, video, options, frames):
    _, lines, _ = run("analyze", video, ASTRONAUT, "--json", *options, *SHORT)
    found, photo = map(json.loads, lines)
    times = [frame["timestamp"] for frame in found["faces"]]
    assert photo["num_frames"] == 1 and len(times) == found["num_frames"]
    if frames:
        assert len(times) == frames
    else:
        assert (times[-1] - times[0]) / (len(times) - 1) == pytest.approx(0.2, abs=0.05), times
    code, lines, errors = run("analyze", video, "--num-frames", "3", "--fps", "5")
    assert (code, lines) == (1, []) and "--num-frames and --fps" in errors


def test_annotated_pictures(run, tmp_path, video):
    out = tmp_path / "new" / "folder"
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "astronaut.jpg"
    Image.open(ASTRONAUT).convert("RGB").save(twin)
    code, lines, _ = run("analyze", ASTRONAUT, str(twin), video, "--save-annotated", str(out), "--json", *SHORT)
    assert code == 0
    saved = [Path(json.loads(line)["annotated"]).name for line in lines]
    assert saved == ["astronaut.png", "astronaut-2.png", "clip.gif"]
    assert {path.name for path in out.iterdir()} == set(saved)
    assert Image.open(out / "astronaut.png").size == Image.open(ASTRONAUT).size
    assert Image.open(out / "clip.gif").n_frames == 8
    run("analyze", ASTRONAUT, "--save-annotated", str(out), *SHORT)
    assert (out / "astronaut-3.png").is_file()  # nothing is overwritten


def test_names_of_annotated_pictures_stay_in_their_folder(tmp_path):
    picture, taken, names = (
        Image.new("RGB", (8, 8)),
        tmp_path / "out",
        ["..", "../../a.png", "b/A.png", "喜" * 80 + ".png"],
    )
    taken.mkdir()
    names += ["https://host/..%2f..%2fetc/passwd?x=/../y", "https://host/", "a\udcff\n.png", "-", "c.png"]
    with only_writer(taken / "c.png"):  # another process is saving it
        saved = [_save_annotated(picture, name, taken) for name in names]
    assert len(set(saved)) == len(names) and {path.parent for path in saved} == {taken}
    assert {*taken.iterdir()} == {*saved} and [*tmp_path.iterdir()] == [taken]
    assert saved[-1].name == "c-2.png" and "a.png" in {path.name for path in saved}


def test_what_a_killed_run_left_takes_no_name(tmp_path):
    for left in (".a.png.lock", ".a.png.0123abcd.part"):
        (tmp_path / left).touch()
    assert _save_annotated(Image.new("RGB", (8, 8)), "a.png", tmp_path).name == "a.png"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_annotated_people(run, tmp_path, tiny):
    processor = AutoProcessor.from_pretrained(tiny, face_choice="all")
    AutoModelForImageTextToText.from_pretrained(tiny).save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    left, right = (Image.open(path).convert("RGB") for path in (ASTRONAUT, HOPPER))
    both = Image.new("RGB", (left.width + right.width, max(left.height, right.height)))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    both.save(tmp_path / "both.png")
    options = ["--save-annotated", str(tmp_path / "out"), "--json", *SHORT]
    code, lines, errors = run("analyze", str(tmp_path / "both.png"), "no.png", *options, model=str(tmp_path / "model"))
    assert code == 1 and "1 of 2 files" in errors
    results = [json.loads(line) for line in lines]
    assert [Path(result["annotated"]).name for result in results[:2]] == ["both.png", "both-2.png"]
    assert (tmp_path / "out" / "both.png").read_bytes() != (tmp_path / "out" / "both-2.png").read_bytes()


def test_urls_of_this_machine_only_if_allowed(run, monkeypatch):
    content = Path(ASTRONAUT).read_bytes()
    with serving(content) as (address, asked):
        code, lines, _ = run("analyze", f"{address}/a.png", *SHORT)
        assert code == 1 and "no public address" in lines[0] and not asked
        code, lines, _ = run("analyze", f"{address}/a.png", "--allow-private", *SHORT)
        assert code == 0 and asked == ["/a.png"]
        monkeypatch.setattr(sys, "stdin", io.StringIO("Why?\n"))
        assert run("chat", f"{address}/b.png", "--allow-private", "--max-new-tokens", "2")[0] == 0
        assert asked[1:] == ["/b.png"]


def test_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, lines, errors = run("analyze", ASTRONAUT, "--save-annotated", str(tmp_path / "file"), *SHORT)
    assert (code, lines) == (1, []) and "--save-annotated" in errors


@pytest.mark.parametrize("command", ["analyze", "chat", "info"])
def test_unknown_models(run, command, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for model in ("no/such-model", str(tmp_path / "missing"), str(tmp_path)):
        code, lines, errors = run(command, *([] if command == "info" else [ASTRONAUT]), model=model)
        assert (code, lines) == (1, [])
        assert "--model" in errors and "cannot be loaded" in errors


def test_a_model_of_another_kind(run, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    code, lines, errors = run("info", model=str(tmp_path))
    assert (code, lines) == (1, []) and "--model" in errors and "type llama" in errors


def test_a_damaged_model(run, tmp_path, tiny):
    shutil.copytree(tiny, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"damaged")
    code, lines, errors = run("info", model=str(tmp_path / "model"))
    assert (code, lines) == (1, []) and "cannot be loaded" in errors


def test_a_device_that_is_not_there(run):
    code, lines, errors = run("info", "--device", "cuda:77")
    assert (code, lines) == (1, []) and "--device" in errors


def test_interrupted(run, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(ModelOptions, "pipeline", interrupt)
    code, lines, errors = run("analyze", ASTRONAUT)
    assert (code, lines, errors) == (130, [], "Interrupted.\n")


# -- usage


@pytest.mark.parametrize("arguments", [["--help"], ["analyze", "--help"], ["chat", "-h"], ["info", "-h"]])
def test_help(capsys, arguments):
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.startswith("Usage: emo-llama")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["analyze"],
        ["analyze", "a.png", "--batch-size", "0"],
        ["analyze", "a.png", "--max-new-tokens", "x"],
    ],
)
def test_wrong_usage(capsys, arguments):
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Error:" in captured.err


# -- info and chat


def test_info(run, tiny):
    code, lines, _ = run("info")
    told = {line[:18].strip(): line[19:] for line in lines}
    assert code == 0
    assert told["model"] == str(tiny)
    assert told["emotions"].split(", ")[0] == "angry"
    assert told["face prior"].startswith("resnet") and told["frames of a clip"] == "8, uniform"


def test_info_as_json(run):
    _, lines, _ = run("info")
    code, [line], _ = run("info", "--json")
    told = json.loads(line)
    assert code == 0 and [f"{name:18} {value}" for name, value in told.items()] == lines


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"emo-llama {version('emo_llama_hf')}\n"


def test_what_a_chat_does_besides_answering(run, monkeypatch):
    asked = []

    def answer(self, messages, **kwargs):
        asked.append(
            [
                message["content"] if isinstance(message["content"], str) else message["content"][-1]["text"]
                for message in messages
            ]
            + [messages[0]["content"][0]["image"].frames[0].size]
        )
        return {"generated_text": "So it is."}

    monkeypatch.setattr("emo_llama_hf.chat.pipeline.EmotionChatPipeline.__call__", answer)
    said = [
        "/help",
        "One?",
        "Two?",
        "/again",
        "Three?",
        f"/file {HOPPER}",
        "Four?",
        "/file no.png",
        "/sing",
        "Five?",
        "/quit",
        "Six?",
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(said)))
    code, _, errors = run("chat", ASTRONAUT)
    one, two = Image.open(ASTRONAUT).size, Image.open(HOPPER).size
    assert code == 0, errors
    assert asked == [
        ["One?", one],
        ["One?", "So it is.", "Two?", one],
        ["Three?", one],
        ["Four?", two],
        ["Four?", "So it is.", "Five?", two],
    ]
    assert "no.png" in errors and "/sing is no command" in errors and errors.count("/again") >= 2


def test_chat_streams_answers(tiny):
    done = process("chat", "--model", str(tiny), "--max-new-tokens", "4", ASTRONAUT, stdin="What?\nWhy?\n\nIgnored\n")
    assert done.returncode == 0, done.stderr
    messages, answers = [], []
    pipe = pipeline("emotion-chat", model=str(tiny), max_new_tokens=4)
    for question in ("What?", "Why?"):
        content = [{"type": "image", "image": ASTRONAUT}] if not messages else []
        messages += [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]
        answers.append(pipe(messages)["generated_text"])
        messages += [{"role": "assistant", "content": answers[-1]}]
    assert [line.strip() for line in done.stdout.split("\n")[:2]] == answers
    assert "Ask away" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("stdin", ["", "\n", "missing.png\n"])
def test_chat_without_a_picture(run, monkeypatch, stdin):
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    code, lines, errors = run("chat")
    assert code == (1 if stdin.strip() else 0) and lines == []
    assert ("missing.png" in errors) == bool(stdin.strip())


def test_a_whole_process(tiny):
    done = process("analyze", "--model", str(tiny), ASTRONAUT, "missing.png", "--json", *SHORT)
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "scores" in lines[0] and "missing.png" in lines[1]["error"]
    assert "Traceback" not in done.stderr
