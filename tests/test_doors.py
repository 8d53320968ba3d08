"""Every door of transformers leads to EmoLlama: the Auto classes, remote code, the hub, the pipeline registry."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor, pipeline
from transformers.models.auto.image_processing_auto import AutoImageProcessor
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
from transformers.pipelines import any_to_any

import emo_llama_hf
from emo_llama_hf.model_card import model_card
from tiny_model import build_tiny

SAMPLES = Path(__file__).parent / "samples"
PICTURE = str(SAMPLES / "astronaut.png")
CHAT = [
    {
        "role": "user",
        "content": [
            {"type": "image", "image": str(SAMPLES / "astronaut.png")},
            {"type": "text", "text": "What is the emotion?"},
        ],
    }
]

# Run where the package cannot be imported: everything must come out of the saved folder.
ISOLATED = """
import json, sys
sys.modules["emo_llama_hf"] = None
import torch
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
source, chat = sys.argv[1], json.loads(sys.argv[2])
config = AutoConfig.from_pretrained(source, trust_remote_code=True)
model = AutoModelForImageTextToText.from_pretrained(source, trust_remote_code=True)
base = AutoModel.from_pretrained(source, trust_remote_code=True)
processor = AutoProcessor.from_pretrained(source, trust_remote_code=True)
inputs = processor.apply_chat_template(chat, tokenize=True, return_dict=True, add_generation_prompt=True)
with torch.no_grad():
    logits = model(**inputs).logits
    hidden = base(**inputs).last_hidden_state
clips = AutoVideoProcessor.from_pretrained(source, trust_remote_code=True)
assert clips(torch.zeros(9, 3, 8, 8), num_frames=2, return_tensors="pt")["frame_counts"].tolist() == [2]
for part in (config, processor, clips):
    assert type(part).__module__.startswith("transformers_modules"), type(part)
assert torch.equal(model.lm_head(hidden)[..., :-1], logits[..., :-1])  # the last is the placeholder's
torch.save(logits, sys.argv[3])
"""

# The same for the pipeline, which is saved once more from what came out of the folder.
ISOLATED_PIPELINE = """
import json, sys
sys.modules["emo_llama_hf"] = None
from transformers import pipeline
source, picture, output = sys.argv[1:]
for folder in (source, output):
    pipe = pipeline("emotion-chat", model=folder, trust_remote_code=True)
    module = sys.modules[type(pipe).__module__]
    assert module.__name__.startswith("transformers_modules")
    same = type(pipe.processor).__module__, module.EmoLlamaProcessor.__module__
    assert len(set(same)) == 1, same  # one copy of what reads files, its limits too
    print(json.dumps(pipe(picture, max_new_tokens=3)))
    if folder != output:
        pipe.save_pretrained(output)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def logits(folder):
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    inputs = processor.apply_chat_template(CHAT, tokenize=True, return_dict=True, add_generation_prompt=True)
    with torch.no_grad():
        return model(**inputs).logits


def isolated(program: str, *arguments: str, cwd: Path, environment: dict) -> str:
    """What a program prints in a fresh interpreter that knows nothing of this package."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, *arguments],
        cwd=cwd,
        env={**environment, "PYTHONPATH": sysconfig.get_path("purelib")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def run_isolated(source: str, output: Path, environment: dict) -> torch.Tensor:
    """The logits of `source`, loaded where this package is not."""
    isolated(ISOLATED, source, json.dumps(CHAT), str(output), cwd=output.parent, environment=environment)
    return torch.load(output, weights_only=True)


def test_auto_classes(folder):
    assert type(AutoConfig.from_pretrained(folder)) is emo_llama_hf.EmoLlamaConfig
    assert type(AutoModel.from_pretrained(folder)) is emo_llama_hf.EmoLlamaModel
    assert type(AutoModelForImageTextToText.from_pretrained(folder)) is emo_llama_hf.EmoLlamaForConditionalGeneration
    assert type(AutoImageProcessor.from_pretrained(folder)) is emo_llama_hf.EmoLlamaImageProcessor
    assert type(AutoVideoProcessor.from_pretrained(folder)) is emo_llama_hf.EmoLlamaVideoProcessor
    assert type(AutoProcessor.from_pretrained(folder)) is emo_llama_hf.EmoLlamaProcessor
    # the package outranks the code in the folder
    trusted = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True)
    assert type(trusted) is emo_llama_hf.EmoLlamaForConditionalGeneration


def test_folder_loads_without_this_package(folder, logits, tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    torch.testing.assert_close(run_isolated(str(folder), tmp_path / "logits.pt", environment), logits)


@pytest.fixture(scope="module")
def carried(folder, tmp_path_factory):
    """A folder with the pipeline's code, and what the installed pipeline says of a picture."""
    pipe = pipeline("emotion-chat", model=str(folder))
    output = tmp_path_factory.mktemp("carried") / "model"
    pipe.save_pretrained(output)
    return output, pipe(PICTURE, max_new_tokens=3)


