"""4-bit and 8-bit weights: of the language model alone, not mistaken for damaged ones, and with the same answers."""

import json
from importlib import import_module

import pytest
import torch
from transformers import AutoModelForImageTextToText, pipeline
from transformers.quantizers.quantizers_utils import should_convert_module

import training_run
from emo_llama_command import main
from emo_llama_hf import load_model
from emo_llama_hf.load_model import NEVER_QUANTIZED
from emo_llama_hf.missing_package import MissingPackageError
from emotion_samples import face_folders
from test_bad_input import ASTRONAUT, SAMPLES

PICTURES = [str(SAMPLES / name) for name in ("astronaut.png", "grace_hopper.jpg", "chelsea.png")]


@pytest.fixture
def bitsandbytes():
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is optional")


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """The folder of an adapter for the tiny model."""
    folder = tmp_path_factory.mktemp("run")
    training_run.run(tiny, folder, {"max_steps": 2, "eval_strategy": "no", "save_strategy": "no"})
    return str(folder)


def scores(model=None, **settings):
    network, processor = load_model(model, device="cpu", **settings)
    return pipeline("emotion-chat", model=network, processor=processor, max_new_tokens=1)(ASTRONAUT)["scores"]


def test_only_the_language_model_is_quantized(tiny):
    model = AutoModelForImageTextToText.from_pretrained(tiny)
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    quantized = {name for name in linear if should_convert_module(name, NEVER_QUANTIZED)}
    assert quantized == {name for name in linear if name.startswith("model.language_model.")}
    assert quantized and len({name.split(".")[1] for name in linear - quantized if name != "lm_head"}) == 5


@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_weights_are_loaded_and_answer(tiny, bitsandbytes, bits):
    load = {f"load_in_{bits}bit": True}
    model, _ = load_model(str(tiny), device="cpu", **load)
    names = {name for name, module in model.named_modules() if type(module).__module__.startswith("bitsandbytes")}
    assert names and all(name.startswith("model.language_model.") for name in names)
    found, expected = scores(str(tiny), **load), scores(str(tiny))
    assert found == pytest.approx(expected, abs=0.1) and found != expected
    piped = pipeline("emotion-chat", model=str(tiny), max_new_tokens=1, model_kwargs={**load, "device_map": "cpu"})
    assert piped(ASTRONAUT)["scores"] == pytest.approx(found, abs=1e-6)


def test_four_bits_give_gradients_after_an_evaluation_on_any_cpu(tiny, bitsandbytes, monkeypatch):
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    model, _ = load_model(str(tiny), device="cpu", load_in_4bit=True)
    layer = model.model.language_model.layers[0].mlp.up_proj
    inputs = torch.randn(2, layer.in_features, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = layer(inputs)
    after = layer.train()(inputs.requires_grad_())
    after.sum().backward()
    assert torch.equal(after, before) and inputs.grad is not None and inputs.grad.abs().sum() > 0


def test_an_adapter_stays_beside_quantized_weights(tiny, run, bitsandbytes):
    found, merged = scores(run, load_in_4bit=True), scores(run)
    assert found == pytest.approx(merged, abs=0.1)
    assert scores(str(tiny), load_in_4bit=True) != pytest.approx(found, abs=1e-3)


def test_an_adapter_is_not_merged_into_a_base_saved_in_4_bits(tiny, run, bitsandbytes, tmp_path, capsys):
    model, processor = load_model(str(tiny), device="cpu", load_in_4bit=True)
    model.save_pretrained(tmp_path / "base")
    processor.save_pretrained(tmp_path / "base")
    assert main(["merge", run, str(tmp_path / "whole"), "--base", str(tmp_path / "base")]) == 1
    assert "--base is quantized" in capsys.readouterr().err and not (tmp_path / "whole").exists()


@pytest.mark.parametrize("bits", [4, 8])
def test_the_command_answers_the_same(bitsandbytes, capsys, bits):
    emotions = []
    for options in ([], [f"--load-in-{bits}bit"]):
        assert main(["analyze", *PICTURES, "--json", "--device", "cpu", *options]) == 0
        emotions.append([json.loads(line)["emotion"] for line in capsys.readouterr().out.splitlines()])
    assert emotions[0] == emotions[1] == ["happy", "neutral", None]


def test_an_evaluation_is_of_one_precision(tiny, bitsandbytes, tmp_path, capsys):
    face_folders(tmp_path / "data", 1)
    begin = ["evaluate", str(tmp_path / "data"), "--model", str(tiny), "--output", str(tmp_path / "report")]
    begin += ["--max-new-tokens", "2"]
    assert main([*begin, "--load-in-4bit", "--device-map", "auto"]) == 0
    assert main(begin) == 1
    assert "other --load-in-4bit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--device", "cpu", "--device-map", "auto"], "--device and --device-map both say"),
        (["--load-in-4bit", "--load-in-8bit"], "--load-in-4bit and --load-in-8bit were both given"),
        (["--load-in-4bit", "--device", "cuda:77"], "--device: 'cuda:77' cannot be used"),
    ],
)
def test_contradictions(capsys, options, words):
    assert main(["analyze", ASTRONAUT, *options]) == 1
    assert words in capsys.readouterr().err


def test_without_bitsandbytes(monkeypatch):
    monkeypatch.setattr(import_module("emo_llama_hf.load_model"), "is_bitsandbytes_available", lambda: False)
    with pytest.raises(MissingPackageError, match=r"`load_in_8bit` needs .*\[quantization\]"):
        load_model(load_in_8bit=True)
