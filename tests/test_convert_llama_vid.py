"""A converted LLaMA-VID gives the original's ids, features, visual tokens and logits, and goes back bit-exact."""

import filecmp
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from carried import carried_pipeline
from emo_llama_hf.conversion.add_faces import add_faces
from emo_llama_hf.conversion.face_parts import FaceSources
from emo_llama_hf.conversion.llama_vid_export import export_llama_vid
from emo_llama_hf.conversion.llama_vid_files import LlamaVidSource
from emo_llama_hf.conversion.llama_vid_import import import_llama_vid
from emo_llama_hf.conversion.write_settings import WriteSettings
from emo_llama_hf.processing.visual import Visual

FIXTURES = Path(__file__).parent / "fixtures"
CASES = ("a_mean", "b_grid", "c_none")
TOLERANCE = {"rtol": 0, "atol": 1e-4}
FACES = FaceSources(FIXTURES / "facexformer")
QUIET = WriteSettings(progress=False)


def golden(case: str) -> tuple[dict, list[dict]]:
    with safe_open(FIXTURES / "llama_vid" / case / "golden.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["cases"])


@torch.no_grad()
def check_against_golden(folder: Path, case: str) -> None:
    """Assert that the model and processor in `folder` do what the original did."""
    model, report = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not any(report.values())
    processor = AutoProcessor.from_pretrained(folder)
    expected, texts = golden(case)
    for text in texts:
        want = {key.removeprefix(text["name"] + "."): t for key, t in expected.items() if key.startswith(text["name"])}
        visuals = len(want["qformer_input_ids"])
        frames = 1 if visuals > 1 else len(want["pixel_values"])
        picture = Visual([Image.new("RGB", (60, 40))] * frames, [0.0] * frames, is_video=frames > 1)
        inputs = processor(text=text["text"], images=[picture] * visuals)
        assert inputs.pixel_values.shape[1:] == want["pixel_values"].shape[1:]
        ids = []
        for token in want["input_ids"][0].tolist():
            ids += [processor.image_token_id] * (frames * processor.tokens_per_frame) if token == -200 else [token]
        assert inputs.input_ids[0].tolist() == ids
        assert torch.equal(inputs.qformer_input_ids, want["qformer_input_ids"])
        inputs["pixel_values"] = want["pixel_values"].repeat(visuals, 1, 1, 1)
        visual = {key: inputs[key] for key in ("pixel_values", "frame_counts", "qformer_input_ids")}
        features = model.get_image_features(**visual)
        raw, tokens = features.last_hidden_state[: len(want["vision_features"])], features.pooler_output
        torch.testing.assert_close(raw, want["vision_features"], **TOLERANCE)
        torch.testing.assert_close(tokens.flatten(0, 1), want["visual_tokens"].flatten(0, 1), **TOLERANCE)
        logits = model(**inputs).logits
        stored = logits.flip(1)[:, ::8].flip(1)  # every eighth position, the last one included
        torch.testing.assert_close(stored[..., : processor.image_token_id], want["logits"], **TOLERANCE)
        assert (logits.argmax(-1) != processor.image_token_id).all()


@pytest.fixture(scope="module", params=CASES)
def converted(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / request.param
    import_llama_vid(LlamaVidSource(FIXTURES / "llama_vid" / request.param), folder, settings=QUIET)
    return folder


def test_equals_the_original(converted):
    check_against_golden(converted, converted.name)


def test_equals_the_original_with_a_face_prior_that_is_not_trained_yet(converted, tmp_path):
    """FaceXFormer can be added to a converted folder or while converting: the files are the same."""
    add_faces(converted, tmp_path / "later", FACES, settings=QUIET)
    source = LlamaVidSource(FIXTURES / "llama_vid" / converted.name)
    import_llama_vid(source, tmp_path / "at_once", faces=FACES, settings=QUIET)
    check_against_golden(tmp_path / "later", converted.name)
    later, at_once = (safe_open(tmp_path / n / "model.safetensors", "pt") for n in ("later", "at_once"))
    assert set(later.keys()) == set(at_once.keys())
    assert all(torch.equal(later.get_tensor(name), at_once.get_tensor(name)) for name in later.keys())
    assert filecmp.cmp(tmp_path / "later" / "config.json", tmp_path / "at_once" / "config.json", shallow=False)
    assert AutoProcessor.from_pretrained(tmp_path / "later").faces.detector is not None


@torch.no_grad()
def test_zero_gates_leave_the_logits_as_they_are(converted, tmp_path):
    add_faces(converted, tmp_path / "faces", FACES, settings=QUIET)
    expected, _ = golden(converted.name)
    inputs = {
        "pixel_values": expected["image.pixel_values"],
        "frame_counts": torch.tensor([1]),
        "qformer_input_ids": expected["image.qformer_input_ids"],
    }
    without = AutoModelForImageTextToText.from_pretrained(converted, dtype=torch.float32)
    with_faces = AutoModelForImageTextToText.from_pretrained(tmp_path / "faces", dtype=torch.float32)
    faces = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    tokens = with_faces.get_image_features(**inputs, face_pixel_values=faces).pooler_output
    assert torch.equal(tokens, without.get_image_features(**inputs).pooler_output)
    with_faces.model.face_info_mining.global_attention.gate.fill_(1.0)
    changed = with_faces.get_image_features(**inputs, face_pixel_values=faces).pooler_output
    assert not torch.allclose(tokens, changed)


def test_the_way_back_is_bit_exact(converted, tmp_path):
    export_llama_vid(converted, tmp_path / "back", settings=WriteSettings(max_shard_size="150KB", progress=False))
    rows = load_file(converted / "model.safetensors")["lm_head.weight"].shape[0]
    assert rows == 1 + AutoConfig.from_pretrained(converted).image_token_id  # more than the original's
    original = FIXTURES / "llama_vid" / converted.name
    ours, theirs = load_shards(tmp_path / "back"), load_shards(original)
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype and torch.equal(ours[name], tensor), name
    for name in ("config.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
        assert filecmp.cmp(tmp_path / "back" / name, original / name, shallow=False)
    import_llama_vid(LlamaVidSource(tmp_path / "back"), tmp_path / "again", settings=QUIET)
    assert filecmp.cmp(tmp_path / "again" / "model.safetensors", converted / "model.safetensors", shallow=False)


def test_what_a_published_folder_needs_is_there(converted):
    names = {path.name for path in converted.iterdir()}
    assert names >= {
        *("config.json", "generation_config.json", "processor_config.json", "chat_template.jinja", "README.md"),
        *("modeling_emo_llama.py", "configuration_emo_llama.py", "processing_emo_llama.py", "tokenizer.json"),
    }
    auto_map = json.loads((converted / "config.json").read_text())["auto_map"]
    assert set(auto_map) == {"AutoConfig", "AutoModel", "AutoModelForImageTextToText", "AutoModelForMultimodalLM"}
    assert carried_pipeline(converted).__name__ == "EmotionChatPipeline"
    card = (converted / "README.md").read_text()
    assert "LLaMA-VID" in card and "CC BY-NC 4.0" in card and "EVA-CLIP" in card and "FaceXFormer" not in card


def test_the_chat_template_writes_the_originals_prompt(converted):
    processor = AutoProcessor.from_pretrained(converted)
    _, texts = golden(converted.name)
    first = {"type": "image"}, {"type": "text", "text": texts[2]["prompts"][0]}
    second = {"type": "image"}, {"type": "text", "text": texts[2]["prompts"][1]}
    chat = [
        {"role": "user", "content": list(first)},
        {"role": "assistant", "content": [{"type": "text", "text": "happy"}]},
        {"role": "user", "content": list(second)},
    ]
    assert processor.apply_chat_template(chat, add_generation_prompt=True) == texts[2]["text"]


def load_shards(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for path in folder.glob("pytorch_model-*.bin"):
        tensors |= torch.load(path, weights_only=True)
    return tensors
