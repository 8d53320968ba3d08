"""Exports: graphs that answer as the model does, in a folder that every door opens, or no folder at all."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor, pipeline

from emo_llama_command import main
from emo_llama_hf import EmoLlamaProcessor, default_model, load_model
from emo_llama_hf.export import ExportedEmoLlama, formats
from emo_llama_hf.export.export_model import export_model
from emo_llama_hf.input_error import InputError
from emo_llama_hf.missing_package import MissingPackageError
from emotion_samples import face_folders
from media import clip, numbered
from tiny_model import build_tiny

pytest.importorskip("transformers.exporters.runners", reason="this transformers has no exports that run")

SAMPLES = Path(__file__).parent / "samples"
PICTURES = [str(SAMPLES / name) for name in ("astronaut.png", "grace_hopper.jpg", "chelsea.png")]  # the last: no face
EXACT = {"torch": 1e-5, "onnx": 1e-3, "openvino": 1e-3}
# The package's own model takes half a minute to trace, the tiny one a few seconds.
WHICH = [("torch", "tiny"), *(pytest.param(format, "mini", marks=pytest.mark.slow) for format in EXACT)]


def opened(folder):
    model, processor = load_model(str(folder), device="cpu", trust_export=True)
    return pipeline("emotion-chat", model=model, processor=processor, max_new_tokens=12)


@pytest.fixture(scope="module")
def models(tiny):
    return {"tiny": str(tiny), "mini": default_model()}


@pytest.fixture(scope="module")
def eager(models):
    """The pipeline of a model."""
    return cache(lambda model: opened(models[model]))


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    """Folders of exports, by their format and what was exported."""

    @cache
    def export(format, model):
        for package in formats.FORMATS[format].packages:
            if find_spec(package) is None:  # not imported here: OpenVINO would tell
                pytest.skip("the extra `export` is not installed")
        folder = tmp_path_factory.mktemp("exports") / format
        assert main(["export", "--model", models[model], "--output", str(folder), "--format", format]) == 0
        return folder

    return export


@pytest.fixture(scope="module")
def answering(exported):
    """The pipeline of an export, by its format and what was exported."""
    return cache(lambda format, model: opened(exported(format, model)))


def assert_the_same(found, expected, tolerance):
    """Results of the pipeline: texts are equal, numbers close."""
    for one, other in zip(found, expected, strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=tolerance)
        assert one["generated_text"] == other["generated_text"] and one["emotion"] == other["emotion"]
        assert [face.get("chosen") for face in one["faces"]] == [face.get("chosen") for face in other["faces"]]
        for face, known in zip(one["faces"], other["faces"], strict=True):
            for name, perceived in (face.get("perceived") or {}).items():
                assert perceived["label"] == known["perceived"][name]["label"]
                assert perceived["score"] == pytest.approx(known["perceived"][name]["score"], abs=tolerance)


@pytest.mark.parametrize(("format", "model"), WHICH)
def test_an_export_answers_as_the_model_does(format, model, exported, answering, eager):
    """Alone and in a batch, with a face and without: scores, words and what is perceived of the faces."""
    folder, pipe, expected = exported(format, model), answering(format, model), eager(model)
    assert isinstance(pipe.model, ExportedEmoLlama) and pipe.model.num_parameters() == 0
    assert_the_same([pipe(PICTURES[0])], [expected(PICTURES[0])], EXACT[format])
    assert_the_same(pipe(PICTURES[1:], batch_size=2), expected(PICTURES[1:], batch_size=2), EXACT[format])
    assert isinstance(AutoProcessor.from_pretrained(folder), EmoLlamaProcessor)
    card = (folder / "README.md").read_text("utf-8")
    assert all(f"`{name}`" in card for name in json.loads((folder / "export.json").read_text("utf-8"))["components"])


@pytest.mark.slow
@pytest.mark.parametrize("format", ["torch", "onnx", "openvino"])
def test_clips_beams_and_other_labels(format, answering, eager, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(clip(frames=[numbered(i) for i in range(12)]))
    asked = [
        {"inputs": str(tmp_path / "clip.mp4"), "num_frames": 5},
        {"inputs": PICTURES[0], "question": "Why?", "labels": ["calm", "tense"]},
        {"inputs": PICTURES[1], "num_beams": 3, "max_new_tokens": 6},
        {"inputs": PICTURES[1], "attributes": False, "use_cache": False, "max_new_tokens": 3},
    ]
    for call in asked:
        assert_the_same([answering(format, "mini")(**call)], [eager("mini")(**call)], EXACT[format])


@pytest.mark.slow
def test_openvino_tells_nobody(exported):
    exported("openvino", "mini")
    from openvino_telemetry import Telemetry

    assert Telemetry().consent is False


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"face": False}, {"face_info_mining": "none"}])
def test_models_of_other_parts(changes, tmp_path):
    folder = build_tiny(tmp_path / "model", **changes)
    model, processor = load_model(str(folder), device="cpu")
    assert export_model(model, processor, tmp_path / "out", "torch") < 1e-5
    settings = {"max_new_tokens": 4, "processor": processor}
    expected = pipeline("emotion-chat", model=model, **settings)(PICTURES[0])
    found = pipeline("emotion-chat", model=ExportedEmoLlama.open(str(tmp_path / "out")), **settings)(PICTURES[0])
    assert_the_same([found], [expected], 1e-5)


def test_an_export_says_what_it_cannot_do(exported, answering, capsys, tmp_path):
    folder, faces, out = str(exported("torch", "tiny")), face_folders(tmp_path / "faces", 1), str(tmp_path / "out")
    for arguments, message in (
        (["info", "--model", folder], "an export, whose graphs are programs: set --trust-export"),
        (
            ["info", "--model", folder, "--trust-export", "--dtype", "float16"],
            "an export, whose weights stay as they are: leave --dt",
        ),
        (["train", str(faces), "--model", folder, "--output", out], "an export, which cannot learn"),
    ):
        assert main(arguments) == 1
        assert message in capsys.readouterr().err
    pipe = answering("torch", "tiny")
    model, processor = pipe.model, pipe.processor
    with pytest.raises(InputError, match="is an export already"):
        export_model(model, processor, out, "torch")
    assert list(tmp_path.iterdir()) == [faces]
    with pytest.raises(InputError, match="cannot run on 'xpu'"):
        model.to("xpu")
    ids = torch.tensor([[1, 5, 6]])
    with pytest.raises(ValueError, match="leave `output_attentions` out"):
        model(input_ids=ids, output_attentions=True)
    with pytest.raises(ValueError, match="DynamicCache"):
        model.generate(ids, cache_implementation="static", max_new_tokens=2)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["torch", "onnx", "openvino"])
def test_commands_open_an_export(format, exported, eager, capsys):
    folder = str(exported(format, "mini"))
    capsys.readouterr()
    assert main(["info", "--model", folder, "--trust-export"]) == 0
    assert f"export             {format}, float32" in capsys.readouterr().out.splitlines()
    assert main(["analyze", PICTURES[1], "--model", folder, "--trust-export", "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["scores"] == pytest.approx(eager("mini")(PICTURES[1])["scores"], abs=EXACT[format])


@pytest.fixture
def asked_for(tiny, capsys):
    """Export the tiny model: exit code and stderr."""

    def export(folder, *arguments):
        capsys.readouterr()
        code = main(["export", "--model", str(tiny), "--output", str(folder), *arguments])
        return code, capsys.readouterr().err

    return export


def test_nothing_is_half_written(asked_for, tiny, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").touch()
    code, error = asked_for(tmp_path / "there")
    assert code == 1 and error.splitlines()[-1].startswith(f"emo-llama: {tmp_path / 'there'} is there already")

    def cannot(*arguments):
        raise RuntimeError("no such operator\nand a page about it")

    monkeypatch.setattr("emo_llama_hf.export.export_model._graph", cannot)
    code, error = asked_for(tmp_path / "new", "--format", "torch")
    assert code == 1 and error.splitlines()[-1] == (
        "emo-llama: --format: face_prior of this model cannot be exported to torch (RuntimeError: no such operator)."
    )
    monkeypatch.setattr("emo_llama_hf.export.export_model._graph", lambda *arguments: (None, 0.5))
    code, error = asked_for(tmp_path / "new", "--format", "torch")
    assert code == 1 and "answers otherwise" in error
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_what_is_needed_is_said(tiny, tmp_path, monkeypatch):
    model, processor = load_model(str(tiny))
    with pytest.raises(InputError, match="`format` must be one of torch, onnx, openvino"):
        export_model(model, processor, tmp_path / "out", "tflite")
    monkeypatch.setattr(formats, "_is_package_available", lambda name: (name != "onnxscript", None))
    with pytest.raises(MissingPackageError, match=r"needs onnxscript: pip install 'emo_llama_hf\[export\]'"):
        export_model(model, processor, tmp_path / "out", "onnx")
    assert not list(tmp_path.iterdir())
