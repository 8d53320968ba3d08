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
from safetensors.torch import save_file

from emo_llama_command import main
from emo_llama_hf.conversion.add_faces import add_faces
from emo_llama_hf.conversion.conversion_error import ConversionError
from emo_llama_hf.conversion.face_parts import FaceSources
from emo_llama_hf.conversion.llama_vid_config import UnpublishedShapes
from emo_llama_hf.conversion.llama_vid_export import export_llama_vid
from emo_llama_hf.conversion.llama_vid_files import LlamaVidSource
from emo_llama_hf.conversion.llama_vid_import import import_llama_vid
from emo_llama_hf.conversion.write_settings import WriteSettings

FIXTURES = Path(__file__).parent / "fixtures"
QUIET = WriteSettings(progress=False)


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
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("name", ["pos_embed", "patch_embed.proj.weight", "blocks.0.mlp.fc1.weight"])
def test_a_vision_tensor_of_no_possible_shape_is_named(source, tmp_path, name):
    tensors = torch.load(source / "eva_vit_g.pth", weights_only=True)
    torch.save(tensors | {name: torch.zeros(8)}, source / "eva_vit_g.pth")
    with pytest.raises(ConversionError, match=name):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)


def test_an_unknown_vision_tensor_is_named(source, tmp_path):
    tensors = torch.load(source / "eva_vit_g.pth", weights_only=True)
    torch.save(tensors | {"blocks.0.attn.k_bias": torch.zeros(32)}, source / "eva_vit_g.pth")
    with pytest.raises(ConversionError, match=r"blocks\.0\.attn\.k_bias"):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)


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
    with pytest.raises(ConversionError, match=f"{name} was refused") as caught:
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert "weights_only=False" not in str(caught.value)
    assert not marker.exists()
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model-00003-of-00003.bin", "eva_vit_g.pth"])
def test_a_truncated_file_is_named(source, tmp_path, name):
    content = (source / name).read_bytes()
    (source / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ConversionError, match=name):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:5],
        lambda content: content[:-1],
        lambda content: content + b"more",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content.replace(b"data_offsets", b"data_upsets!", 1),
        lambda content: content.replace(b'"F16"', b'"F99"', 1),
    ],
)
def test_a_damaged_safetensors_file_is_named(source, tmp_path, damage):
    tensors = torch.load(source / "eva_vit_g.pth", weights_only=True)
    save_file({name: tensor.half() for name, tensor in tensors.items()}, tmp_path / "source" / "eva.safetensors")
    eva = source / "eva.safetensors"
    eva.write_bytes(damage(eva.read_bytes()))
    with pytest.raises(ConversionError, match=r"eva\.safetensors"):
        import_llama_vid(LlamaVidSource(source, vision=eva), tmp_path / "out", settings=QUIET)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("name", ["../secret.bin", "/etc/passwd", "sub/secret.bin", 7])
def test_an_index_names_no_file_of_another_folder(source, tmp_path, name):
    index = source / "pytorch_model.bin.index.json"
    (source / "sub").mkdir()
    for secret in (tmp_path / "secret.bin", source / "sub" / "secret.bin"):
        shutil.copy(source / "pytorch_model-00002-of-00003.bin", secret)
    content = json.loads(index.read_text())
    content["weight_map"][NORM] = name
    index.write_text(json.dumps(content))
    with pytest.raises(ConversionError, match=f"index.json is damaged: it names .*{name}"):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)


def test_a_type_that_cannot_be_converted_is_named(source, tmp_path):
    eva = source / "eva.safetensors"
    save_file({"cls_token": torch.zeros(1, 1, 8).to(torch.float8_e5m2)}, eva)
    with pytest.raises(ConversionError, match=r"eva\.safetensors.*cls_token.*F8_E5M2"):
        import_llama_vid(LlamaVidSource(source, vision=eva), tmp_path / "out", settings=QUIET)


