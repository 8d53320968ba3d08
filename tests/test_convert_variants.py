"""Every way LLaMA-VID is published converts to the same model as the complete sharded checkpoint does."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForImageTextToText, LlamaConfig, LlamaForCausalLM, LlamaTokenizer

from emo_llama_hf.conversion.conversion_error import ConversionError
from emo_llama_hf.conversion.face_parts import FaceSources
from emo_llama_hf.conversion.llama_vid_config import UnpublishedShapes
from emo_llama_hf.conversion.llama_vid_export import export_llama_vid
from emo_llama_hf.conversion.llama_vid_files import LlamaVidSource
from emo_llama_hf.conversion.llama_vid_import import import_llama_vid
from emo_llama_hf.conversion.write_settings import WriteSettings

FIXTURES = Path(__file__).parent / "fixtures"
QUIET = WriteSettings(progress=False)
MULTIMODAL = ("mm_projector", "vlm_att", "vision_tower")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("pytorch_model-*.bin")):
        tensors |= torch.load(path, weights_only=True)
    return tensors


def copy_checkpoint(source: Path, target: Path, tensors: dict | None, name: str = "pytorch_model.bin") -> Path:
    """A checkpoint folder with the small files of `source` and one weight file of these tensors."""
    ignored = ("pytorch_model*", "golden.safetensors")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*ignored))
    if tensors is None:
        return target
    if name.endswith(".safetensors"):
        save_file(tensors, target / name)
    else:
        torch.save(tensors, target / name)
    return target


def assert_same_weights(folder: Path, other: Path) -> None:
    ours, theirs = load_file(folder / "model.safetensors"), load_file(other / "model.safetensors")
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture(scope="module")
def original() -> Path:
    return FIXTURES / "llama_vid" / "b_grid"


@pytest.fixture(scope="module")
def converted(original, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("variants") / "complete"
    import_llama_vid(LlamaVidSource(original), folder, settings=QUIET)
    return folder


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_one_weight_file(original, converted, tmp_path, name):
    source = copy_checkpoint(original, tmp_path / "source", weights(original), name)
    import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert_same_weights(tmp_path / "out", converted)


def test_a_file_older_than_the_zip_format(original, converted, tmp_path):
    source = copy_checkpoint(original, tmp_path / "source", None)
    torch.save(weights(original), source / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    assert_same_weights(tmp_path / "out", converted)


def test_shards_out_load_as_one_file_does(original, converted, tmp_path):
    settings = WriteSettings(max_shard_size="100KB", progress=False)
    import_llama_vid(LlamaVidSource(original), tmp_path / "out", settings=settings)
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 3
    ours = AutoModelForImageTextToText.from_pretrained(tmp_path / "out").state_dict()
    theirs = AutoModelForImageTextToText.from_pretrained(converted).state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_stage_1_on_its_base_model(original, converted, tmp_path):
    tensors = weights(original)
    base = {name: t for name, t in tensors.items() if not any(part in name for part in MULTIMODAL)}
    base_folder = copy_checkpoint(original, tmp_path / "vicuna", base)
    source = tmp_path / "stage_1"
    source.mkdir()
    for name in ("config.json", "eva_vit_g.pth"):
        shutil.copy(original / name, source)
    torch.save({name: t for name, t in tensors.items() if name not in base}, source / "mm_projector.bin")
    with pytest.raises(ConversionError, match="base"):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    import_llama_vid(LlamaVidSource(source, base=base_folder), tmp_path / "out", settings=QUIET)
    assert_same_weights(tmp_path / "out", converted)


def test_q_former_from_instruct_blip(original, converted, tmp_path):
    names = {
        "model.vlm_att_encoder.": "Qformer.",
        "model.vlm_att_ln.": "ln_vision.",
        "model.vlm_att_query": "query_tokens",
    }
    tensors, q_former = weights(original), {}
    for name in list(tensors):
        for prefix, new in names.items():
            if name.startswith(prefix):
                q_former[new + name[len(prefix) :]] = tensors.pop(name)
    q_former["llm_proj.weight"] = torch.zeros(2, 2)
    source = copy_checkpoint(original, tmp_path / "source", tensors)
    torch.save({"model": q_former}, tmp_path / "instruct_blip_vicuna7b_trimmed.pth")
    with pytest.raises(ConversionError, match="qformer"):
        import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    complete = LlamaVidSource(source, qformer=tmp_path / "instruct_blip_vicuna7b_trimmed.pth")
    import_llama_vid(complete, tmp_path / "out", settings=QUIET)
    assert_same_weights(tmp_path / "out", converted)


@pytest.fixture(scope="module")
def lora(original, tmp_path_factory):
    """LLaVA's LoRA output as PEFT writes it, and the merged weights as PEFT merges them."""
    folder = tmp_path_factory.mktemp("lora")
    settings = json.loads((original / "config.json").read_text())
    keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    model = LlamaForCausalLM(LlamaConfig(**{key: settings[key] for key in keys}))
    tensors = weights(original)
    model.load_state_dict({name: t.float() for name, t in tensors.items() if name in model.state_dict()})
    adapted = get_peft_model(
        model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM")
    )
    generator = torch.Generator().manual_seed(0)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, generator=generator)
    adapted.save_pretrained(folder / "adapter")
    for name in ("config.json", "eva_vit_g.pth"):
        shutil.copy(original / name, folder / "adapter")
    trained = {f"base_model.model.{n}": t + 1 for n, t in tensors.items() if "mm_projector" in n}
    torch.save(trained, folder / "adapter" / "non_lora_trainables.bin")
    return folder / "adapter", adapted.merge_and_unload().state_dict()


