"""Whole fine-tuning runs on a tiny model: what they save, how they go on after a kill, what learns."""

import copy
import math
import pickle
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.trainer_pt_utils import AcceleratorConfig

import training_run
from carried import carried_pipeline
from emo_llama_command import main
from emo_llama_hf import load_model
from emo_llama_hf.closed_set import closed_prompt
from emo_llama_hf.data.record_stream import Records
from emo_llama_hf.load_model import load_processor
from emo_llama_hf.modeling.modeling_emo_llama import EmoLlamaVisionModel
from emo_llama_hf.modeling.modeling_face_prior import EmoLlamaFacePriorModel
from emo_llama_hf.processing import processing_emo_llama
from emo_llama_hf.training import (
    EmoLlamaDataCollator,
    EmoLlamaTrainer,
    EmoLlamaTrainingArguments,
    TuningArguments,
    cached_features,
    samples_of,
    train,
)
from emo_llama_hf.training.checkpoints import last_whole_checkpoint
from emo_llama_hf.training.trainable_parts import PARTS
from emotion_samples import EMOTIONS, face_folders, face_samples
from runs_code import RunsCode
from training_run import TRAINING, TUNING, history

TESTS = Path(__file__).parent


def close(first: list[tuple], second: list[tuple]) -> bool:
    return [entry[:2] for entry in first] == [entry[:2] for entry in second] and all(
        math.isclose(a[2], b[2], abs_tol=2e-5) for a, b in zip(first, second, strict=True)
    )


@pytest.fixture(scope="module")
def run(tiny):
    """`training_run.run` on the tiny model."""
    return partial(training_run.run, tiny)


@pytest.fixture(scope="module")
def base(tiny):
    """Load the tiny model, untrained."""
    return lambda: AutoModelForImageTextToText.from_pretrained(tiny).eval()


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    """A run of six steps with everything random that there is, and its folder."""
    folder = tmp_path_factory.mktemp("finished")
    trainer = run(folder, tuning={"augment": True})
    return trainer, folder


@pytest.fixture(scope="module")
def batch(tiny):
    return EmoLlamaDataCollator(AutoProcessor.from_pretrained(tiny))(face_samples(3))


class TestResume:
    def test_a_killed_run_goes_on_exactly(self, tiny, run, finished, tmp_path):
        """SIGKILL in the middle, then the last checkpoint: every later loss is that of the run nobody stopped."""
        _, whole = finished
        command = [
            sys.executable,
            "training_run.py",
            str(tiny),
            str(tmp_path),
            "{}",
            '{"augment": true}',
        ]
        with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 120
            while not (tmp_path / "checkpoint-3" / "rng_state.pth").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.1)  # the last file of a checkpoint is being written
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL and not (tmp_path / "adapter_config.json").exists()
        (tmp_path / ".trainer_state.json.0123abcd.part").touch()  # as of one killed while it wrote its figures
        run(tmp_path, {"resume_from_checkpoint": str(tmp_path / "checkpoint-3")}, {"augment": True})
        assert not list(tmp_path.glob(".*.part"))
        keys = ("loss", "eval_loss", "eval_uar", "grad_norm")
        assert len(history(whole, "loss")) == 6
        assert history(tmp_path, *keys) == history(whole, *keys)

    def test_within_the_second_epoch(self, run, tmp_path):
        """The order of samples and the augmentation are those of the epoch that was interrupted."""
        settings = {"save_steps": 5, "eval_steps": 5, "max_steps": 6}
        run(tmp_path, settings, {"augment": True})
        whole_losses = history(tmp_path, "loss")
        (tmp_path / "checkpoint-6").rename(tmp_path / "later")
        run(tmp_path, {**settings, "resume_from_checkpoint": "last"}, {"augment": True})
        assert history(tmp_path, "loss") == whole_losses

    def test_last_starts_anew_where_there_is_no_checkpoint(self, run, finished, tmp_path):
        _, whole = finished
        run(tmp_path, {"resume_from_checkpoint": "last"}, {"augment": True})
        assert history(tmp_path, "loss") == history(whole, "loss")


