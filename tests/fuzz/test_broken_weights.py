"""Weights that are cut off, damaged, not all there or not those of their configuration, and pickles that run code."""

import json
import pickle
import shutil

import pytest
import torch
from json_mutations import linked_copy
from model_folders import CHECKPOINT
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor

from emo_llama_hf import load_model
from runs_code import RunsCode

WEIGHTS = ["model.safetensors", "face_detector/model.safetensors"]


@pytest.mark.parametrize("file", WEIGHTS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-1000],
        lambda content: b"\xff" * 500,
        lambda content: b"version https://git-lfs.github.com/spec/v1\n",
    ],
    ids=["empty", "cut off in the header", "cut off", "noise", "only a pointer"],
)
def test_damaged_files_are_named(tmp_path, file, damage):
    linked_copy(CHECKPOINT, tmp_path / "model", file).write_bytes(damage((CHECKPOINT / file).read_bytes()))
    with pytest.raises(ValueError, match=f"cannot be loaded for its {file}"):
        load_model(str(tmp_path / "model"))


@pytest.mark.parametrize("file", WEIGHTS)
def test_missing_files_are_named(tmp_path, file):
    linked_copy(CHECKPOINT, tmp_path / "model", file)
    with pytest.raises(ValueError, match=r"no file named model\.safetensors"):
        load_model(str(tmp_path / "model"))


@pytest.mark.parametrize("file", WEIGHTS)
@pytest.mark.parametrize("change", ["missing", "extra", "other shape"])
def test_tensors_that_do_not_belong_are_named(tmp_path, file, change):
    tensors = load_file(CHECKPOINT / file)
    name = sorted(tensors)[0]
    if change == "missing":
        del tensors[name]
    elif change == "extra":
        tensors[name := "foo.weight"] = torch.zeros(2)
    else:
        tensors[name] = tensors[name][..., :-1].contiguous()
    save_file(tensors, linked_copy(CHECKPOINT, tmp_path / "model", file), metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"cannot be loaded: the weights .*{name}"):
        load_model(str(tmp_path / "model"))
    if file != "model.safetensors":
        with pytest.raises(ValueError, match=f"`face_detector` cannot be loaded: the weights .*{name}"):
            AutoProcessor.from_pretrained(tmp_path / "model")


def test_a_model_many_times_as_large_as_its_weights_takes_no_memory(tmp_path):
    """LLaMA's own defaults, of seven billion parameters, are 27 GB."""
    config = json.loads((CHECKPOINT / "config.json").read_text())
    config["text_config"] = {"model_type": "llama"}
    linked_copy(CHECKPOINT, tmp_path / "model", "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"model of 6,7\d\d,\d{3},\d{3} parameters"):
        load_model(str(tmp_path / "model"))


def test_a_tokenizer_without_an_end_is_named(tmp_path):
    settings = json.loads((CHECKPOINT / "tokenizer_config.json").read_text())
    settings["eos_token"] = None
    linked_copy(CHECKPOINT, tmp_path / "model", "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="`tokenizer` has no `eos_token`"):
        load_model(str(tmp_path / "model"))


def test_a_detector_of_nan_does_not_find_nothing(tmp_path):
    file = WEIGHTS[1]
    tensors = load_file(CHECKPOINT / file)
    tensors["mtcnn.pnet.box_head.bias"].fill_(float("nan"))
    save_file(tensors, linked_copy(CHECKPOINT, tmp_path / "model", file), metadata={"format": "pt"})
    with pytest.raises(ValueError, match="`face_detector` cannot be loaded: the weights have NaN"):
        load_model(str(tmp_path / "model"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
@pytest.mark.parametrize("file", WEIGHTS)
@pytest.mark.parametrize("place", ["instead of", "beside"])
def test_pickles_are_not_run(tmp_path, file, save, place):
    marker, folder = tmp_path / "was run", tmp_path / "model"
    weights = linked_copy(CHECKPOINT, folder, file)
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "model.pt"):
        save({"lm_head.weight": RunsCode(marker)}, weights.with_name(name))
    if place == "beside":
        shutil.copy(CHECKPOINT / file, weights)
        load_model(str(folder))
    else:
        with pytest.raises(ValueError, match="cannot be loaded"):
            load_model(str(folder))
        if file == "model.safetensors":
            for auto in (AutoModel, AutoModelForImageTextToText):
                with pytest.raises((OSError, ValueError, RuntimeError, pickle.UnpicklingError)):
                    auto.from_pretrained(folder)
    assert not marker.exists()
    with pytest.raises(FileExistsError):  # the pickles would have made it
        pickle.loads(pickle.dumps(RunsCode(tmp_path)))


def test_code_beside_the_weights_is_not_run(tmp_path):
    """`auto_map` names code; nobody is asked whether to trust it."""
    marker, folder = tmp_path / "was run", tmp_path / "model"
    for file in CHECKPOINT.rglob("*"):
        if file.is_file():
            (folder / file.relative_to(CHECKPOINT)).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.relative_to(CHECKPOINT)).symlink_to(file)
    for name in ("configuration", "modeling", "processing", "image_processing", "video_processing"):
        (folder / f"{name}_emo_llama.py").write_text(f"import os; os.mkdir({str(marker)!r})")
    load_model(str(folder))
    config = (CHECKPOINT / "config.json").read_text().replace('"model_type": "emo_llama"', '"model_type": "other"')
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(config)
    with pytest.raises(ValueError, match="trust_remote_code"):
        load_model(str(folder))
    assert not marker.exists()