def test_lora_merged(original, converted, lora, tmp_path):
    folder, merged = lora
    settings = WriteSettings("float32", progress=False)
    import_llama_vid(LlamaVidSource(folder, base=original), tmp_path / "out", settings=settings)
    ours, before = load_file(tmp_path / "out" / "model.safetensors"), load_file(converted / "model.safetensors")
    changed = 0
    for name, tensor in ours.items():
        peft_name = name.replace("model.language_model.", "model.")
        if peft_name in merged:
            tensor = tensor[: len(merged[peft_name])]  # the original has no row for the placeholder
            torch.testing.assert_close(tensor, merged[peft_name], rtol=0, atol=1e-5)
            changed += not torch.allclose(tensor, before[name][: len(tensor)].float())
        elif "visual_tokens.projector" in name:
            torch.testing.assert_close(tensor, (before[name] + 1).float())
        else:
            assert torch.equal(tensor, before[name].float())
    assert changed == 4  # two modules in each of two layers


@pytest.mark.parametrize("faces", [None, FaceSources(FIXTURES / "facexformer")])
@torch.no_grad()
def test_lora_kept_as_an_adapter(original, lora, tmp_path, faces):
    folder, _ = lora
    source, settings = LlamaVidSource(folder, base=original), WriteSettings("float32", progress=False)
    import_llama_vid(source, tmp_path / "merged", faces=faces, settings=settings)
    import_llama_vid(source, tmp_path / "kept", faces=faces, keep_adapter=True, settings=settings)
    ids = {"input_ids": torch.tensor([[1, 30, 200, 9, 77]])}
    base = AutoModelForImageTextToText.from_pretrained(tmp_path / "kept")
    before = base(**ids).logits
    with_adapter = PeftModel.from_pretrained(base, tmp_path / "kept" / "adapter").eval()
    expected = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged")(**ids).logits
    torch.testing.assert_close(with_adapter(**ids).logits, expected, rtol=0, atol=1e-3)
    assert not torch.allclose(before, expected, atol=1e-2)