@pytest.mark.parametrize("trust", [None, True])
def test_a_pipeline_of_a_folder_gives_way_to_the_installed_one(carried, trust):
    source, said = carried
    assert "emotion-chat" in json.loads((source / "config.json").read_text())["custom_pipelines"]
    pipe = pipeline("emotion-chat", model=str(source), trust_remote_code=trust)
    assert type(pipe) is emo_llama_hf.EmotionChatPipeline
    assert pipe(PICTURE, max_new_tokens=3) == said
    for config in (AutoConfig.from_pretrained(source), pipe.model.config):
        assert "custom_pipelines" not in config.to_dict()  # a model that is saved alone has no pipeline beside it


def test_pipeline_works_without_this_package(carried, tmp_path):
    source, said = carried
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    output = tmp_path / "again"
    answers = isolated(
        ISOLATED_PIPELINE, str(source), PICTURE, str(output), cwd=tmp_path, environment=environment
    ).splitlines()
    assert [json.loads(answer) for answer in answers] == [json.loads(json.dumps(said))] * 2


@pytest.mark.slow
def test_pipeline_works_from_the_hub_without_this_package(carried, hub, hub_server, tmp_path):
    source, said = carried
    pipeline("emotion-chat", model=str(source)).push_to_hub("user/whole")
    environment = hub_server.environment(tmp_path / "elsewhere")
    answers = isolated(
        ISOLATED_PIPELINE, "user/whole", PICTURE, str(tmp_path / "again"), cwd=tmp_path, environment=environment
    ).splitlines()
    assert [json.loads(answer) for answer in answers] == [json.loads(json.dumps(said))] * 2


def test_hub_round_trip(folder, logits, hub, hub_server, tmp_path):
    model = AutoModelForImageTextToText.from_pretrained(folder)
    model.push_to_hub("user/emo")
    AutoProcessor.from_pretrained(folder).push_to_hub("user/emo")
    card = model_card("user/emo", model.config, description="A toy.", datasets=["fer2013"])
    card.push_to_hub("user/emo")

    files = hub.files("user/emo")
    assert {"model.safetensors", "modeling_emo_llama.py", "processing_emo_llama.py", "chat_template.jinja"} <= set(
        files
    )
    assert {"face_detector/model.safetensors", "qformer_tokenizer/tokenizer.json", "tokenizer.json"} <= set(files)
    loaded = ModelCard(files["README.md"].decode())
    assert loaded.data.datasets == ["fer2013"]
    assert loaded.data.pipeline_tag == "image-text-to-text"
    assert "## Intended use" in loaded.text and "## Limits" in loaded.text

    pipe = pipeline("emotion-chat", model="user/emo")
    assert pipe.processor.faces.detector is not None
    assert set(pipe(str(SAMPLES / "astronaut.png"), max_new_tokens=2)["scores"]) == set(model.config.emotion_labels)
    alone = run_isolated("user/emo", tmp_path / "logits.pt", hub_server.environment(tmp_path / "elsewhere"))
    torch.testing.assert_close(alone, logits)


def test_any_to_any_pipeline(folder, monkeypatch):
    """It asks for torchvision, which nothing of it needs here."""
    monkeypatch.setattr(any_to_any, "requires_backends", lambda *_: None)
    pipe = pipeline("any-to-any", model=str(folder))
    answer = pipe(text=CHAT, max_new_tokens=3, do_sample=False)[0]["generated_text"][-1]
    stock = pipeline("image-text-to-text", model=str(folder))
    assert answer == stock(CHAT, max_new_tokens=3, do_sample=False)[0]["generated_text"][-1]


def test_flex_attention_is_accepted(folder):
    model = AutoModelForImageTextToText.from_pretrained(folder, attn_implementation="flex_attention")
    assert model.model.face_prior.decoder.config._attn_implementation == "flex_attention"
