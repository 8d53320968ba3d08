"""Reinforcement learning: what answers are worth, and that what learns is what was shown."""

import json
import sys

import pytest
import torch
from peft import PeftModel

from emo_llama_command import main
from emo_llama_hf.input_error import InputError
from emo_llama_hf.load_model import load_model
from emo_llama_hf.training import EmoLlamaTrainingArguments, TuningArguments
from emo_llama_hf.training.grpo import GRPOArguments, agreement_reward, format_reward, label_reward
from emo_llama_hf.training.grpo.train_grpo import train_grpo
from emo_llama_hf.training.grpo.visual_rows import VisualRows
from emotion_samples import EMOTIONS, clip, drawn_face, face_folders, face_samples, picture, sample


@pytest.mark.parametrize(
    ("text", "label", "form", "agreement"),
    [
        ("happy", 1, 1, 1),
        ("Happy. The corners of the mouth are up.", 1, 1, 1),
        ("The mouth is open. Answer: happy", 1, 1, 1),
        ("Happy. She looks sad.", 0, 1, 0),
        ("Sad. She is not happy.", 0, 1, 1),
        ("The person looks happy.", 1, 0, 0),
        ("", 0, 0, 0),
        ("happy sad", 0, 0, 0),
    ],
)
def test_what_an_answer_is_worth(text, label, form, agreement):
    columns = {
        "completions": [[{"role": "assistant", "content": text}]],
        "emotion": ["happy"],
        "emotion_labels": [EMOTIONS],
        "index": [0],
    }
    assert [reward(**columns) for reward in (label_reward, format_reward, agreement_reward)] == [
        [label],
        [form],
        [agreement],
    ]
    assert label_reward(**{**columns, "emotion": [None]}) == [None]


def test_rows_are_what_the_processor_gives_for_them(tiny):
    processor = load_model(str(tiny))[1]
    shown = [[picture("happy", 1)], [clip(3), picture("sad", 2)], [clip(2)]]
    rows = VisualRows(processor.visual_inputs([*shown[0], *shown[1], *shown[2]], return_tensors="pt"), [1, 2, 1])
    for wanted in ([0], [1], [2, 0], [1, 1, 2]):
        expected = processor.visual_inputs([visual for at in wanted for visual in shown[at]], return_tensors="pt")
        taken = rows.take(wanted)
        assert taken.keys() == expected.keys()
        assert all(torch.equal(taken[name], expected[name]) for name in taken)


def run(tiny, output, train=None, test=None, rewards=None, tuning=None, grpo=None, **training):
    arguments = EmoLlamaTrainingArguments(
        str(output),
        **{
            "max_steps": 4,
            "per_device_train_batch_size": 8,
            "per_device_eval_batch_size": 4,
            "use_cpu": True,
            "report_to": [],
            "disable_tqdm": True,
            "logging_steps": 1,
            "learning_rate": 2e-2,
            "save_strategy": "no",
            "load_best_model_at_end": False,
            **training,
        },
    )
    choices = TuningArguments(model=str(tiny), **{"lora_rank": 4, "emotion_labels": EMOTIONS, **(tuning or {})})
    settings = GRPOArguments(**{"num_generations": 4, "max_completion_length": 4, **(grpo or {})})
    return train_grpo(arguments, choices, settings, train or face_samples(6), test, "faces", "others", rewards)


def shortness(completions, **columns):
    """Longer answers are worth less."""
    return [-float(len(completion[-1]["content"])) for completion in completions]


def test_a_reward_is_learned_and_the_adapter_is_saved(tiny, tmp_path):
    trainer = run(tiny, tmp_path / "out", test=face_samples(2), rewards=[shortness], max_steps=20)
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert sum(rewards[-5:]) > sum(rewards[:5])
    assert (tmp_path / "out/loss_curve.png").stat().st_size > 1000
    assert "eval_reward" in json.loads((tmp_path / "out/eval_results.json").read_text())
    card = (tmp_path / "out/README.md").read_text()
    assert "GRPO, 4 answers to a question" in card and "shortness" in card
    model, _ = load_model(str(tmp_path / "out"))
    before, _ = load_model(str(tiny))
    names = dict(before.named_parameters())
    frozen = [name for name in names if "vision_model" in name or "qformer" in name]
    assert frozen
    after = dict((model.get_base_model() if isinstance(model, PeftModel) else model).named_parameters())
    assert all(torch.equal(after[name], names[name]) for name in frozen)