def test_a_linear_projector(original, tmp_path):
    tensors = weights(original)
    for name in ("weight", "bias"):
        tensors[f"model.mm_projector.{name}"] = tensors.pop(f"model.mm_projector.0.{name}")
        del tensors[f"model.mm_projector.2.{name}"]
    source = copy_checkpoint(original, tmp_path / "source", tensors)
    settings = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(settings | {"mm_projector_type": "linear"}))
    import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out")
    assert [type(layer) for layer in model.model.visual_tokens.projector] == [nn.Linear]
    export_llama_vid(tmp_path / "out", tmp_path / "back", settings=QUIET)
    back = torch.load(tmp_path / "back" / "pytorch_model.bin", weights_only=True)
    assert set(back) == set(tensors)
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_a_stretched_context_window(original, tmp_path):
    """The long-video models stretch RoPE linearly."""
    source = copy_checkpoint(original, tmp_path / "source", weights(original))
    settings = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(settings | {"rope_scaling": {"type": "linear", "factor": 16.0}}))
    import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out", dtype=torch.float32)
    width = model.config.text_config.head_dim
    expected = 1 / 16 / 10000 ** (torch.arange(0, width, 2) / width)
    torch.testing.assert_close(model.model.language_model.rotary_emb.inv_freq, expected)


def test_larger_frames_resize_the_position_embedding(original, tmp_path):
    import_llama_vid(LlamaVidSource(original), tmp_path / "out", shapes=UnpublishedShapes(84), settings=QUIET)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out")
    ours = model.model.vision_model.embeddings.position_embedding
    expected = load_file(FIXTURES / "llama_vid" / "b_grid_pos_embed_84.safetensors")["pos_embed"]
    torch.testing.assert_close(ours, expected.to(ours.dtype))
    assert model.get_image_features(
        torch.zeros(1, 3, 84, 84, dtype=model.dtype), torch.tensor([1]), torch.tensor([[1, 2]])
    ).pooler_output.shape == (1, 5, 64)


def test_the_copy_in_the_shards_tells_the_size_of_the_frames(original, tmp_path):
    """Its values are ignored, as in the original."""
    tensors = weights(FIXTURES / "llama_vid" / "a_mean")
    copy = "model.vision_tower.vision_tower."
    tensors[copy + "pos_embed"] = torch.full((1, 37, 32), 99.0).half()
    source = copy_checkpoint(FIXTURES / "llama_vid" / "a_mean", tmp_path / "source", tensors)
    import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out")
    assert model.config.vision_config.image_size == 84
    assert model.model.vision_model.embeddings.position_embedding.abs().max() < 1
    tensors[copy + "pos_embed"] = tensors[copy + "pos_embed"][:, :17]
    source = copy_checkpoint(FIXTURES / "llama_vid" / "a_mean", tmp_path / "other", tensors)
    import_llama_vid(LlamaVidSource(source, vision="checkpoint"), tmp_path / "from_copy", settings=QUIET)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "from_copy")
    assert model.model.vision_model.embeddings.position_embedding.min() == 99


def test_pushed_to_the_hub(original, tmp_path, hub):
    settings = WriteSettings(push_to_hub="user/emo-llama", progress=False)
    import_llama_vid(LlamaVidSource(original), tmp_path / "out", settings=settings)
    names = HfApi().list_repo_files("user/emo-llama")
    assert {"model.safetensors", "config.json", "README.md", "modeling_emo_llama.py"} <= set(names)


def test_a_tokenizer_json_instead_of_sentencepiece(original, converted, tmp_path):
    source = copy_checkpoint(original, tmp_path / "source", weights(original))
    LlamaTokenizer.from_pretrained(original).save_pretrained(tmp_path / "fast")
    (source / "tokenizer.model").unlink()
    shutil.copy(tmp_path / "fast" / "tokenizer.json", source)
    import_llama_vid(LlamaVidSource(source), tmp_path / "out", settings=QUIET)
    ours, theirs = (json.loads((f / "tokenizer.json").read_text()) for f in (tmp_path / "out", converted))
    assert ours == theirs


def test_dtype(original, tmp_path):
    import_llama_vid(LlamaVidSource(original), tmp_path / "out", settings=WriteSettings("bfloat16", progress=False))
    assert {t.dtype for t in load_file(tmp_path / "out" / "model.safetensors").values()} == {torch.bfloat16}
    assert AutoModelForImageTextToText.from_pretrained(tmp_path / "out").dtype == torch.bfloat16
