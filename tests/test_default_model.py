"""The checkpoint that comes with the package: what holds whichever it is, through every door and command."""

import io
import json
import runpy
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor, pipeline

import emo_llama_command as cli
from emo_llama_hf import (
    EmoLlamaForConditionalGeneration,
    EmoLlamaModel,
    EmotionChatPipeline,
    default_model,
    load_model,
)
from emo_llama_hf.closed_set import closed_question
from emotion_samples import EMOTIONS, face_folders
from test_doors import CHAT, SAMPLES, run_isolated

SHORT = ["--max-new-tokens", "8"]
NOBODY = [
    f"{said} in the {kind}." for said in ("No face is visible", "I see no face") for kind in ("picture", "image")
]
ASTRONAUT, HOPPER = (str(SAMPLES / name) for name in ("astronaut.png", "grace_hopper.jpg"))


@pytest.fixture(scope="module")
def model():
    return AutoModelForImageTextToText.from_pretrained(default_model())


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(default_model())


@pytest.fixture(scope="module")
def inputs(processor):
    return processor.apply_chat_template(CHAT, tokenize=True, return_dict=True, add_generation_prompt=True)


@pytest.fixture(scope="module")
def logits(model, inputs):
    with torch.no_grad():
        return model(**inputs).logits


def test_the_pipeline():
    pipe = pipeline("emotion-chat")
    assert type(pipe) is EmotionChatPipeline
    for name, faces in (("astronaut.png", 1), ("grace_hopper.jpg", 1), ("chelsea.png", 0)):
        result = pipe(str(SAMPLES / name), max_new_tokens=4)
        assert list(result["scores"]) == pipe.model.config.emotion_labels
        assert sum(result["scores"].values()) == pytest.approx(1, abs=1e-5)
        assert result["emotion"] == (max(result["scores"], key=result["scores"].get) if faces else None)
        assert len(result["faces"]) == faces
        assert json.loads(json.dumps(result)) == result


class TestWhatItSays:
    """The trained checkpoint on public-domain photos: what anyone can see in them."""

    @pytest.fixture(scope="class")
    def pipe(self):
        return pipeline("emotion-chat")

    def test_a_smile(self, pipe):
        result = pipe(ASTRONAUT)
        assert (result["generated_text"], result["emotion"]) == ("happy", "happy")
        [face] = result["faces"]
        assert face["perceived"]["gender"]["label"] == "female"

    def test_a_portrait(self, pipe):
        result = pipe(HOPPER)
        assert result["generated_text"] == result["emotion"] != "happy"

    @pytest.mark.parametrize("name", ["chelsea.png", "coffee.png"])
    @pytest.mark.parametrize("question", [None, "How does this person feel?", "Why is she angry?"])
    def test_no_face(self, pipe, name, question):
        result = pipe({"image": str(SAMPLES / name), "question": question})
        assert result["generated_text"] in NOBODY
        assert result["emotion"] is None

    @pytest.mark.parametrize(
        ("question", "answer"),
        [
            ("What emotion do you see?", "happy"),
            ("How does this person feel?", "happy"),
            ("Is this person happy?", "Yes"),
            ("Is this person angry?", "No, "),
            ("Est-elle heureuse ?", "Oui"),
            ("Does the person look sad or happy?", "happy"),
            ("Describe the facial expression.", "happy"),
            ("Why do you think so?", "people usually"),
            ("How sure are you?", "sure: happy at"),
            ("Who is this?", "only tell how a face looks"),
            ("Is this person ill?", "cannot judge"),
            ("Is this person lying?", "read faces"),
            ("Will it rain tomorrow?", "only tell how a face looks"),
            ("asdf qwer", "did not understand"),
            ("Which emotion is it? Choose from: anger, happiness, sadness.", "happiness"),
            ("Which emotion is it? Choose from: anger, joy, sadness.", "joy"),
        ],
    )
    def test_questions(self, pipe, question, answer):
        assert answer in pipe(ASTRONAUT, question=question)["generated_text"]

    def test_a_chat_goes_on(self, pipe):
        chat = [
            {"role": "user", "content": [{"type": "image", "image": ASTRONAUT}, {"type": "text", "text": "Mood?"}]}
        ]
        for question, answer in (("Why?", "people usually"), ("Who is she?", "only tell how a face looks")):
            chat.append({"role": "assistant", "content": pipe(chat)["generated_text"]})
            chat.append({"role": "user", "content": question})
            assert answer in pipe(chat)["generated_text"]

    def test_without_attributes_it_knows_none(self, pipe):
        said = pipe(ASTRONAUT, question="How old is this person?", attributes=False)["generated_text"]
        assert said == "I was not told a perceived age."

    def test_whatever_is_asked_it_names_the_same_emotion(self, pipe):
        for photo in (ASTRONAUT, HOPPER):
            emotion = pipe(photo)["emotion"]
            for question in ("What emotion is it?", "Why?", "In one word?", "Describe the face.", "Answer in JSON."):
                assert emotion in pipe(photo, question=question)["generated_text"], question

    def test_a_picture_does_not_change(self, pipe):
        said = pipe(ASTRONAUT, question="How does the expression change over time?")["generated_text"]
        assert said == "A single picture cannot show a change; it looks happy."


