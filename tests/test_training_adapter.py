"""What `train` makes by default, a LoRA adapter, is opened by everything, anywhere, and becomes a whole model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, ModelCard, snapshot_download
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor, pipeline

import emo_llama_hf.adapter_base
from carried import carried_pipeline
from emo_llama_command import main
from emo_llama_hf import load_model
from emo_llama_hf.training import EmoLlamaDataCollator
from emotion_samples import drawn_face, face_folders, face_samples
from training_run import run

SHORT = {"max_steps": 2, "eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """An adapter of the tiny model in its place, its folder and the tiny model's copy that it was trained on."""
    base = shutil.copytree(tiny, tmp_path_factory.mktemp("local") / "base")
    folder = tmp_path_factory.mktemp("local") / "run"
    return run(base, folder, SHORT), folder, base


@pytest.fixture(scope="module")
def of_default(tiny, tmp_path_factory):
    """An adapter of the package's own model, as which the tiny one stands in, in a folder that was moved."""
    folder = tmp_path_factory.mktemp("default") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emo_llama_hf.adapter_base, "default_model", lambda: str(tiny))
        trainer = run(tiny, folder, SHORT)
    return trainer, folder.rename(folder.with_name("moved"))


@pytest.fixture(scope="module")
def batch(tiny):
    return EmoLlamaDataCollator(AutoProcessor.from_pretrained(tiny))(face_samples(3))


@torch.no_grad()
def logits(model, batch: dict) -> torch.Tensor:
    return model.eval()(**batch).logits


def settings(folder: Path) -> tuple:
    content = json.loads((folder / "adapter_config.json").read_text())
    return content["base_model_name_or_path"], content["revision"]


@pytest.mark.parametrize("kind", ["local base", "default base"])
def test_every_door(trained, of_default, batch, kind):
    trainer, folder = trained[:2] if kind == "local base" else of_default
    expected = logits(trainer.model, batch)
    with trainer.model.disable_adapter():
        assert (logits(trainer.model, batch) - expected).abs().max() > 1e-2
    for opened in (
        AutoModelForImageTextToText.from_pretrained(folder),
        load_model(str(folder))[0],
        pipeline("emotion-chat", model=str(folder)).model,
    ):
        torch.testing.assert_close(logits(opened, batch), expected, atol=1e-5, rtol=0)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state
        head = trainer.model.get_base_model().lm_head
        words = slice(head.out_features - 1)  # the last is the placeholder's
        torch.testing.assert_close(head(hidden)[..., words], expected[..., words], atol=1e-5, rtol=0)


def test_commands(of_default, tmp_path, capsys, monkeypatch):
    _, folder = of_default
    drawn_face("sad").save(tmp_path / "face.png")
    data = str(face_folders(tmp_path / "faces", 1))
    monkeypatch.setattr("builtins.input", iter(["Why?", ""]).__next__)
    monkeypatch.setattr("emo_llama_hf.command_line.chat._ask", lambda prompt: input())
    for arguments in (
        ["info"],
        ["analyze", str(tmp_path / "face.png"), "--max-new-tokens", "3"],
        ["chat", str(tmp_path / "face.png"), "--max-new-tokens", "3"],
        ["evaluate", data, "--output", str(tmp_path / "report"), "--labels", "happy,sad,neutral"],
        [
            *("train", data, "--output", str(tmp_path / "on"), "--labels", "happy,sad,neutral", "--lora-rank", "0"),
            *("--use-cpu", "--max-steps", "1", "--report-to", "none", "--parts", "projector"),
        ],
    ):
        assert main([*arguments, "--model", str(folder)]) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "report" / "report.json").read_text())["errors"] == 0


def test_nothing_names_this_machine(of_default, tiny):
    _, folder = of_default
    assert settings(folder) == (".", None)
    assert carried_pipeline(folder).__name__ == "EmotionChatPipeline"
    for file in folder.iterdir():
        if file.suffix in (".json", ".md", ".py"):
            assert str(tiny) not in file.read_text("utf-8"), file


class TestMerge:
    def test_logits_and_files(self, trained, tiny, batch, tmp_path, capsys):
        trainer, folder, _ = trained
        output = tmp_path / "whole"
        assert main(["merge", str(folder), str(output)]) == 0 and "Wrote" in capsys.readouterr().out
        model, processor = load_model(str(output))
        torch.testing.assert_close(logits(model, batch), logits(trainer.model, batch), atol=1e-5, rtol=0)
        again = EmoLlamaDataCollator(processor)(face_samples(3))
        assert all(torch.equal(again[name], batch[name]) for name in batch)
        assert processor.faces.detector is not None
        names = {str(path.relative_to(tiny)) for path in tiny.rglob("*") if path.is_file()}
        assert names - {"tokenizer.model"} <= {str(path.relative_to(output)) for path in output.rglob("*")}
        assert {"modeling_emo_llama.py", "processing_emo_llama.py"} <= names
        assert not (output / "adapter_config.json").exists()
        assert carried_pipeline(output).__name__ == "EmotionChatPipeline"

    def test_refused(self, trained, tiny, tmp_path, capsys):
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "file").touch()
        for arguments, words in (
            ([str(tiny), str(tmp_path / "out")], "whole model already"),
            ([str(trained[1]), str(tmp_path / "full")], "is there already"),
            ([str(tmp_path / "none"), str(tmp_path / "out")], "none"),
        ):
            assert main(["merge", *arguments]) == 1
            assert words in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