@pytest.mark.parametrize("name", ["config.json", "pytorch_model.bin.index.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_damaged_json_file_is_named(source, tmp_path, name, content):
    (source / name).write_bytes(content)
    with pytest.raises(ConversionError, match=name):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    "name", ["pytorch_model-00002-of-00003.bin", "config.json", "eva_vit_g.pth", "tokenizer.model"]
)
def test_a_missing_file_is_named(source, tmp_path, name):
    (source / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"compress_type": "attention"}, "compress_type"),
        ({"compress_type": "grid:99"}, "grid:99"),
        ({"mm_projector_type": "identity"}, "mm_projector_type"),
        ({"mm_vision_select_feature": "cls_patch"}, "mm_vision_select_feature"),
        ({"mm_use_im_start_end": True}, "mm_use_im_start_end"),
        ({"bert_type": "raw_bert"}, "bert_type"),
        ({"rope_scaling": 2}, "rope_scaling"),
        ({"hidden_act": "nn"}, "hidden_act"),
    ],
)
def test_a_setting_that_cannot_be_reproduced_is_named(source, tmp_path, settings, named):
    edit_config(source, **settings)
    with pytest.raises(ConversionError, match=named):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)


@pytest.mark.parametrize(
    ("convert", "named"),
    [
        (lambda source, out: import_llama_vid(LlamaVidSource(source), out, settings=WriteSettings("int4")), "dtype"),
        (lambda source, out: WriteSettings(max_shard_size="much"), "max_shard_size"),
        (lambda source, out: WriteSettings(max_shard_size=0), "max_shard_size"),
        (lambda source, out: WriteSettings(push_to_hub="no such name"), "push_to_hub"),
        (lambda source, out: export_llama_vid(source, out, settings=QUIET), "converted"),
        (lambda source, out: export_llama_vid(source, out, settings=WriteSettings("float16")), "dtype"),
        (lambda source, out: add_faces(source, out, FaceSources("."), settings=QUIET), "converted"),
        (lambda source, out: import_llama_vid(LlamaVidSource(source, base="."), out, settings=QUIET), "base"),
        (
            lambda source, out: import_llama_vid(LlamaVidSource(source), out, keep_adapter=True, settings=QUIET),
            "keep_adapter",
        ),
        (
            lambda source, out: import_llama_vid(
                LlamaVidSource(source), out, shapes=UnpublishedShapes(vision_heads=5), settings=QUIET
            ),
            "vision_heads",
        ),
        (
            lambda source, out: import_llama_vid(
                LlamaVidSource(source), out, shapes=UnpublishedShapes(image_size=70), settings=QUIET
            ),
            "image_size",
        ),
    ],
)
def test_a_wrong_argument_is_named(source, tmp_path, convert, named):
    with pytest.raises(ConversionError, match=named):
        convert(source, tmp_path / "out")
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("name", ["no/such/file.pt", "no such/file.pt"])
def test_a_file_that_is_not_there_is_named(source, tmp_path, name):
    with pytest.raises(FileNotFoundError, match=name):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", faces=FaceSources(name), settings=QUIET)
    assert_nothing_left(tmp_path)


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / "model"
    import_llama_vid(LlamaVidSource(FIXTURES / "llama_vid" / "b_grid"), folder, settings=QUIET)
    return folder


def test_a_converted_folder_is_not_converted_again(converted, tmp_path):
    with pytest.raises(ConversionError, match="converted already"):
        import_llama_vid(LlamaVidSource(converted), tmp_path / "out", settings=QUIET)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ([], "--facexformer"),
        (["--facexformer", "F", "--vision", "V", "--keep-adapter"], "--vision, --keep-adapter"),
        (["--mtcnn", "M"], "--mtcnn"),
        (["--to", "llama-vid", "--facexformer", "F"], "--facexformer"),
        (["--to", "llama-vid", "--image-size", "84"], "--image-size"),
        (["--to", "llama-vid", "--dtype", "float16"], "--dtype"),
    ],
)
def test_options_that_do_not_fit_a_converted_folder_are_named(converted, tmp_path, options, named, capsys):
    assert main(["convert", str(converted), "--output", str(tmp_path / "out"), *options]) == 1
    assert named in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        (["--mtcnn", "."], 1, "--mtcnn"),
        (["--to", "gguf"], 2, "--to"),
        (["--max-shard-size", "much"], 1, "--max-shard-size"),
        (["--push-to-hub", "no such name"], 1, "--push-to-hub"),
    ],
)
def test_options_that_fit_nothing_are_named(source, tmp_path, options, code, named, capsys):
    assert main(["convert", str(source), "--output", str(tmp_path / "out"), *options]) == code
    assert named in capsys.readouterr().err
    assert_nothing_left(tmp_path)