class TestBrokenCheckpoints:
    @pytest.fixture
    def checkpoint(self, finished, tmp_path):
        return Path(shutil.copytree(finished[1] / "checkpoint-3", tmp_path / "checkpoint-3"))

    def resume(self, run, checkpoint, last=False):
        run(checkpoint.parent, {"resume_from_checkpoint": "last" if last else str(checkpoint)}, {"augment": True})

    @pytest.mark.parametrize("file", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "adapter_model.bin"])
    def test_pickles_that_run_code_are_refused(self, run, checkpoint, file):
        marker = checkpoint.parent / "it ran"
        torch.save({"state": RunsCode(marker)}, checkpoint / file)
        if file == "adapter_model.bin":
            (checkpoint / "adapter_model.safetensors").unlink()
        with pytest.raises(ValueError, match="checkpoint-3 was refused") as caught:
            self.resume(run, checkpoint)
        assert "weights_only=False" not in str(caught.value) and not marker.exists()
        with pytest.raises(FileExistsError):  # the pickle would have made it
            pickle.loads(pickle.dumps(RunsCode(checkpoint)))

    @pytest.mark.parametrize("file", ["optimizer.pt", "adapter_model.safetensors"])
    def test_what_is_cut_off_is_named(self, run, checkpoint, file):
        (checkpoint / file).write_bytes((checkpoint / file).read_bytes()[:-1000])
        with pytest.raises(ValueError, match="checkpoint-3"):
            self.resume(run, checkpoint)

    @pytest.mark.parametrize("state", [None, b"", b'{"global_step": 3, "log_'])
    def test_one_that_was_not_finished_is_passed_over(self, run, finished, checkpoint, state):
        (checkpoint / "trainer_state.json").unlink()
        if state is not None:
            (checkpoint / "trainer_state.json").write_bytes(state)
        with pytest.raises(ValueError, match="no whole checkpoint"):
            self.resume(run, checkpoint)
        assert last_whole_checkpoint(checkpoint.parent) is None
        shutil.copytree(finished[1] / "checkpoint-3", checkpoint.with_name("checkpoint-2"))
        assert last_whole_checkpoint(checkpoint.parent) == str(checkpoint.with_name("checkpoint-2"))

    def test_a_finished_run_makes_no_further_step(self, run, finished, tmp_path):
        shutil.copytree(finished[1] / "checkpoint-6", tmp_path / "checkpoint-6")
        self.resume(run, tmp_path / "checkpoint-6", last=True)
        assert history(tmp_path, "loss") == history(finished[1], "loss")
        assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-6"]


class TestAdapter:
    @pytest.fixture
    def logits(self, finished, batch):
        trainer, _ = finished
        with torch.no_grad():
            return trainer.model.eval()(**batch).logits

    def test_peft_model_from_pretrained(self, base, finished, batch, logits):
        model = PeftModel.from_pretrained(base(), finished[1]).eval()
        with torch.no_grad():
            assert torch.allclose(model(**batch).logits, logits, atol=1e-5)
            assert not torch.allclose(base()(**batch).logits, logits, atol=1e-3)

    def test_load_adapter(self, base, finished, batch, logits):
        model = base()
        model.load_adapter(str(finished[1]))
        with torch.no_grad():
            assert torch.allclose(model.eval()(**batch).logits, logits, atol=1e-5)

    def test_auto_model_of_the_output_folder(self, finished, batch, logits):
        model = AutoModelForImageTextToText.from_pretrained(finished[1]).eval()
        with torch.no_grad():
            assert torch.allclose(model(**batch).logits, logits, atol=1e-5)

    def test_merged_model_needs_no_peft(self, base, finished, batch, logits, tmp_path):
        merged = PeftModel.from_pretrained(base(), finished[1]).merge_and_unload()
        merged.save_pretrained(tmp_path)
        reloaded = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
        assert type(reloaded).__name__ == "EmoLlamaForConditionalGeneration"
        with torch.no_grad():
            assert torch.allclose(reloaded(**batch).logits, logits, atol=1e-5)

    def test_processor_is_saved_beside_it(self, finished, batch):
        processor = AutoProcessor.from_pretrained(finished[1])
        again = EmoLlamaDataCollator(processor)(face_samples(3))
        assert all(torch.equal(again[name], batch[name]) for name in batch)


