"""What cannot be converted is refused with a message that names it, and leaves nothing behind."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from emo_llama_hf.conversion.convert import convert
from emo_llama_hf.conversion.plan import ConversionError

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "source"
    shutil.copytree(FIXTURES / "llama_vid" / "b_grid", folder, ignore=shutil.ignore_patterns("golden.safetensors"))
    return folder


def edit_shard(folder: Path, number: int, change) -> None:
    path = folder / f"pytorch_model-0000{number}-of-00003.bin"
    tensors = torch.load(path, weights_only=True)
    change(tensors)
    torch.save(tensors, path)


def edit_config(folder: Path, **settings) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))


def assert_nothing_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["source"]


NORM = "model.norm.weight"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda tensors: tensors.update({"model.surprise.weight": torch.zeros(2)}), r"model\.surprise\.weight"),
        (lambda tensors: tensors.update({"model.vlm_att_bert_proj.weight": torch.zeros(2)}), "vlm_att_bert_proj"),
        (lambda tensors: tensors.pop(NORM), r"language_model\.norm\.weight"),
        (lambda tensors: tensors.update({NORM: torch.ones(63)}), r"language_model\.norm\.weight.*\(64,\).*\(63,\)"),
        (lambda tensors: tensors.update({NORM: torch.ones(64, dtype=torch.int8)}), r"language_model\.norm\.weight"),
    ],
)
def test_a_wrong_tensor_is_named_before_anything_is_written(source, tmp_path, change, named):
    edit_shard(source, 2, change)
    with pytest.raises(ConversionError, match=named):
        convert(source, tmp_path / "out", progress=False)
    assert_nothing_left(tmp_path)


def test_an_unknown_vision_tensor_is_named(source, tmp_path):
    tensors = torch.load(source / "eva_vit_g.pth", weights_only=True)
    torch.save(tensors | {"blocks.0.attn.k_bias": torch.zeros(32)}, source / "eva_vit_g.pth")
    with pytest.raises(ConversionError, match=r"blocks\.0\.attn\.k_bias"):
        convert(source, tmp_path / "out", progress=False)


class Evil:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("name", ["pytorch_model-00002-of-00003.bin", "eva_vit_g.pth"])
@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_pickle_that_runs_code_is_refused(source, tmp_path, name, save):
    marker = tmp_path / "source" / "it_ran"
    save({"model.norm.weight": Evil(marker)}, source / name)
    with pytest.raises(ValueError, match=f"{name} was refused") as caught:
        convert(source, tmp_path / "out", progress=False)
    assert "weights_only=False" not in str(caught.value)
    assert not marker.exists()
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model-00003-of-00003.bin", "eva_vit_g.pth"])
def test_a_truncated_file_is_named(source, tmp_path, name):
    content = (source / name).read_bytes()
    (source / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=name):
        convert(source, tmp_path / "out", progress=False)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    "name", ["pytorch_model-00002-of-00003.bin", "config.json", "eva_vit_g.pth", "tokenizer.model"]
)
def test_a_missing_file_is_named(source, tmp_path, name):
    (source / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        convert(source, tmp_path / "out", progress=False)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"compress_type": "attention"}, "compress_type"),
        ({"mm_projector_type": "identity"}, "mm_projector_type"),
        ({"mm_vision_select_feature": "cls_patch"}, "mm_vision_select_feature"),
        ({"mm_use_im_start_end": True}, "mm_use_im_start_end"),
        ({"bert_type": "raw_bert"}, "bert_type"),
    ],
)
def test_a_setting_that_cannot_be_reproduced_is_named(source, tmp_path, settings, named):
    edit_config(source, **settings)
    with pytest.raises(ConversionError, match=named):
        convert(source, tmp_path / "out", progress=False)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"dtype": "int4"}, "dtype"),
        ({"to": "gguf"}, "to"),
        ({"to": "llama-vid"}, "converted"),
        ({"base": "."}, "base"),
        ({"keep_adapter": True}, "keep_adapter"),
        ({"mtcnn": "."}, "mtcnn"),
        ({"vision_heads": 5}, "vision_heads"),
        ({"image_size": 70}, "image_size"),
        ({"facexformer": "no/such/file.pt"}, "no/such/file.pt"),
    ],
)
def test_a_wrong_argument_is_named(source, tmp_path, arguments, named):
    with pytest.raises((ValueError, FileNotFoundError), match=named):
        convert(source, tmp_path / "out", progress=False, **arguments)
    assert_nothing_left(tmp_path)


def test_a_vocabulary_of_another_size_is_refused(source, tmp_path):
    with (source / "bert-base-uncased" / "vocab.txt").open("a") as file:
        file.write("more\n")
    with pytest.raises(ValueError, match="82 tokens"):
        convert(source, tmp_path / "out", progress=False)


def test_an_output_that_is_there_is_kept(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("mine")
    with pytest.raises(FileExistsError, match="out"):
        convert(source, tmp_path / "out", progress=False)
    assert (tmp_path / "out" / "precious").read_text() == "mine"


def test_an_error_while_writing_leaves_nothing(source, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("emo_llama_hf.processing.processing_emo_llama.EmoLlamaProcessor.save_pretrained", full)
    with pytest.raises(OSError, match="No space left"):
        convert(source, tmp_path / "out", progress=False)
    assert_nothing_left(tmp_path)


def test_a_killed_run_leaves_nothing_under_the_final_name(source, tmp_path):
    """The process is killed between the weights and the small files, when most is written."""
    code = (
        "import sys, time\n"
        "from emo_llama_hf.conversion import convert as module\n"
        "module.custom_object_save = lambda *args, **kwargs: (print('now', flush=True), time.sleep(60))\n"
        "module.convert(sys.argv[1], sys.argv[2], progress=False)\n"
    )
    arguments = [sys.executable, "-c", code, str(source), str(tmp_path / "out")]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline() == "now\n"
    unfinished = [path for path in tmp_path.iterdir() if path.name.startswith(".out.unfinished")]
    assert (unfinished[0] / "model.safetensors").stat().st_size > 500_000
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out").exists()


def test_a_dry_run_prints_the_mapping_and_writes_nothing(source, tmp_path):
    lines = convert(source, tmp_path / "out", dry_run=True, progress=False).splitlines()
    rows = {line.split()[0]: line for line in lines[1:]}
    assert "model.vlm_att_query" in rows["model.query_tokens"] and "1x3x24" in rows["model.query_tokens"]
    fused = rows["model.vision_model.encoder.layers.0.self_attn.qkv.bias"]
    assert "blocks.0.attn.q_bias + blocks.0.attn.v_bias" in fused and "eva_vit_g.pth" in fused
    assert_nothing_left(tmp_path)