class TestBase:
    def test_a_folder_that_was_moved(self, trained, batch, tmp_path):
        trainer, folder, base = trained
        run = shutil.copytree(folder, tmp_path / "run")
        assert settings(run) == (str(base), None)
        content = json.loads((run / "adapter_config.json").read_text())
        content["base_model_name_or_path"] = str(tmp_path / "elsewhere")
        (run / "adapter_config.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match="is not on this machine: name its folder or hub id with `base`"):
            load_model(str(run))
        model, _ = load_model(str(run), base=str(base))
        torch.testing.assert_close(logits(model, batch), logits(trainer.model, batch), atol=1e-5, rtol=0)

    def test_base_of_a_whole_model(self, tiny):
        with pytest.raises(ValueError, match="`base` is of an adapter"):
            load_model(str(tiny), base=str(tiny))

    def test_a_hub_id_and_its_commit(self, tiny, hub, batch, tmp_path):
        """Whatever becomes of the base's main branch, the adapter keeps to what it was trained on."""
        HfApi().create_repo("user/base")
        commit = HfApi().upload_folder(repo_id="user/base", folder_path=tiny).oid
        trainer = run("user/base", tmp_path / "run", SHORT)
        assert settings(tmp_path / "run") == ("user/base", commit)
        run(snapshot_download("user/base"), tmp_path / "of-copy", SHORT)
        assert settings(tmp_path / "of-copy") == ("user/base", commit)
        other, _ = load_model(str(tiny))
        with torch.no_grad():
            other.lm_head.weight.mul_(2)
        other.push_to_hub("user/base")
        model, _ = load_model(str(tmp_path / "run"))
        torch.testing.assert_close(logits(model, batch), logits(trainer.model, batch), atol=1e-5, rtol=0)
        model = pipeline("emotion-chat", model=str(tmp_path / "run")).model
        torch.testing.assert_close(logits(model, batch), logits(trainer.model, batch), atol=1e-5, rtol=0)


def card_of(folder: Path) -> ModelCard:
    card = ModelCard.load(folder / "README.md")
    card.data.to_yaml()
    return card


class TestCard:
    def test_of_a_run_that_was_evaluated(self, tiny, tmp_path):
        trainer = run(tiny, tmp_path / "run", {"max_steps": 1, "eval_steps": 1, "save_steps": 1})
        data, text = card_of(tmp_path / "run").data, card_of(tmp_path / "run").text
        assert (data.library_name, data.pipeline_tag, data.base_model) == ("peft", "image-text-to-text", None)
        found = {result.metric_type: result.metric_value for result in data.eval_results}
        final = trainer.state.log_history[-1]
        expected = {"accuracy": final["eval_war"], "recall": final["eval_uar"], "loss": final["eval_loss"]}
        assert found == pytest.approx(expected, abs=1e-4) and data.model_name == "run"
        for words in ("perceived", "## Intended use", "## Limits", "rank 4", "16 samples", "happy (6)", "0.005"):
            assert words in text
        assert str(tiny) not in text and str(tmp_path) not in text

    def test_of_a_full_training_on_the_hub(self, tiny, hub, batch, tmp_path):
        """Weights, processor, detector, code and card go up, and what comes back answers alike."""
        HfApi().create_repo("user/base")
        HfApi().upload_folder(repo_id="user/base", folder_path=tiny)
        full = {"lora_rank": 0, "parts": ["projector"]}
        trainer = run(
            "user/base", tmp_path / "full", {**SHORT, "push_to_hub": True, "hub_model_id": "user/full"}, full
        )
        data = ModelCard.load("user/full").data
        assert (data.library_name, data.base_model) == ("transformers", "user/base")
        assert data.base_model_relation == "finetune"
        model, processor = load_model("user/full")
        torch.testing.assert_close(logits(model, batch), logits(trainer.model, batch), atol=1e-5, rtol=0)
        assert processor.faces.detector is not None
        assert {"modeling_emo_llama.py", "processing_emo_llama.py"} <= set(HfApi().list_repo_files("user/full"))

    def test_of_an_adapter_of_the_default_model_on_the_hub(self, tiny, hub, batch, tmp_path, monkeypatch):
        monkeypatch.setattr(emo_llama_hf.adapter_base, "default_model", lambda: str(tiny))
        pushed = {"push_to_hub": True, "hub_model_id": "user/run", "save_steps": 1, "save_strategy": "steps"}
        trainer = run(tiny, tmp_path / "run", {**SHORT, **pushed})
        expected = logits(trainer.model, batch)
        assert ModelCard.load("user/run").data.library_name == "peft"
        assert not any(name.startswith("checkpoint-") for name in HfApi().list_repo_files("user/run"))
        for opened in (
            AutoModelForImageTextToText.from_pretrained("user/run"),
            load_model("user/run")[0],
            pipeline("emotion-chat", model="user/run").model,
        ):
            torch.testing.assert_close(logits(opened, batch), expected, atol=1e-5, rtol=0)