def test_a_vocabulary_of_another_size_is_refused(source, tmp_path):
    with (source / "bert-base-uncased" / "vocab.txt").open("a") as file:
        file.write("more\n")
    with pytest.raises(ConversionError, match="82 tokens"):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)


def test_a_vocabulary_that_is_no_text_is_named(source, tmp_path):
    (source / "bert-base-uncased" / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConversionError, match=r"The Q-Former's vocabulary of .*bert-base-uncased cannot be read"):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert_nothing_left(tmp_path)


def test_an_output_that_is_there_is_kept(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("mine")
    with pytest.raises(FileExistsError, match="out"):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert (tmp_path / "out" / "precious").read_text() == "mine"


def test_an_error_while_writing_leaves_nothing(source, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("emo_llama_hf.processing.processing_emo_llama.EmoLlamaProcessor.save_pretrained", full)
    with pytest.raises(OSError, match="No space left"):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert_nothing_left(tmp_path)


def test_a_killed_run_leaves_nothing_under_the_final_name(source, tmp_path):
    """The process is killed between the weights and the small files, when most is written."""
    code = (
        "import sys, time\n"
        "from emo_llama_hf.conversion import converted_model\n"
        "from emo_llama_hf.conversion.llama_vid_files import LlamaVidSource\n"
        "from emo_llama_hf.conversion.llama_vid_import import import_llama_vid\n"
        "converted_model.custom_object_save = lambda *args, **kwargs: (print('now', flush=True), time.sleep(60))\n"
        "import_llama_vid(LlamaVidSource(sys.argv[1]), sys.argv[2])\n"
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
    settings = WriteSettings(dry_run=True)
    lines = import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=settings).splitlines()
    rows = {line.split()[0]: line for line in lines[1:]}
    assert "model.vlm_att_query" in rows["model.query_tokens"] and "1x3x24" in rows["model.query_tokens"]
    fused = rows["model.vision_model.encoder.layers.0.self_attn.qkv.bias"]
    assert "blocks.0.attn.q_bias + blocks.0.attn.v_bias" in fused and "eva_vit_g.pth" in fused
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pytorch_model.bin.index.json", b'{"weight_map": {"a": ["b"], "c": 3}}'),
        ("config.json", b"[" * 100_000),
        ("config.json", b'{"mm_vision_tower": 0.5}'),
        ("config.json", b'{"compress_type": 3}'),
        ("special_tokens_map.json", b'{"unk_token": [1]}'),
        ("tokenizer.model", b"\xff" * 100),
        ("eva_vit_g.pth", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02X\x01\0\0\0\xff."),
    ],
    ids=str,
)
def test_files_of_wrong_values_are_refused_in_a_sentence(source, tmp_path, name, content):
    if name == "config.json" and content[:1] == b"{":
        content = json.dumps(json.loads((source / name).read_bytes()) | json.loads(content)).encode()
    (source / name).write_bytes(content)
    with pytest.raises(ConversionError, match="tokenizer" if "token" in name else name):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert_nothing_left(tmp_path)


def test_a_tensor_that_is_not_dense_is_named(source, tmp_path):
    edit_shard(source, 2, lambda tensors: tensors.update({NORM: torch.ones(64).to_sparse()}))
    with pytest.raises(ConversionError, match=r"model\.norm\.weight.*make it dense"):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("config.json", {"num_query_tokens": "x"}), ("processor_config.json", {"image_processor": [1]})],
)
def test_damaged_settings_of_a_converted_folder_are_told_in_a_line(tmp_path, capsys, name, settings):
    folder = tmp_path / "plain"
    import_llama_vid(LlamaVidSource(FIXTURES / "llama_vid" / "b_grid"), folder, settings=QUIET)
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(content | settings))
    assert main(["convert", str(folder), "--to", "llama-vid", "--output", str(tmp_path / "out")]) == 1
    assert "cannot be loaded" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
