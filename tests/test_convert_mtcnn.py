"""facenet-pytorch's files, written here with our own weights under its names, convert back to the same weights."""

import contextlib
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from emo_llama_hf.conversion.conversion_error import ConversionError
from emo_llama_hf.conversion.mtcnn_weights import LAYERS, convert_mtcnn
from emo_llama_hf.processing.face_detection import EmoLlamaFaceDetector
from tiny_model import FACE_DETECTOR

# The names, shapes and order in facenet-pytorch 2.6.0's files.
SOURCE_SHAPES = {
    "pnet": {
        "conv1": (10, 3, 3, 3),
        "prelu1": (10,),
        "conv2": (16, 10, 3, 3),
        "prelu2": (16,),
        "conv3": (32, 16, 3, 3),
        "prelu3": (32,),
        "conv4_1": (2, 32, 1, 1),
        "conv4_2": (4, 32, 1, 1),
    },
    "rnet": {
        "conv1": (28, 3, 3, 3),
        "prelu1": (28,),
        "conv2": (48, 28, 3, 3),
        "prelu2": (48,),
        "conv3": (64, 48, 2, 2),
        "prelu3": (64,),
        "dense4": (128, 576),
        "prelu4": (128,),
        "dense5_1": (2, 128),
        "dense5_2": (4, 128),
    },
    "onet": {
        "conv1": (32, 3, 3, 3),
        "prelu1": (32,),
        "conv2": (64, 32, 3, 3),
        "prelu2": (64,),
        "conv3": (64, 64, 3, 3),
        "prelu3": (64,),
        "conv4": (128, 64, 2, 2),
        "prelu4": (128,),
        "dense5": (256, 1152),
        "prelu5": (256,),
        "dense6_1": (2, 256),
        "dense6_2": (4, 256),
        "dense6_3": (10, 256),
    },
}


@pytest.fixture(scope="module")
def weights():
    return EmoLlamaFaceDetector.from_pretrained(FACE_DETECTOR).state_dict()


@pytest.fixture
def folder(weights, tmp_path):
    """pnet.pt, rnet.pt, onet.pt and a licence."""
    path = tmp_path / "data"
    path.mkdir()
    for net, layers in LAYERS.items():
        prefix = f"mtcnn.{net}."
        tensors = {}
        for name, tensor in weights.items():
            if name.startswith(prefix):
                layer, _, parameter = name.removeprefix(prefix).rpartition(".")
                tensors[f"{layers[layer]}.{parameter}"] = tensor.clone()
        torch.save(tensors, path / f"{net}.pt")
    (path / "LICENSE.md").write_text("the licence")
    return path


def change(folder, net, edit):
    tensors = torch.load(folder / f"{net}.pt", weights_only=True)
    edit(tensors)
    torch.save(tensors, folder / f"{net}.pt")


def assert_nothing_written(folder):
    assert not (folder / "out").exists()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_every_layer_is_named_as_in_the_original():
    for net, layers in LAYERS.items():
        assert set(layers.values()) == SOURCE_SHAPES[net].keys()


def test_the_shipped_weights_have_the_originals_shapes_and_licence(weights):
    for net, layers in LAYERS.items():
        for layer, source in layers.items():
            assert weights[f"mtcnn.{net}.{layer}.weight"].shape == SOURCE_SHAPES[net][source]
    assert "MIT License" in (FACE_DETECTOR / "LICENSE").read_text()
    assert "Timothy Esler" in (FACE_DETECTOR / "LICENSE").read_text()


def test_a_folder_converts_bit_for_bit(folder, weights, tmp_path):
    convert_mtcnn(folder, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"config.json", "model.safetensors", "LICENSE"}
    assert (tmp_path / "out" / "LICENSE").read_text() == "the licence"
    converted = EmoLlamaFaceDetector.from_pretrained(tmp_path / "out").state_dict()
    assert converted.keys() == weights.keys()
    for name, tensor in weights.items():
        assert torch.equal(converted[name], tensor)


def test_a_wheel_converts_from_the_command_line(folder, weights, tmp_path):
    wheel = tmp_path / "facenet_pytorch-2.6.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for net in LAYERS:
            file.write(folder / f"{net}.pt", f"facenet_pytorch/data/{net}.pt")
        file.writestr("facenet_pytorch/models/mtcnn.py", "raise RuntimeError('code of the wheel was run')")
        file.writestr("facenet_pytorch-2.6.0.dist-info/LICENSE.md", "the wheel's licence")
    command = [sys.executable, "-m", "emo_llama_hf.conversion.mtcnn_weights", wheel, tmp_path / "made" / "out"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "made" / "out" / "LICENSE").read_text() == "the wheel's licence"
    converted = EmoLlamaFaceDetector.from_pretrained(tmp_path / "made" / "out").state_dict()
    assert all(torch.equal(converted[name], tensor) for name, tensor in weights.items())


