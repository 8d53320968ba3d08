"""The placeholder has a row in the vocabulary: generation takes it and never says it, files without one load."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from packaging.version import Version
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from emo_llama_hf import EmoLlamaConfig, EmoLlamaForConditionalGeneration
from emo_llama_hf.input_error import InputError
from emo_llama_hf.load_model import load_model
from tiny_model import build_tiny, tiny_config

SAMPLES = Path(__file__).parent / "samples"
GPT2 = {"model_type": "gpt2", "n_embd": 48, "n_layer": 2, "n_head": 4, "tie_word_embeddings": True}
TEXT = {"type": "text", "text": "How does she feel?"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder):
    return EmoLlamaForConditionalGeneration.from_pretrained(folder)


@pytest.fixture(scope="module")
def inputs(folder):
    picture = {"type": "image", "image": str(SAMPLES / "astronaut.png")}
    chat = [{"role": "user", "content": [picture, TEXT]}]
    processor = AutoProcessor.from_pretrained(folder)
    return processor.apply_chat_template(chat, tokenize=True, return_dict=True, add_generation_prompt=True)


def without_row(folder, output):
    """A folder as earlier versions saved it: neither the tables nor the configuration know the placeholder."""
    config = json.loads((folder / "config.json").read_text())
    rows = config["image_token_id"]
    assert config["text_config"]["vocab_size"] == rows + 1
    config["text_config"]["vocab_size"] = rows
    tensors = load_file(folder / "model.safetensors")
    tables = [name for name in tensors if len(tensors[name].shape) == 2 and tensors[name].shape[0] == rows + 1]
    assert tables
    tensors |= {name: tensors[name][:rows].clone() for name in tables}
    output.mkdir()
    save_file(tensors, output / "model.safetensors", {"format": "pt"})
    (output / "config.json").write_text(json.dumps(config))
    return output


@pytest.mark.parametrize("text", [None, GPT2], ids=["llama", "gpt2, tied"])
@torch.no_grad()
def test_files_without_the_row_load_and_answer_alike(text, tmp_path):
    kwargs = {} if text is None else {"text_config": {**text, "vocab_size": 420}}
    model = EmoLlamaForConditionalGeneration(tiny_config(**kwargs)).eval()
    model.save_pretrained(tmp_path / "new")
    old = without_row(tmp_path / "new", tmp_path / "old")
    loaded, report = AutoModelForImageTextToText.from_pretrained(old, output_loading_info=True)
    assert not any(report.values())
    ids = {"input_ids": torch.tensor([[1, 30, 200, 9, 77]])}
    logits = model(**ids).logits
    assert torch.equal(loaded(**ids).logits, logits) and logits.shape[-1] == 421
    assert torch.equal(AutoModel.from_pretrained(old)(**ids)[0], model.model(**ids)[0])
    loaded.save_pretrained(tmp_path / "again")
    shapes = {name: tensor.shape for name, tensor in load_file(tmp_path / "again" / "model.safetensors").items()}
    assert shapes == {name: tensor.shape for name, tensor in load_file(tmp_path / "new" / "model.safetensors").items()}
    again = EmoLlamaForConditionalGeneration.from_pretrained(tmp_path / "again")
    assert torch.equal(again(**ids).logits, logits)


def test_tables_of_any_other_length_are_refused(folder, tmp_path):
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["lm_head.weight"][:-2].clone()
    for path in folder.iterdir():
        if path.name != "model.safetensors":
            (tmp_path / path.name).symlink_to(path)
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="lm_head"):
        load_model(str(tmp_path))


def test_the_vocabulary_of_the_configuration_grows_and_the_caller_s_stays():
    text = tiny_config().text_config
    text.vocab_size = 300
    grown = EmoLlamaConfig(text_config=text, image_token_id=300)
    assert (grown.text_config.vocab_size, text.vocab_size) == (301, 300)
    assert EmoLlamaConfig(text_config=text, image_token_id=7).text_config.vocab_size == 300


def test_drafts_give_what_greedy_search_gives(model, inputs):
    settings = {"max_new_tokens": 24, "do_sample": False, "eos_token_id": None}
    expected = model.generate(**inputs, **settings)
    assert torch.equal(model.generate(**inputs, **settings, prompt_lookup_num_tokens=3), expected)
    assert torch.equal(model.generate(**inputs, **settings, assistant_model=model), expected)


def test_an_assistant_sees_what_the_model_sees(model, inputs):
    """An assistant that is the model itself drafts what it says, so fewer forwards are needed than tokens."""
    counts = []
    hook = model.model.vision_model.register_forward_hook(lambda *_: counts.append(1))
    try:
        model.generate(**inputs, max_new_tokens=12, do_sample=False, eos_token_id=None, assistant_model=model)
    finally:
        hook.remove()
    assert len(counts) == 2  # once as the assistant, once as itself


@pytest.mark.parametrize(
    "settings",
    [
        {"encoder_repetition_penalty": 1.3},
        {"repetition_penalty": 0.5},
        {"guidance_scale": 1.5},
        {"do_sample": True, "temperature": 20.0},
        {"num_beams": 3},
    ],
    ids=lambda settings: ", ".join(settings),
)
def test_no_answer_has_a_placeholder(model, inputs, settings):
    """Not even where its row would make it the likeliest."""
    place = model.config.image_token_id
    row = model.lm_head.weight[place].clone()
    torch.manual_seed(0)
    try:
        with torch.no_grad():
            model.lm_head.weight[place] = model.lm_head.weight.sum(0) * 100
        answers = model.generate(**inputs, max_new_tokens=16, eos_token_id=None, **{"do_sample": False, **settings})
    finally:
        with torch.no_grad():
            model.lm_head.weight[place] = row
    assert not (answers[:, inputs["input_ids"].shape[1] :] == place).any()


def test_placeholders_among_the_labels_count_nothing(model, inputs):
    labels = inputs["input_ids"].clone()
    place = model.config.image_token_id
    expected = model(**inputs, labels=labels.masked_fill(labels == place, -100)).loss
    assert (labels == place).any() and torch.equal(model(**inputs, labels=labels).loss, expected)
    # A loss of somebody's own, which smooths labels over the whole vocabulary, stays finite too.
    logits = model(**inputs).logits[0, :-1]
    assert torch.nn.functional.cross_entropy(logits, labels[0, 1:], label_smoothing=0.1).isfinite()


@pytest.mark.slow  # measures the memory first
@pytest.mark.skipif(Version(transformers.__version__) < Version("5.23"), reason="5.17 wants SDPA of a ResNet too")
def test_continuous_batching_takes_texts(model):
    settings = GenerationConfig(max_new_tokens=4, do_sample=False, eos_token_id=-1, pad_token_id=0)
    text = [1, 30, 200, 9, 77]
    (answer,) = model.generate_batch([text], generation_config=settings).values()
    expected = model.generate(torch.tensor([text]), max_new_tokens=4, do_sample=False, eos_token_id=None)
    assert answer.error is None and [*text, *answer.generated_tokens] == expected[0].tolist()


def test_continuous_batching_refuses_what_it_cannot_show(model, inputs):
    with pytest.raises(ValueError, match=r"`inputs\[1\]` has visual placeholders"):
        model.generate_batch([[1, 30, 200], inputs["input_ids"][0].tolist()])
