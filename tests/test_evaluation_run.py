"""Whole evaluations: of the tiny EmoLlama and of a foreign model, stopped and split in every way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

import training_run
from emo_llama_command import main
from emo_llama_hf.data.prepare import perceive
from emo_llama_hf.evaluation import ChatModelPredictor, EmoLlamaPredictor, evaluate
from emo_llama_hf.evaluation.load_predictor import load_predictor
from emo_llama_hf.load_model import load_weights
from emotion_samples import EMOTIONS, drawn_face, face_folders, face_samples, picture, sample
from evaluation_run import evaluation_samples, run
from test_training_distributed import free_port
from tiny_llava import build_tiny_llava

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def llava(tmp_path_factory) -> str:
    return str(build_tiny_llava(tmp_path_factory.mktemp("llava")))


@pytest.fixture(scope="module")
def ours(tiny) -> str:
    return str(tiny)


@pytest.fixture(scope="module")
def whole(ours, tmp_path_factory):
    """An evaluation nobody stopped, four visuals a forward."""
    folder = tmp_path_factory.mktemp("whole")
    return run(ours, folder), folder


def results_in(folder: Path) -> dict[str, dict]:
    lines = [line for file in folder.glob("results-*.jsonl") for line in file.read_text().splitlines()]
    return {entry["id"]: entry for entry in map(json.loads, lines)}


def same(first: dict[str, dict], second: dict[str, dict]) -> bool:
    """Answers alike to the letter, probabilities to rounding."""
    assert first.keys() == second.keys()
    for name, entry in first.items():
        other = second[name]
        assert {**entry, "scores": None} == {**other, "scores": None}
        assert entry["scores"] == pytest.approx(other["scores"], abs=1e-5)
    return True


def without_ece(report: dict) -> dict:
    return {**report, "likelihood": {k: v for k, v in report["likelihood"].items() if k != "ece"}}


class TestEmoLlama:
    def test_results_are_the_pipelines(self, ours, whole):
        pipe = pipeline("emotion-chat", model=ours)
        for one in evaluation_samples()[:2]:
            entry = results_in(whole[1])[one["id"]]
            visual = one["messages"][0]["content"][0]["image"]
            expected = pipe({"image": visual}, labels=EMOTIONS, max_new_tokens=6)
            assert entry["answer"] == expected["generated_text"]
            assert entry["scores"] == pytest.approx(expected["scores"], abs=1e-5)

    def test_a_clip_whose_frames_disagree_gets_the_averaged_attributes(self, ours, monkeypatch):
        model, processor = load_weights(ours), AutoProcessor.from_pretrained(ours)
        look = model.get_face_features

        def disagreeing(face_pixel_values):
            features = look(face_pixel_values)
            features.gender_logits = torch.tensor([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8]]).log()
            return features

        monkeypatch.setattr(model, "get_face_features", disagreeing)
        photo = np.asarray(Image.open(TESTS / "samples" / "astronaut.png").convert("RGB"))[:256]
        frames = [Image.fromarray(photo[:, shift : shift + 320]) for shift in (0, 40, 80)]
        clip = processor.load_visual(frames, True)
        expected = ("female", pytest.approx(0.7))

        [result] = EmoLlamaPredictor(model, processor, EMOTIONS, max_new_tokens=1)([clip], [None])
        assert result["perceived"].keys() == {"age", "gender", "race"}
        assert result["perceived"]["gender"] == expected[0]
        [prepared] = perceive(processor.faces.find([clip]), processor, model)
        assert prepared["gender"] == expected
        told = pipeline("emotion-chat", model=model, processor=processor)({"video": clip}, max_new_tokens=1)
        faces = [face for frame in told["faces"] for face in frame["faces"] if face["chosen"]]
        assert [face["perceived"]["gender"] for face in faces] == [
            {"label": "male", "score": pytest.approx(0.6)},
            {"label": "female", "score": pytest.approx(0.9)},
            {"label": "female", "score": pytest.approx(0.8)},
        ]

    @pytest.mark.parametrize("batch_size", [1, 9])
    def test_any_batch_size(self, ours, whole, tmp_path, batch_size):
        report = run(ours, tmp_path, batch_size=batch_size)
        assert same(results_in(tmp_path), results_in(whole[1]))
        assert without_ece(report) == without_ece(whole[0])
        assert report["likelihood"]["ece"] == pytest.approx(whole[0]["likelihood"]["ece"], abs=1e-5)

    def test_two_processes(self, ours, whole, tmp_path):
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={free_port()}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, "evaluation_run.py", ours, str(tmp_path), "2"],
            cwd=TESTS,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        files = sorted(tmp_path.glob("results-*.jsonl"))
        assert [len(file.read_text().splitlines()) for file in files] == [5, 4]
        assert same(results_in(tmp_path), results_in(whole[1]))
        saved = json.loads((tmp_path / "report.json").read_text())
        assert without_ece(saved) == without_ece(whole[0])

    def test_goes_on_where_it_was_stopped(self, ours, whole, tmp_path):
        """Half the results, the last one cut off by a kill: only the others are asked for again."""
        lines = (whole[1] / "results-00000.jsonl").read_bytes().splitlines(keepends=True)
        (tmp_path / "settings.json").write_bytes((whole[1] / "settings.json").read_bytes())
        marked = [json.loads(line) | {"mark": True} for line in lines[:4]]
        kept = "".join(json.dumps(entry) + "\n" for entry in marked).encode()
        (tmp_path / "results-00000.jsonl").write_bytes(kept + lines[4][:30])
        report = run(ours, tmp_path, batch_size=2)
        text = (tmp_path / "results-00000.jsonl").read_bytes()
        assert text.startswith(kept) and text.count(b'"mark"') == 4
        entries = [json.loads(line) for line in text.splitlines() if line.startswith(b"{") and line.endswith(b"}")]
        assert len(entries) == len(evaluation_samples())
        assert without_ece(report) == without_ece(whole[0])

    def test_an_adapter(self, ours, tmp_path):
        """A folder of `train` is evaluated with all that it learned."""
        trainer = training_run.run(ours, tmp_path, {"max_steps": 3})
        with torch.no_grad():
            batch = trainer.data_collator(face_samples(2))
            expected = trainer.model.eval()(**batch).logits
            network = load_weights(str(tmp_path))
            assert not hasattr(network, "peft_config")
            assert torch.allclose(network.eval()(**batch).logits, expected, atol=1e-5)
        assert load_predictor(str(tmp_path), device="cpu")[0].labels == network.config.emotion_labels

    def test_other_settings_are_refused(self, ours, tmp_path):
        predictor, processor = load_predictor(ours, EMOTIONS, device="cpu", max_new_tokens=2)
        evaluate(predictor, face_samples(2), processor, tmp_path, {"model": "a"}, progress=False)
        with pytest.raises(ValueError, match="results with other `model`"):
            evaluate(predictor, face_samples(2), processor, tmp_path, {"model": "b"}, progress=False)

    def test_unreadable_samples_are_counted(self, ours, tmp_path):
        (tmp_path / "broken.png").write_bytes(b"no picture")
        broken = sample(picture(), "happy", id="broken")
        broken["messages"][0]["content"][0]["image"] = str(tmp_path / "broken.png")
        predictor, processor = load_predictor(ours, EMOTIONS, device="cpu", max_new_tokens=2)
        report = evaluate(predictor, [broken, *face_samples(3)], processor, tmp_path / "out", progress=False)
        assert report["errors"] == 1 and report["generation"]["count"] == 3
        assert "error" in results_in(tmp_path / "out")["broken"]

    def test_one_person_is_asked_about_and_the_processor_given_stays_as_it_is(self, ours):
        processor = AutoProcessor.from_pretrained(ours, face_choice="all")
        before = processor.to_dict()
        predictor = EmoLlamaPredictor(load_weights(ours), processor, EMOTIONS, device="cpu", max_new_tokens=2)
        (found,) = predictor([picture("sad", 4)], [None])
        assert set(found["scores"]) == set(EMOTIONS)
        assert processor.to_dict() == before

    def test_samples_that_cannot_be_asked_about_say_why(self, ours, tmp_path):
        blind = {**sample(None, "happy", id="blind"), "emotion": "happy"}
        crowd = sample(picture(), "happy", id="crowd", attributes=[{"age": "20-29"}, None])
        predictor, processor = load_predictor(ours, EMOTIONS, device="cpu", max_new_tokens=2)
        report = evaluate(predictor, [blind, crowd, *face_samples(1)], processor, tmp_path, progress=False)
        results = results_in(tmp_path)
        assert report["errors"] == 2 and "nothing to look at" in results["blind"]["error"]
        assert "`attributes` has 2 entries for 1 visuals" in results["crowd"]["error"]

    @pytest.mark.parametrize(
        ("samples", "words"),
        [
            ([sample(None, "hello")], "nothing to compare"),
            ([{**face_samples(1)[0], "emotion": "bored"}], "'bored', which is none of"),
            (face_samples(1) * 2, "ids must be unique"),
        ],
    )
    def test_refused_samples(self, ours, samples, words, tmp_path):
        predictor, processor = load_predictor(ours, EMOTIONS, device="cpu")
        with pytest.raises(ValueError, match=words):
            evaluate(predictor, samples, processor, tmp_path, progress=False)


class TestForeignModel:
    def test_every_figure(self, llava, tmp_path):
        report = run(llava, tmp_path)
        assert report["generation"]["count"] == report["likelihood"]["count"] == len(evaluation_samples())
        assert set(report["likelihood"]["groups"]) == {"age", "gender", "race"}  # what the data set says
        for entry in results_in(tmp_path).values():
            assert sum(entry["scores"].values()) == pytest.approx(1)

    def test_any_batch_size(self, llava, tmp_path):
        run(llava, tmp_path / "a", batch_size=1)
        run(llava, tmp_path / "b", batch_size=5)
        assert same(results_in(tmp_path / "a"), results_in(tmp_path / "b"))

    def test_the_same_question(self, ours, llava):
        predictor, _ = load_predictor(ours, EMOTIONS, device="cpu")
        theirs, _ = load_predictor(llava, EMOTIONS, device="cpu")
        question = (
            "What is the emotion of the person in the image? Answer with one of these words: happy, sad, neutral."
        )
        assert theirs.prompt(picture(), EMOTIONS) == f"<s>USER: <image>\n{question} ASSISTANT:"
        assert question in repr(predictor.pipeline.preprocess({"image": picture()}, labels=EMOTIONS))

    def test_answers_and_scores_are_the_models(self, llava):
        """Against transformers' own generation, and against one forward a label without padding."""
        predictor, _ = load_predictor(llava, EMOTIONS, device="cpu", max_new_tokens=6)
        (found,) = predictor([picture("sad", 4)], [None])
        model = AutoModelForImageTextToText.from_pretrained(llava).eval()
        processor = AutoProcessor.from_pretrained(llava)
        prompt = predictor.prompt(picture(), EMOTIONS)
        image = drawn_face("sad", 4)
        inputs = processor(images=image, text=prompt, return_tensors="pt", add_special_tokens=False)
        length = inputs["input_ids"].shape[1]
        with torch.no_grad():
            generated = model.generate(**inputs, max_new_tokens=6, do_sample=False)
            assert found["answer"] == processor.decode(generated[0, length:], skip_special_tokens=True).strip()
            likelihoods = []
            for label in EMOTIONS:
                text = f"{prompt} {label}</s>"
                inputs = processor(images=image, text=text, return_tensors="pt", add_special_tokens=False)
                tokens = inputs["input_ids"][0]
                logp = model(**inputs).logits[0].log_softmax(-1)
                likelihoods.append(sum(logp[at - 1, tokens[at]] for at in range(length, len(tokens))))
        expected = torch.stack(likelihoods).softmax(0).tolist()
        assert list(found["scores"].values()) == pytest.approx(expected, abs=1e-5)
        assert max(expected) - min(expected) > 0.01

    def test_the_tokenizer_given_stays_without_padding(self, llava):
        """Its end token pads instead, in a copy, and the answers are the same."""
        model, processor = AutoModelForImageTextToText.from_pretrained(llava), AutoProcessor.from_pretrained(llava)
        visuals = [picture("sad", 4), picture("happy", 1)]
        answers = ChatModelPredictor(model, processor, EMOTIONS, max_new_tokens=3)(visuals, [None, None])
        processor.tokenizer.pad_token = None
        predictor = ChatModelPredictor(model, processor, EMOTIONS, max_new_tokens=3)
        assert predictor.processor.tokenizer.pad_token == processor.tokenizer.eos_token
        assert processor.tokenizer.pad_token is None
        for one, other in zip(predictor(visuals, [None, None]), answers, strict=True):
            assert one["answer"] == other["answer"]
            assert one["scores"] == pytest.approx(other["scores"], abs=1e-5)

    def test_scores_that_are_no_numbers_are_an_error(self, llava):
        """A token that the model gives no chance at all is no such score, unless it is an answer's."""
        predictor, _ = load_predictor(llava, EMOTIONS, device="cpu", max_new_tokens=2)
        head = predictor.model.lm_head
        unused = predictor.processor.tokenizer.convert_tokens_to_ids("<image>")
        head.register_forward_hook(lambda _, __, logits: logits.index_fill(-1, torch.tensor(unused), -torch.inf))
        (answer,) = predictor([picture()], [None])
        assert sum(answer["scores"].values()) == pytest.approx(1)
        torch.nn.init.constant_(head.weight, torch.nan)
        (answer,) = predictor([picture()], [None])
        assert answer.keys() == {"error"} and "float32" in answer["error"]

    def test_no_chat_template(self, llava):
        processor = AutoProcessor.from_pretrained(llava)
        processor.chat_template = None
        with pytest.raises(ValueError, match="chat_template"):
            ChatModelPredictor(AutoModelForImageTextToText.from_pretrained(llava), processor, EMOTIONS)


class TestCommand:
    def test_class_folders(self, ours, tmp_path, capsys):
        folders = face_folders(tmp_path / "faces", 2)
        settings = ("--model", ours, "--device", "cpu", "--max-new-tokens", "3")
        assert main(["evaluate", str(folders), "--output", str(tmp_path / "out"), *settings]) == 0
        printed = capsys.readouterr().out
        assert "likelihood  WAR" in printed and "ECE" in printed and "unparsable" in printed
        report = json.loads((tmp_path / "out" / "report.json").read_text())
        assert report["likelihood"]["support"]["happy"] == 2

    def test_mistakes_are_one_line(self, ours, tmp_path, capsys):
        settings = ("--output", str(tmp_path / "out"), "--model", ours, "--device", "cpu")
        assert main(["evaluate", str(tmp_path / "nowhere"), *settings]) == 1
        *_, line = capsys.readouterr().err.splitlines()
        assert line.startswith("emo-llama: ") and "nowhere" in line