def test_a_wheel_writes_nothing_outside_its_folder(folder, weights, tmp_path):
    """Its members' folders are left out, whatever they are."""
    wheel = tmp_path / "deep" / "wheel.whl"
    wheel.parent.mkdir()
    mark = tmp_path / "escaped.pt"
    with zipfile.ZipFile(wheel, "w") as file:
        for net in LAYERS:
            file.write(folder / f"{net}.pt", f"../../{net}.pt")
        for name in ("../escaped.pt", "../../../../../../../../" + str(mark), str(mark), "..\\escaped.pt", ".."):
            file.writestr(name, "not to be written")
    before = set(tmp_path.rglob("*"))
    convert_mtcnn(wheel, tmp_path / "out")
    out = {tmp_path / "out", tmp_path / "out" / "config.json", tmp_path / "out" / "model.safetensors"}
    assert set(tmp_path.rglob("*")) == before | out
    converted = EmoLlamaFaceDetector.from_pretrained(tmp_path / "out").state_dict()
    assert all(torch.equal(converted[name], tensor) for name, tensor in weights.items())


def test_a_wheel_that_unpacks_to_too_much_is_refused(folder, tmp_path):
    wheel = tmp_path / "wheel.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as file:
        for net in LAYERS:
            file.write(folder / f"{net}.pt", f"{net}.pt")
        file.writestr("bomb.pt", bytes(2**26 + 1))
    assert wheel.stat().st_size < 2**22
    with pytest.raises(ConversionError, match=r"'bomb\.pt' of 67108865 bytes"):
        convert_mtcnn(wheel, tmp_path / "out")
    assert_nothing_written(tmp_path)


def test_weights_without_a_licence_convert(folder, tmp_path):
    (folder / "LICENSE.md").unlink()
    convert_mtcnn(folder, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"config.json", "model.safetensors"}


def test_a_missing_tensor_is_named(folder, tmp_path):
    change(folder, "rnet", lambda tensors: tensors.pop("dense4.bias"))
    with pytest.raises(ConversionError, match=r"rnet\.pt.*dense4\.bias"):
        convert_mtcnn(folder, tmp_path / "out")
    assert_nothing_written(tmp_path)


def test_an_unknown_tensor_is_named(folder, tmp_path):
    change(folder, "pnet", lambda tensors: tensors.update({"conv9.weight": torch.zeros(1)}))
    with pytest.raises(ConversionError, match=r"pnet\.pt.*conv9\.weight"):
        convert_mtcnn(folder, tmp_path / "out")
    assert_nothing_written(tmp_path)


def test_a_tensor_of_a_wrong_shape_is_named(folder, tmp_path):
    change(folder, "onet", lambda tensors: tensors.update({"dense5.weight": torch.zeros(256, 1153)}))
    with pytest.raises(ConversionError, match=r"dense5\.weight.*1153"):
        convert_mtcnn(folder, tmp_path / "out")
    assert_nothing_written(tmp_path)


def test_a_missing_file_is_named(folder, tmp_path):
    (folder / "onet.pt").unlink()
    with pytest.raises(FileNotFoundError, match=r"onet\.pt"):
        convert_mtcnn(folder, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        convert_mtcnn(tmp_path / "nowhere", tmp_path / "out")
    assert_nothing_written(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no weights here", b"PK\x03\x04 cut off"])
def test_a_broken_file_is_named(folder, tmp_path, content):
    (folder / "rnet.pt").write_bytes(content)
    with pytest.raises(ConversionError, match=r"rnet\.pt"):
        convert_mtcnn(folder, tmp_path / "out")
    (tmp_path / "broken.whl").write_bytes(content)
    with pytest.raises(ConversionError, match=r"broken\.whl"):
        convert_mtcnn(tmp_path / "broken.whl", tmp_path / "out")
    assert_nothing_written(tmp_path)


class Malicious:
    """Unpickling this would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_malicious_pickle_is_refused_and_not_run(folder, tmp_path, save):
    mark = tmp_path / "was_run"
    save({"conv1.weight": Malicious(mark)}, folder / "pnet.pt")
    with pytest.raises(ConversionError, match=r"pnet\.pt"):
        convert_mtcnn(folder, tmp_path / "out")
    assert not mark.exists()
    assert_nothing_written(tmp_path)
    # The trap works: without the check it would have gone off.
    with contextlib.suppress(RuntimeError):  # a bare pickle is found to be no checkpoint, too late
        torch.load(folder / "pnet.pt", weights_only=False)
    assert mark.exists()


def test_a_folder_with_files_is_not_overwritten(folder, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "precious.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="out"):
        convert_mtcnn(folder, output)
    assert [path.name for path in output.iterdir()] == ["precious.txt"]


def test_an_empty_folder_is_filled(folder, tmp_path):
    (tmp_path / "out").mkdir()
    convert_mtcnn(folder, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").is_file()
