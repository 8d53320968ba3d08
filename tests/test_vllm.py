"""
What vLLM's transformers backend asks of processor and model, asked here as vLLM does: its build is for GPUs and runs
in no test. It is what vLLM's `model_executor/models/transformers` has for transformers 5.15 and later.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image
from transformers import AttentionInterface, AutoConfig, AutoModel, AutoProcessor, AutoTokenizer

from emo_llama_hf import EmoLlamaForConditionalGeneration, default_model

SAMPLES = Path(__file__).parent / "samples"
CHAT = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is she happy?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "No."}]},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "And he?"}]},
]
QUESTIONS = ("Is she happy?", "And he?")


@pytest.fixture(scope="module", params=["default", "none"])
def served(request, tiny):
    """Tokenizer and processor as vLLM opens them, of a folder with a fixed guide, and the model."""
    return opened(tiny, request.param)


def opened(folder, guide: str) -> SimpleNamespace:
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    processor = AutoProcessor.from_pretrained(
        folder, revision="main", trust_remote_code=False, tokenizer=tokenizer, question_guide=guide
    )
    assert processor.tokenizer is tokenizer
    model = EmoLlamaForConditionalGeneration.from_pretrained(folder).eval()
    return SimpleNamespace(folder=folder, tokenizer=tokenizer, processor=processor, model=model)


def pictures() -> list[Image.Image]:
    return [Image.open(SAMPLES / name).convert("RGB") for name in ("astronaut.png", "grace_hopper.jpg")]


def seen_alone(served, picture) -> dict:
    """What vLLM's cache keeps of a picture: placeholders are all the text that comes with it, never the prompt."""
    made = served.processor(
        text=served.processor.image_token,
        images=[picture],
        truncation=False,
        add_special_tokens=False,
        return_text_replacement_offsets=True,
        return_tensors="pt",
    )
    (offset,) = made.pop("text_replacement_offsets")[0]
    assert offset["type"] == "image"
    made.pop("attention_mask")
    (tokens,) = made.pop("input_ids").tolist()
    assert tokens == served.tokenizer.encode(offset["replacement"], add_special_tokens=False)
    patches = served.processor._get_num_multimodal_tokens(image_sizes=[(picture.height, picture.width)])
    for name, rows in made.items():  # it cuts each along its first side
        assert len(rows) == sum(patches["num_image_patches"]), name
    return {"tokens": tokens, **made}


@torch.no_grad()
def embedded(model, kept: list[dict]) -> torch.Tensor:
    """Visual tokens of pictures whose tensors were kept apart."""
    tensors = {name: torch.cat([one[name] for one in kept]) for name in kept[0] if name != "tokens"}
    return model.get_image_features(tensors.pop("pixel_values"), **tensors).pooler_output.flatten(0, 1)


def test_the_plugin_names_the_class_that_serves_a_saved_model(monkeypatch):
    registered = {}
    stand_in = ModuleType("vllm")
    stand_in.ModelRegistry = SimpleNamespace(register_model=registered.__setitem__)
    monkeypatch.setitem(sys.modules, "vllm", stand_in)
    plugin = importlib.import_module("emo_llama_hf.vllm_plugin")
    for _ in range(2):  # in each process, some of which have it twice
        plugin.register()
    (architecture,) = AutoConfig.from_pretrained(default_model()).architectures
    module, _, name = registered[architecture].partition(":")
    assert list(registered) == [architecture]
    assert module.startswith("vllm.") and name == "TransformersMultiModalForCausalLM"


def test_what_the_backend_looks_for_in_a_model(tiny):
    config = AutoConfig.from_pretrained(tiny)
    assert config != config.get_text_config()  # or it would be taken for a model of text
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    assert model.is_backend_compatible() and model.supports_pp_plan
    assert model.get_decoder() is model.language_model
    assert model.get_encoder(modality="image") is model.vision_model
    linear = {name for name, module in model.get_decoder().named_modules() if isinstance(module, torch.nn.Linear)}
    planned = {name.rpartition(".")[-1] for name in model.tp_plan}
    assert {name.rpartition(".")[-1] for name in linear} <= planned