class TestWhatLearns:
    @pytest.fixture
    def changed(self, base):
        """The modules of a trained model that differ from those of the tiny model."""

        def modules(model) -> set[str]:
            before = base().state_dict()
            after = (model.merge_and_unload() if isinstance(model, PeftModel) else model).state_dict()
            return {name.split(".")[1] for name in before if not torch.equal(before[name], after[name].cpu())}

        return modules

    def test_by_default(self, base, changed, finished):
        copy = PeftModel.from_pretrained(base(), finished[1])
        assert changed(copy) == {"language_model", "face_info_mining", "visual_tokens"}

    def test_parts_without_lora(self, run, changed, tmp_path, batch):
        trainer = run(tmp_path, {"max_steps": 3}, {"lora_rank": 0, "parts": ["qformer", "projector"]})
        assert changed(trainer.model) == {"qformer", "query_tokens", "visual_tokens"}
        assert carried_pipeline(tmp_path).__name__ == "EmotionChatPipeline"
        reloaded = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
        with torch.no_grad():
            assert torch.allclose(reloaded(**batch).logits, trainer.model.eval()(**batch).logits, atol=1e-5)

    def test_other_parts_with_lora_are_saved_with_the_adapter(self, run, base, changed, tmp_path, batch):
        trainer = run(tmp_path, {"max_steps": 3}, {"parts": ["vision", "face_prior", "projector"]})
        reloaded = PeftModel.from_pretrained(base(), tmp_path).eval()
        with torch.no_grad():
            assert torch.allclose(reloaded(**batch).logits, trainer.model.eval()(**batch).logits, atol=1e-5)
        assert changed(reloaded) == {"language_model", "vision_model", "face_prior", "visual_tokens"}

    def test_learning_rates(self, run, changed, tmp_path):
        rates = ["projector=1e-3", "face_info_mining=0"]
        trainer = run(tmp_path, {"max_steps": 2, "learning_rates": rates, "lr_scheduler_type": "constant"})
        names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
        found = {}
        for group in trainer.optimizer.param_groups:
            for parameter in group["params"]:
                name = names[id(parameter)]
                part = next((p for p in ("visual_tokens", "face_info_mining", "lora") if p in name), name)
                found.setdefault(part, set()).add(group["lr"])
        assert found == {"visual_tokens": {1e-3}, "face_info_mining": {0.0}, "lora": {5e-3}}
        assert "face_info_mining" not in changed(trainer.model)

    def test_learning_rate_of_what_does_not_learn(self, run, tmp_path):
        with pytest.raises(ValueError, match="vision, which does not learn"):
            run(tmp_path, {"learning_rates": ["vision=1e-3"]})


