"""Gradient checkpointing: the same gradients for every kind of backbone and language model, and nothing done twice."""

from collections import Counter

import pytest
import torch
from transformers import AutoProcessor

from emo_llama_hf import EmoLlamaForConditionalGeneration
from emo_llama_hf.training import EmoLlamaDataCollator, make_trainable
from emo_llama_hf.training.trainable_parts import PARTS, part_of
from emotion_samples import clip, picture, sample
from tiny_model import tiny_config
from training_run import history, run

STAGES = ["stage1", "stage2", "stage3", "stage4"]
BACKBONES = {
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1], "layer_type": "basic"},
    "swin": {"embed_dim": 8, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 4], "window_size": 4, "image_size": 64},
    "convnext": {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1]},
    "swinv2": {"embed_dim": 8, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 4], "window_size": 4, "image_size": 64},
    "pvt_v2": {"hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 4]},
}
LANGUAGES = {
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4},
    "qwen2": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4},
    "gpt_neox": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4},
}


def build(backbone: str = "resnet", language: str | None = None) -> EmoLlamaForConditionalGeneration:
    """A tiny model with an open gate, of one face backbone and one language model."""
    face = tiny_config().face_config.to_dict()
    face["backbone_config"] = {"model_type": backbone, "out_features": STAGES, **BACKBONES[backbone]}
    kwargs = {"face_config": face}
    if language is not None:
        kwargs["text_config"] = {"model_type": language, "vocab_size": 420, **LANGUAGES[language]}
        kwargs["text_config"] |= {"num_key_value_heads": 2} if language == "qwen2" else {}
    torch.manual_seed(0)
    model = EmoLlamaForConditionalGeneration(tiny_config(**kwargs))
    for attention in (model.model.face_info_mining.global_attention, model.model.face_info_mining.local_attention):
        torch.nn.init.ones_(attention.gate)
    return model


@pytest.fixture(scope="module")
def batch(tiny):
    samples = [sample(picture(), "happy"), sample(clip(2), "sad"), sample(None, "Hello.", "Hi")]
    return EmoLlamaDataCollator(AutoProcessor.from_pretrained(tiny))(samples)


def gradients(model, batch: dict) -> dict[str, torch.Tensor]:
    """Loss and gradients of a step, whatever is random in it the same each time."""
    torch.manual_seed(1)
    loss = model.train()(**batch).loss
    loss.backward()
    found = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad()
    return {"loss": loss.detach(), **found}


TUNING = {
    "lora": {"lora_rank": 4},
    "lora and parts": {"lora_rank": 4, "parts": ["vision", "face_prior", "qformer", "projector"]},
    "all": {"lora_rank": 0, "parts": list(PARTS)},
}


KINDS = [(backbone, None, tuning) for backbone in ("resnet", "swin") for tuning in TUNING]
KINDS += [(backbone, None, "all") for backbone in BACKBONES if backbone not in ("resnet", "swin")]
KINDS += [("swin", language, "lora") for language in LANGUAGES]


def enable(model) -> None:
    """As `Trainer` does: under the method's new name where there is one, since the old one warns there."""
    getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()


@pytest.mark.parametrize(("backbone", "language", "tuning"), KINDS)
def test_gradients_are_the_same(batch, backbone, language, tuning):
    model = make_trainable(build(backbone, language), **TUNING[tuning])
    expected = gradients(model, batch)
    enable(model)
    found = gradients(model, batch)
    assert found.keys() == expected.keys()
    learning = {part_of(name) for name, value in model.named_parameters() if value.requires_grad}
    assert {part_of(name) for name in expected.keys() - {"loss"}} == learning
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize("tuning", ["lora", "all"])
@pytest.mark.parametrize("backbone", ["resnet", "swin"])
def test_only_what_learns_is_computed_again(batch, backbone, tuning):
    """In a step all modules of a frozen part run as often as without checkpointing, and give nothing with a graph."""
    model = make_trainable(build(backbone), **TUNING[tuning])
    core = model.get_base_model().model if tuning == "lora" else model.model
    counts, graphs = Counter(), set()

    def note(module, args, output):
        counts[names[module]] += 1
        tensors = output.values() if isinstance(output, dict) else output if isinstance(output, tuple) else [output]
        if any(isinstance(tensor, torch.Tensor) and tensor.requires_grad for tensor in tensors):
            graphs.add(names[module].split(".")[0])

    names = {module: name for name, module in core.named_modules() if name}
    for module in names:
        module.register_forward_hook(note)
    gradients(model, batch)
    once, without = counts.copy(), graphs.copy()
    counts.clear(), graphs.clear()
    enable(model)
    gradients(model, batch)
    assert graphs == without
    assert once["vision_model"] == once["qformer"] == once["face_prior"] == counts["face_prior.backbone"] == 1
    again = {name.split(".")[0] for name, number in counts.items() if number > once[name]}
    if tuning == "lora":
        assert again == {"language_model"}
        assert graphs == {"language_model", "face_info_mining", "visual_tokens"}
    else:  # transformers' ResNet has nothing that can be computed again
        swin = {"face_prior"} if backbone == "swin" else set()
        assert again == {"language_model", "vision_model", "qformer"} | swin


def test_a_run(tiny, tmp_path):
    """`Trainer` turns it on by itself."""
    build("swin").save_pretrained(tmp_path / "swin")
    AutoProcessor.from_pretrained(tiny).save_pretrained(tmp_path / "swin")
    for name, checkpointing in (("with", True), ("without", False)):
        run(tmp_path / "swin", tmp_path / name, {"gradient_checkpointing": checkpointing, "max_steps": 2})
    keys = ("loss", "grad_norm")
    found, expected = history(tmp_path / "with", *keys), history(tmp_path / "without", *keys)
    assert [value for _, _, value in found] == pytest.approx([value for _, _, value in expected], abs=1e-6)
    assert len(found) == 4