def test_probabilities_are_of_what_each_row_shows(tiny, tmp_path):
    """Rows are repeated, shuffled and split by TRL; pictures, clips and chats of several visuals in one batch."""
    samples = [
        sample(picture("happy", 1), "happy", id="0"),
        sample(clip(3), "sad", id="1"),
        {
            "id": "2",
            "emotion": "happy",
            "messages": [
                *sample(clip(2), "sad")["messages"],
                *sample(picture("happy", 3), "happy", question="And here?")["messages"],
            ],
        },
        sample(picture("neutral", 2), "neutral", id="3"),
    ]
    trainer = run(
        tiny,
        tmp_path / "out",
        samples,
        tuning={"lora_dropout": 0.0},
        max_steps=1,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=4,
    )
    processor, model = trainer.processing_class, trainer.model
    trainer._buffered_inputs = None
    model.train()
    batch = next(iter(trainer.get_train_dataloader()))
    for part in (trainer._prepare_inputs(batch), trainer._buffered_inputs[3]):
        ids = torch.cat([part["prompt_ids"], part["completion_ids"]], dim=1)
        mask = torch.cat([part["prompt_mask"], part["completion_mask"]], dim=1)
        kept = part["completion_ids"].shape[1]
        trainer._rows = part["rows"].tolist()
        with torch.no_grad():
            found, _, _ = trainer._get_per_token_logps_and_entropies(model, ids, mask, kept, batch_size=2)
        for row, place in enumerate(part["rows"].tolist()):
            asked = trainer._prompts[True].asked(trainer._asked[place]["index"])
            inputs = processor.apply_chat_template(
                asked["messages"], tokenize=True, return_dict=True, add_generation_prompt=True, return_tensors="pt"
            )
            length = int(part["completion_mask"][row].sum())
            answer = part["completion_ids"][row, :length][None]
            inputs["input_ids"] = torch.cat([inputs["input_ids"], answer], dim=1)
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
            base = model.get_base_model()
            with torch.no_grad():  # TRL multiplies with the head itself, where the placeholder's logit is not masked
                logits = base.lm_head(base.model(**inputs).last_hidden_state[0, -length - 1 : -1]).log_softmax(-1)
            expected = logits.gather(1, answer[0][:, None])[:, 0]
            torch.testing.assert_close(found[row, :length], expected, atol=1e-4, rtol=1e-4)


def test_a_run_that_was_stopped_goes_on(tiny, tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 2}
    run(tiny, tmp_path, max_steps=2, lr_scheduler_type="constant", **saving)
    rest = run(tiny, tmp_path, resume_from_checkpoint="last", **saving)
    assert rest.state.global_step == 4
    assert [entry["step"] for entry in rest.state.log_history if "reward" in entry] == [1, 2, 3, 4]


def test_beta_compares_with_the_base_and_leaves_one_adapter(tiny, tmp_path):
    trainer = run(tiny, tmp_path, rewards=[shortness], grpo={"beta": 0.1}, max_steps=2, save_strategy="steps")
    assert {path.parent for path in tmp_path.rglob("adapter_config.json")} == {
        tmp_path,
        *tmp_path.glob("checkpoint-*"),
    }
    divergence = [entry["kl"] for entry in trainer.state.log_history if "kl" in entry]
    assert divergence[0] == pytest.approx(0, abs=1e-6) and divergence[1] > 1e-6


def test_trls_own_trainer(tiny, tmp_path):
    """It runs, though all that it learns from are pixels: each picture a visual, unguided and without its face."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    model, processor = load_model(str(tiny))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    asked = [{"role": "user", "content": "What is the emotion of the person?"}]
    data = Dataset.from_dict({"prompt": [asked] * 4, "image": [drawn_face("happy", number) for number in range(4)]})
    sampling = {"num_generations": 4, "per_device_train_batch_size": 4, "max_completion_length": 4, "max_steps": 2}
    arguments = GRPOConfig(
        str(tmp_path), use_cpu=True, bf16=False, report_to=[], save_strategy="no", learning_rate=1e-3, **sampling
    )
    trainer = GRPOTrainer(model, shortness, arguments, data, processing_class=processor)
    trainer.train()
    assert trainer.state.global_step == 2
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert any("language_model" in name for name in changed)
    assert all(value.isfinite().all() for value in model.state_dict().values())


ASKED = sample(picture(), "happy")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grpo": {"beta": 0.1}, "tuning": {"lora_rank": 0}}, "`beta` compares with the base"),
        ({"tuning": {"augment": True}}, "`augment` is of supervised training"),
        ({"per_device_train_batch_size": 3}, "`num_generations`"),
        ({"train": [{"messages": [{"role": "user", "content": "Hello?"}], "emotion": None}]}, "Sample 0 must show"),
        ({"train": [{**ASKED, "messages": [*ASKED["messages"], *ASKED["messages"][1:]]}]}, "Sample 0 must show"),
    ],
)
def test_refused_before_anything_is_trained(tiny, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        run(tiny, tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rewards": []}, "`rewards` is empty"),
        ({"rewards": ["beauty"]}, "choose from label, format, agreement"),
        ({"rewards": ["json:beauty"]}, "cannot be imported"),
        ({"num_generations": 1}, "`num_generations`"),
        ({"temperature": 0}, "`temperature`"),
        ({"beta": -1}, "`beta`"),
        ({"max_completion_length": 0}, "`max_completion_length`"),
    ],
)
def test_settings_out_of_range(values, words):
    with pytest.raises(InputError, match=words):
        GRPOArguments(**values)


def test_the_command(tiny, tmp_path, capsys, monkeypatch):
    data = str(face_folders(tmp_path / "faces", 2))
    options = ["--model", str(tiny), "--output", str(tmp_path / "out"), "--use-cpu", "--report-to", "none"]
    options += ["--max-steps", "1", "--per-device-train-batch-size", "2", "--disable-tqdm", "true"]
    chosen = [
        "--method",
        "grpo",
        "--num-generations",
        "2",
        "--max-completion-length",
        "2",
        "--rewards",
        "label,format",
    ]
    assert main(["train", data, *options, *chosen]) == 0
    assert "label_reward, format_reward" in (tmp_path / "out/README.md").read_text()
    assert main(["train", data, *options, "--beta", "0.1"]) == 1
    assert "--beta is of --method grpo" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "trl.trainer.grpo_config", None)
    monkeypatch.delitem(sys.modules, "emo_llama_hf.training.grpo.train_grpo")
    assert main(["train", data, *options, "--method", "grpo"]) == 1
    assert "pip install 'emo_llama_hf[grpo]'" in capsys.readouterr().err