class TestModes:
    def test_accumulated_batches_are_one_large_batch(self, run, tmp_path):
        for name, settings in {
            "large": {},
            "small": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2},
        }.items():
            run(tmp_path / name, {"max_steps": 3, **settings}, {"lora_dropout": 0.0})
        assert close(history(tmp_path / "small", "loss"), history(tmp_path / "large", "loss"))

    @pytest.mark.parametrize("full", [False, True], ids=["lora", "full"])
    @pytest.mark.parametrize("stored", ["float16", "bfloat16", pytest.param("float32", marks=pytest.mark.slow)])
    def test_bf16_on_weights_of_any_type(self, run, base, tmp_path, stored, full):
        """What learns does so in float32; a full model is saved as its base was, and what is frozen loses nothing."""
        parts = [part for part in PARTS if part != "vision"]
        tuning = {"dtype": stored, **({"lora_rank": 0, "parts": parts} if full else {})}
        trainer = run(tmp_path, {"bf16": True, "max_steps": 4, "eval_steps": 4, "save_steps": 4}, tuning)
        frozen = {"float16": torch.float32 if full else torch.bfloat16}.get(stored, getattr(torch, stored))
        kinds = {(value.requires_grad, value.dtype) for value in trainer.model.parameters()}
        assert kinds == {(True, torch.float32), (False, frozen)}
        losses = [value for _, _, value in history(tmp_path, "loss")]
        assert all(math.isfinite(value) for value in losses) and losses[-1] < losses[0] - 0.1
        if full:
            saved = load_model(str(tmp_path))[0].state_dict()
            before = base().to(getattr(torch, stored)).state_dict()
            assert all(value.dtype == before[name].dtype for name, value in saved.items())
            changed = {name.split(".")[1] for name, value in saved.items() if not value.equal(before[name])}
            assert changed >= {"language_model", "face_prior", "qformer"} and "vision_model" not in changed
        else:
            assert {value.dtype for value in _weights(tmp_path).values()} == {torch.float32}

    def test_half_precision_does_not_learn_in_itself(self, run, tmp_path):
        with pytest.raises(ValueError, match=r"`--bf16` .* or `--dtype float32`"):
            run(tmp_path, tuning={"dtype": "float16"})

    def test_four_bits_learn_by_their_adapter(self, run, tmp_path):
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is optional")
        trainer = run(tmp_path, {"max_steps": 4, "eval_steps": 4, "save_steps": 4}, {"load_in_4bit": True})
        layers = {type(module).__name__ for module in trainer.model.get_base_model().model.language_model.modules()}
        assert "Linear4bit" in layers
        losses = [value for _, _, value in history(tmp_path, "loss")]
        assert losses[-1] < losses[0] - 0.1
        assert {value.dtype for value in _weights(tmp_path).values()} == {torch.float32}

    def test_cached_features_give_the_same_losses(self, run, tmp_path, monkeypatch):
        run(tmp_path / "without", {"max_steps": 3}, {"feature_cache": "off"})
        cache = str(tmp_path / "cache")
        run(tmp_path / "with", {"max_steps": 3}, {"feature_cache": cache})
        keys = ("loss", "eval_loss", "eval_uar")
        assert close(history(tmp_path / "with", *keys), history(tmp_path / "without", *keys))
        stored = [name for path in (tmp_path / "cache").rglob("*.safetensors") for name in load_file(path)]
        assert len(stored) == 3 * 16  # the five to evaluate on are among those to learn from

        def forbidden(*args, **kwargs):
            raise AssertionError("the vision encoder or the face prior ran")

        monkeypatch.setattr(EmoLlamaVisionModel, "forward", forbidden)
        monkeypatch.setattr(EmoLlamaFacePriorModel, "forward", forbidden)
        run(tmp_path / "again", {"max_steps": 3}, {"feature_cache": cache})
        assert history(tmp_path / "again", "loss") == history(tmp_path / "with", "loss")

    def test_what_comes_again_is_seen_once_by_default(self, run, tmp_path, monkeypatch):
        """The features are gone after the run, and not before: one that was stopped goes on with them."""
        looked, left = [], []
        forward, saved = EmoLlamaFacePriorModel.forward, EmoLlamaTrainer._save_checkpoint

        def counted(self, pixel_values, **kwargs):
            looked.append(len(pixel_values))
            return forward(self, pixel_values, **kwargs)

        def watched(self, *args):
            left.append(len(list((tmp_path / "_features").rglob("*.safetensors"))))
            saved(self, *args)

        monkeypatch.setattr(EmoLlamaFacePriorModel, "forward", counted)
        monkeypatch.setattr(EmoLlamaTrainer, "_save_checkpoint", watched)
        settings = {"max_steps": 8, "eval_steps": 8, "save_steps": 8}  # of four: each of sixteen twice
        trainer = run(tmp_path, settings)
        assert sum(looked) == 16 and left[0] > 0 and not (tmp_path / "_features").exists()
        assert trainer.evaluate()["eval_uar"] > 0  # without them it looks again
        assert sum(looked) > 16

    def test_files_of_what_is_kept_are_read_once(self, tiny, tmp_path, monkeypatch):
        """And the losses are those of a run that reads them each time."""
        samples = samples_of(Records(face_folders(tmp_path / "faces", 2)), EMOTIONS)
        read, load = [], processing_emo_llama.load_image
        monkeypatch.setattr(processing_emo_llama, "load_image", lambda source: read.append(source) or load(source))
        counts = []
        for name, cache in (("once", "auto"), ("each time", "off")):
            arguments = EmoLlamaTrainingArguments(str(tmp_path / name), **{**TRAINING, "max_steps": 3})
            train(arguments, TuningArguments(model=str(tiny), feature_cache=cache, **TUNING), samples)
            counts.append(len(read))
            read.clear()
        assert counts[0] == len(samples) == 6 < counts[1]
        assert close(history(tmp_path / "once", "loss"), history(tmp_path / "each time", "loss"))

    @pytest.mark.parametrize(
        ("settings", "tuning"),
        [
            pytest.param({"max_steps": 7}, {}, id="few look twice"),
            pytest.param({"max_steps": 8}, {"augment": True}, id="augmented"),
            pytest.param({"max_steps": 8}, {"parts": ["vision"]}, id="vision learns"),
            pytest.param({"max_steps": 8}, {"feature_cache": "off"}, id="off"),
            pytest.param({"max_steps": 8}, {}, id="no room"),
        ],
    )
    def test_nothing_is_kept_where_it_spares_nothing(self, run, tmp_path, monkeypatch, request, settings, tuning):
        def stop(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(EmoLlamaTrainer, "train", stop)
        if "no room" in request.node.name:
            monkeypatch.setattr(cached_features, "LIMIT", 1000)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, {**settings, "eval_steps": 7, "save_steps": 7}, tuning)
        assert not (tmp_path / "_features").exists()

    @pytest.mark.parametrize(
        ("tuning", "words"),
        [
            ({"feature_cache": "x", "augment": True}, "unchanged frames"),
            ({"feature_cache": "x", "parts": ["vision"]}, "frozen vision encoder"),
            ({"load_in_4bit": True, "lora_rank": 0}, "`lora_rank`"),
            ({"dtype": "int8"}, "`dtype`"),
        ],
    )
    def test_contradictions(self, tuning, words):
        with pytest.raises(ValueError, match=words):
            TuningArguments(**tuning)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"learning_rates": ["mouth=1"]}, "PART=RATE"),
            ({"learning_rates": ["vision=fast"]}, "no number"),
            ({"remove_unused_columns": True}, "must stay off"),
            ({"accelerator_config": {"dispatch_batches": True}}, "`dispatch_batches`"),
        ],
    )
    def test_refused_arguments(self, settings, words, tmp_path):
        with pytest.raises(ValueError, match=words):
            EmoLlamaTrainingArguments(str(tmp_path), **settings)

    @pytest.mark.parametrize(
        ("tuning", "words"),
        [
            ({"parts": ["mouth"]}, "must be one of"),
            ({"parts": ["language_model"]}, "learns by LoRA"),
            ({"lora_targets": ["qkv"]}, "linear layers are"),
            ({"parts": [], "lora_rank": 0}, "nothing would learn"),
            ({"emotion_labels": ["angry"]}, "none of angry"),
        ],
    )
    def test_refused_choices(self, run, tuning, words, tmp_path):
        with pytest.raises(ValueError, match=words):
            run(tmp_path, {"max_steps": 1, "eval_steps": 1, "save_steps": 1}, tuning)