def test_memory_is_measured_with_placeholders_alone(served):
    """Before it serves, vLLM asks for the most visual tokens, and looks at pictures of the size that gives them."""
    processor = served.processor
    size = processor.image_processor.size
    sizes = [(size["height"], size["width"]), (10_000, 10_000)]
    counts = processor._get_num_multimodal_tokens(image_sizes=sizes)["num_image_tokens"]
    assert counts.index(max(counts)) == 0  # it makes no picture of 10 000 pixels a side
    dummies = [Image.new("RGB", (sizes[0][1], sizes[0][0]), color=255)] * 3
    made = processor(
        text=processor.image_token * 3,
        images=dummies,
        truncation=False,
        add_special_tokens=False,
        return_mm_token_type_ids=True,
        return_tensors="pt",
    )
    assert made.pop("mm_token_type_ids").tolist() == [[1] * counts[0] * 3]
    made.pop("input_ids"), made.pop("attention_mask")
    assert len(embedded(served.model, [{"tokens": [], **made}])) == counts[0] * 3


def test_clips_are_said_not_to_be_served(served):
    """vLLM serves clips of a processor that counts them; their tensors would need names of their own."""
    counts = served.processor._get_num_multimodal_tokens(video_sizes=([1, 56, 56],))
    assert counts["num_video_tokens"] is None


def test_frames_sent_as_pictures_are_what_a_clip_is(served):
    (picture, _) = pictures()  # the same person in all, who could be followed
    frames = [picture.crop((step, 0, step + 480, 480)).resize((160, 160)) for step in (0, 8)]
    kept = [seen_alone(served, frame) for frame in frames]
    clip = served.processor(
        text="USER: <video>\nWhy? ASSISTANT:", videos=[frames], do_sample_frames=False, return_tensors="pt"
    )
    clip.pop("input_ids"), clip.pop("attention_mask")
    torch.testing.assert_close(embedded(served.model, kept), embedded(served.model, [{"tokens": [], **clip}]))


def test_a_picture_is_kept_whatever_is_asked(served):
    """With a fixed guide, and only with one, what vLLM keeps of a picture is what any question would give."""
    (picture, _) = pictures()
    kept = embedded(served.model, [seen_alone(served, picture)])
    turn = AutoProcessor.from_pretrained(served.folder)
    for question in QUESTIONS:
        text = f"USER: <image>\n{question} ASSISTANT:"
        found = {}
        for name, processor in (("fixed", served.processor), ("turn", turn)):
            made = processor(text=text, images=[picture], return_tensors="pt")
            made.pop("input_ids"), made.pop("attention_mask")
            found[name] = embedded(served.model, [{"tokens": [], **made}])
        torch.testing.assert_close(found["fixed"], kept)
        assert not torch.allclose(found["turn"], kept)


def attention(module, query, key, value, attention_mask, scaling=None, attention_instances=None, **kwargs):
    """Attention as vLLM replaces it: all it is given is by the layer, which keeps keys and values itself."""
    assert attention_mask is None
    return attention_instances[module.layer_idx](query, key, value, scaling), None


def layer(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
    """A prefill of one sequence: (1, heads, T, d) to (T, heads * d)."""
    output = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scaling, enable_gqa=True
    )
    return output[0].transpose(0, 1).flatten(1)


@torch.no_grad()
def test_a_prefill_has_the_logits_of_a_forward(served):
    """The base model alone, its text attention replaced, on embeddings into which the visual tokens were merged."""
    AttentionInterface.register("as_vllm", attention)
    config = AutoConfig.from_pretrained(served.folder)
    config.get_text_config()._attn_implementation = "as_vllm"
    base = AutoModel.from_config(config).eval()
    base.load_state_dict(served.model.model.state_dict())

    prompt = served.processor.apply_chat_template(CHAT, add_generation_prompt=True)
    kept = [seen_alone(served, picture) for picture in pictures()]
    target = served.tokenizer.convert_tokens_to_ids(served.processor.image_token)
    left = iter(kept)
    tokens = [
        token
        for place in served.tokenizer.encode(prompt)
        for token in (next(left)["tokens"] if place == target else [place])
    ]
    asked = served.processor(text=prompt, images=pictures(), return_tensors="pt")
    assert asked["input_ids"].tolist() == [tokens]

    ids = torch.tensor(tokens)
    embeds = base.get_input_embeddings()(ids)
    embeds[ids == target] = torch.cat([embedded(base, [one]) for one in kept])
    outputs = base(
        input_ids=None,
        inputs_embeds=embeds[None],
        use_cache=False,
        position_ids=torch.arange(len(ids))[None],
        attention_instances=dict.fromkeys(range(config.get_text_config().num_hidden_layers), layer),
        return_dict=False,
    )
    logits = served.model.lm_head(outputs[0][0])
    words = torch.arange(logits.shape[-1]) != target  # the placeholder is for the sampler's `logit_bias`
    torch.testing.assert_close(logits[:, words], served.model(**asked).logits[0][:, words], atol=1e-4, rtol=1e-4)