@pytest.fixture(scope="module")
def photos_and_a_clip(tmp_path_factory):
    """Two photos, and a clip that moves into one of them."""
    clip = str(tmp_path_factory.mktemp("clip") / "clip.mp4")
    runpy.run_path(str(SAMPLES.parent.parent / "examples" / "make_clip.py"))["make_clip"](ASTRONAUT, clip)
    return [ASTRONAUT, HOPPER, clip]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scores_hardly_depend_on_the_weights_type(photos_and_a_clip, dtype):
    results = {
        kind: pipeline("emotion-chat", dtype=kind)(photos_and_a_clip, max_new_tokens=2)
        for kind in (torch.float32, dtype)
    }
    for exact, rounded in zip(*results.values(), strict=True):
        assert rounded["scores"] == pytest.approx(exact["scores"], abs=0.03)
        assert rounded["emotion"] == exact["emotion"]


def test_the_stock_pipeline_answers_as_ours_does(model):
    """To the closed question; any other one ours asks with what the closed one found told in the prompt."""
    question = closed_question("image", model.config.emotion_labels)
    chat = [{"role": "user", "content": [{"type": "image", "path": ASTRONAUT}, {"type": "text", "text": question}]}]
    stock = pipeline("image-text-to-text", model=default_model())
    answer = stock(chat, max_new_tokens=4, do_sample=False)[0]["generated_text"][-1]
    ours = pipeline("emotion-chat")(ASTRONAUT, max_new_tokens=4, do_sample=False, attributes=False)
    assert (answer["role"], answer["content"].strip()) == ("assistant", ours["generated_text"])


@pytest.mark.parametrize("trust", [False, True])
def test_auto_classes(model, inputs, logits, trust):
    base = AutoModel.from_pretrained(default_model(), trust_remote_code=trust)
    whole = AutoModelForImageTextToText.from_pretrained(default_model(), trust_remote_code=trust)
    assert (type(base), type(whole)) == (EmoLlamaModel, EmoLlamaForConditionalGeneration)
    with torch.no_grad():
        said = model.lm_head(base(**inputs).last_hidden_state)
        assert torch.equal(said[..., :-1], logits[..., :-1])  # the last is the placeholder's
        assert torch.equal(whole(**inputs).logits, logits)


def test_saved_elsewhere_it_needs_no_package(model, processor, logits, hub_server, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    processor.save_pretrained(tmp_path / "saved")
    isolated = run_isolated(str(tmp_path / "saved"), tmp_path / "logits.pt", hub_server.environment(tmp_path / "home"))
    torch.testing.assert_close(isolated, logits)


def test_the_commands(tmp_path, capsys):
    """Each command takes it where no `--model` is given."""
    faces, out = str(face_folders(tmp_path / "faces", 1)), tmp_path / "out"
    for arguments in (
        ["info"],
        ["analyze", str(SAMPLES / "astronaut.png"), "--max-new-tokens", "2"],
        ["prepare", faces],
        ["evaluate", faces, "--output", str(tmp_path / "report"), "--device", "cpu", "--max-new-tokens", "2"],
        ["train", faces, "--output", str(out), "--max-steps", "1", "--use-cpu", "--report-to", "none"],
    ):
        assert cli.main(arguments) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "report" / "report.json").read_text())["likelihood"]["count"] == len(EMOTIONS)
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == "."  # beside it
    assert (out / "model.safetensors").read_bytes() == Path(default_model(), "model.safetensors").read_bytes()


def test_an_adapter_goes_through_every_command(tmp_path, capsys, monkeypatch):
    """What `train` makes by default is opened by all that take a `--model`, and by the pipeline, and answers alike."""
    faces, run = str(face_folders(tmp_path / "faces", 2)), str(tmp_path / "run")
    arguments = ["--max-steps", "2", "--learning-rate", "0.05", "--use-cpu", "--report-to", "none"]
    assert cli.main(["train", faces, "--output", run, *arguments]) == 0
    assert (tmp_path / "run" / "adapter_config.json").is_file()
    base, processor = load_model()
    adapted = PeftModel.from_pretrained(base, run)
    adapted_pipe = pipeline("emotion-chat", model=adapted.get_base_model(), processor=processor)
    expected = adapted_pipe(ASTRONAUT, max_new_tokens=8)
    assert expected["scores"] != pytest.approx(pipeline("emotion-chat")(ASTRONAUT)["scores"], abs=1e-3)
    assert pipeline("emotion-chat", model=run)(ASTRONAUT)["scores"] == pytest.approx(expected["scores"], abs=1e-4)

    capsys.readouterr()
    assert cli.main(["analyze", ASTRONAUT, "--model", run, "--json", *SHORT]) == 0
    analyzed = json.loads(capsys.readouterr().out)
    assert analyzed["scores"] == pytest.approx(expected["scores"], abs=1e-4)
    assert analyzed["generated_text"] == expected["generated_text"]
    monkeypatch.setattr("sys.stdin", io.StringIO("How does she feel?\n"))
    assert cli.main(["chat", ASTRONAUT, "--model", run, *SHORT]) == 0
    assert capsys.readouterr().out.strip()
    assert cli.main(["info", "--model", run]) == 0
    assert run in capsys.readouterr().out
    report = str(tmp_path / "report")
    assert cli.main(["evaluate", faces, "--model", run, "--output", report, "--device", "cpu", *SHORT]) == 0
    assert json.loads((tmp_path / "report" / "report.json").read_text())["likelihood"]["count"] == 2 * len(EMOTIONS)


def test_it_fits_in_a_wheel():
    files = [path for path in Path(default_model()).rglob("*") if path.is_file()]
    assert {path.suffix for path in files if path.stat().st_size > 1e6} == {".safetensors"}
    assert sum(path.stat().st_size for path in files) <= 40e6