def test_the_arguments_given_stay_as_they_are(tiny, tmp_path):
    """Without samples to evaluate on, the run evaluates nothing; the caller's choices are still what they were."""
    accelerator = AcceleratorConfig(split_batches=False)
    arguments = EmoLlamaTrainingArguments(
        str(tmp_path), **{**TRAINING, "max_steps": 1, "accelerator_config": accelerator}
    )
    before = copy.deepcopy({**arguments.to_dict(), "dispatch": accelerator.dispatch_batches})
    trainer = train(arguments, TuningArguments(model=str(tiny), **TUNING), face_samples(2))
    assert trainer.args.eval_strategy == "no" and not trainer.args.load_best_model_at_end
    assert {**arguments.to_dict(), "dispatch": accelerator.dispatch_batches} == before
    assert before["eval_strategy"] == "steps" and before["load_best_model_at_end"] and before["dispatch"] is None


class TestBestModel:
    def test_early_stopping(self, run, tmp_path):
        """With nothing learned no evaluation is better than the first."""
        settings = {"learning_rate": 0.0, "eval_steps": 1, "save_steps": 1, "early_stopping_patience": 2}
        assert run(tmp_path, {**settings, "max_steps": 6}).state.global_step == 3

    def test_the_best_checkpoint_is_kept(self, run, tmp_path, monkeypatch):
        """UAR is made to peak at the second of four evaluations; those weights are what is saved."""
        from emo_llama_hf.training.trainer import EmoLlamaTrainer

        values = iter([0.2, 0.9, 0.3, 0.4, 0.9])
        monkeypatch.setattr(EmoLlamaTrainer, "closed_set_metrics", lambda self, dataset: {"uar": next(values)})
        trainer = run(tmp_path, {"eval_steps": 1, "save_steps": 1, "max_steps": 4})
        assert trainer.state.best_metric == 0.9
        assert trainer.state.best_model_checkpoint.endswith("checkpoint-2")
        best, saved = _weights(tmp_path / "checkpoint-2"), _weights(tmp_path)
        assert best.keys() == saved.keys() and all(torch.equal(best[name], saved[name]) for name in best)


def _weights(folder: Path) -> dict:
    return load_file(folder / "adapter_model.safetensors")


@pytest.mark.slow
def test_it_learns_to_see(tiny, tmp_path):
    """
    Trained from nothing, it tells unseen drawn faces apart well above chance, which is one third. So few steps are
    enough from some random weights only; these are of the tiny model's seed.
    """
    arguments = EmoLlamaTrainingArguments(
        str(tmp_path),
        **{**TRAINING, "per_device_train_batch_size": 16, "max_steps": 160, "learning_rate": 1e-3},
        warmup_steps=10,
    )
    arguments.eval_strategy = arguments.save_strategy = "no"
    arguments.load_best_model_at_end = False
    arguments.class_balance, arguments.closed_set_weight = 0.0, 3.0
    tuning = TuningArguments(model=str(tiny), lora_rank=0, parts=list(PARTS), emotion_labels=EMOTIONS)
    faces = face_samples(150)
    assert train(arguments, tuning, faces[:96], faces[96:]).evaluate()["eval_uar"] > 0.5


class TestRecords:
    def test_loss_curve(self, finished):
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: the extra `train` has it")
        with Image.open(finished[1] / "loss_curve.png") as picture:
            assert picture.format == "PNG" and picture.width > 400
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 20  # lines on a grid, not an empty sheet

    def test_short_runs_have_a_curve_too(self, tiny, tmp_path):
        """By default every step of a run of less than a hundred is logged, where transformers logs each 500th."""
        settings = {name: value for name, value in TRAINING.items() if name != "logging_steps"}
        arguments = EmoLlamaTrainingArguments(str(tmp_path), **{**settings, "max_steps": 3})
        train(arguments, TuningArguments(model=str(tiny), **TUNING), face_samples(4))
        assert [step for step, _, _ in history(tmp_path, "loss")] == [1, 2, 3]

    def test_tensorboard(self, run, tmp_path):
        pytest.importorskip("tensorboard", reason="tensorboard is not installed: the extra `train` has it")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        run(tmp_path, {"report_to": ["tensorboard"], "max_steps": 3})
        (folder,) = (tmp_path / "runs").iterdir()
        seen = EventAccumulator(str(folder)).Reload()
        assert [e.value for e in seen.Scalars("train/loss")] == pytest.approx(
            [value for _, _, value in history(tmp_path, "loss")]
        )
        assert seen.Scalars("eval/uar")


class TestCommand:
    def test_class_folders(self, tiny, tmp_path, capsys):
        face_folders(tmp_path / "faces" / "train", 3)
        face_folders(tmp_path / "faces" / "valid", 1)
        arguments = [
            *("--max-steps", "2", str(tmp_path / "faces"), "--split", "train", "--eval-split", "validation"),
            *("--output", str(tmp_path / "out"), "--model", str(tiny), "--labels", ",".join(EMOTIONS), "--use-cpu"),
            *("--eval-strategy", "steps", "--save-strategy", "steps", "--eval-steps", "2", "--save_steps", "2"),
            *("--lora-rank", "2", "--parts", "projector,face_info_mining", "--learning-rates", "projector=1e-3"),
            *("--report-to", "none", "--disable-tqdm", "true", "--closed-question", "paper"),
        ]
        assert main(["train", *arguments]) == 0
        assert "Saved in" in capsys.readouterr().out
        prompt = closed_prompt(load_processor(str(tmp_path / "out")), "image", EMOTIONS)
        assert f"following options: {{{', '.join(EMOTIONS)}}}." in prompt
        assert (tmp_path / "out" / "adapter_model.safetensors").exists()
        assert history(tmp_path / "out", "eval_uar")[0][0] == 2

    def test_mistakes_are_one_line(self, tiny, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "config.json").write_text("{}")
        faces, rest = str(face_folders(tmp_path / "f", 1)), ["--output", str(tmp_path / "out"), "--use-cpu"]
        for arguments, words in (
            ([str(tmp_path / "nowhere"), "--model", str(tiny)], "DATA: "),
            ([faces, "--model", str(tmp_path / "none")], "--model: "),
            ([faces, "--model", str(tmp_path / "empty")], "--model: "),
            ([faces, "--learning-rates", "mouth=1"], "PART=RATE"),
            ([faces, "--closed-question", "Which?"], "--closed-question must have {labels}"),
            ([faces, "--load-best-model-at-end", "--save-strategy", "steps"], "save and eval strategy"),
        ):
            assert main(["train", *arguments, *rest]) == 1
            *_, line = capsys.readouterr().err.splitlines()
            assert line.startswith("emo-llama: ") and words in line

    def test_help_has_every_option(self, capsys):
        assert main(["train", "--help"]) == 0
        printed = capsys.readouterr().out
        for option in ("--label-map", "--labels", "--output", "--eval-faces", "--lora-rank", "--learning-rates"):
            assert f" {option} " in printed
        assert " --per-device-train-batch-size " in printed and "--output-dir" not in printed

    def test_wrong_usage(self, tmp_path, capsys):
        for arguments in ([], ["data", "--output", "x", "--max-steps", "many"], ["data", "--output_dir", "x"]):
            assert main(["train", *arguments]) == 2
            assert "rror:" in capsys.readouterr().err
