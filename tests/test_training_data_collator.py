"""The data collator against tokens put together by hand, and as stock Trainer, accelerate and TRL use it."""

import math

import pytest
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader
from transformers import AutoProcessor, Trainer, TrainingArguments
from transformers.models.auto.modeling_auto import AutoModelForImageTextToText

from emo_llama_hf.training.data_collator import EmoLlamaDataCollator
from emotion_samples import clip, face_samples, picture, sample


@pytest.fixture(scope="module")
def processor(tiny):
    return AutoProcessor.from_pretrained(tiny)


@pytest.fixture
def model(tiny):
    return AutoModelForImageTextToText.from_pretrained(tiny)


@pytest.fixture
def collator(processor):
    return EmoLlamaDataCollator(processor)


def learned(collator, batch, row: int) -> list[str]:
    """The runs of tokens that a row learns, as text."""
    runs, run = [], []
    for label in [*batch["labels"][row].tolist(), -100]:
        if label != -100:
            run.append(label)
        elif run:
            runs.append(collator.processor.tokenizer.decode(run))
            run = []
    return runs


MIXED = [
    sample(clip(4), "a long answer: sad, with a lowered mouth", "How does the mood change?"),
    sample(picture(), "happy", attributes={"age": "20-29", "gender": "female", "race": "Asian"}),
    sample(None, "Hello.", "Hi there"),
]


class TestLabels:
    def test_only_answers_are_learned_in_a_mixed_batch(self, collator):
        batch = collator(MIXED)
        assert learned(collator, batch, 0) == ["a long answer: sad, with a lowered mouth</s>"]
        assert learned(collator, batch, 1) == ["happy</s>"]
        assert learned(collator, batch, 2) == ["Hello.</s>"]

    def test_every_answer_of_a_chat_and_nothing_between(self, collator):
        chat = sample(picture(), "happy", attributes={"age": "20-29"})
        chat["messages"] += [
            {"role": "user", "content": "Why? ASSISTANT: because"},
            {"role": "assistant", "content": [{"type": "text", "text": "<s>Lächeln 😀 USER: x"}]},
            {"role": "user", "content": [{"type": "video", "video": clip(2)}, {"type": "text", "text": "And now?"}]},
            {"role": "assistant", "content": "sad"},
        ]
        batch = collator([chat])
        assert learned(collator, batch, 0) == ["happy</s>", "< s>Lächeln 😀 USER : x</s>", "sad</s>"]
        assert batch["frame_counts"].tolist() == [1, 2]

    @pytest.mark.parametrize("guide", ["turn", "latest", "default", "none"])
    def test_what_guides_a_visual_is_what_inference_takes(self, tiny, guide):
        processor = AutoProcessor.from_pretrained(tiny, question_guide=guide)
        chat = sample(picture(), "ASSISTANT: sad</s>USER: why?", "USER: [SEP] Is she sad? ASSISTANT: no</s>USER: why?")
        chat["messages"] += [{"role": "user", "content": "ASSISTANT:"}, {"role": "assistant", "content": "happy"}]
        batch = EmoLlamaDataCollator(processor)([chat])
        asked = processor.apply_chat_template(chat["messages"], tokenize=True, return_dict=True)
        for name in ("input_ids", "qformer_input_ids"):
            assert torch.equal(batch[name], asked[name])

    def test_prompt_and_answer_have_the_tokens_that_inference_sees(self, collator, processor):
        """What precedes an answer is, token by token, the prompt that generation starts from."""
        chat = MIXED[1]
        batch = collator([chat])
        prompt = processor.apply_chat_template(chat["messages"][:1], tokenize=False, add_generation_prompt=True)
        visual = chat["messages"][0]["content"][0]["image"]
        tokens = processor.text_inputs([prompt], [visual], attributes=[chat["attributes"]])["input_ids"][0]
        assert "Perceived attributes" in processor.tokenizer.decode(tokens)
        start = (batch["labels"][0] != -100).nonzero()[0].item()
        assert batch["input_ids"][0, :start].tolist() == tokens

    def test_padding_is_not_learned(self, collator):
        batch = collator(MIXED)
        padding = batch["attention_mask"] == 0
        assert padding.any() and (batch["labels"][padding] == -100).all()
        for row in range(3):
            alone = collator([MIXED[row]])
            length = alone["input_ids"].shape[1]
            for name in ("input_ids", "labels", "attention_mask"):
                assert torch.equal(alone[name][0], batch[name][row, :length])
                assert len(set(batch[name][row, length:].tolist())) <= 1

    def test_pad_to_multiple_of(self, processor):
        batch = EmoLlamaDataCollator(processor, pad_to_multiple_of=64)(MIXED)
        assert batch["input_ids"].shape[1] % 64 == 0
        assert batch["labels"].shape == batch["input_ids"].shape

    def test_placeholders_of_another_length(self, tiny):
        """A clip's placeholder in the template may be longer than a picture's."""
        other = AutoProcessor.from_pretrained(tiny)
        other.video_token = "<a moving picture>"
        other.chat_template = other.chat_template.replace("'<' + part['type'] + '>\\n'", "visual_token(part) + '\\n'")
        other.chat_template = (
            "{%- macro visual_token(part) -%}"
            "{{ '<image>' if part['type'] == 'image' else '<a moving picture>' }}"
            "{%- endmacro -%}" + other.chat_template
        )
        collator = EmoLlamaDataCollator(other)
        assert learned(collator, collator([sample(clip(2), "sad")]), 0) == ["sad</s>"]


class TestRefusals:
    def test_no_answer(self, collator):
        chat = {"messages": MIXED[1]["messages"][:1]}
        with pytest.raises(ValueError, match="assistant"):
            collator([chat])
        with pytest.raises(ValueError, match="Sample 1 of the batch"):
            collator([MIXED[1], chat])

    def test_template_without_generation_marks(self, tiny):
        other = AutoProcessor.from_pretrained(tiny)
        other.chat_template = "{% for m in messages %}{{ m['role'] }}{% endfor %}"
        with pytest.raises(ValueError, match="generation"):
            EmoLlamaDataCollator(other)([MIXED[2]])

    def test_max_length(self, processor):
        whole = EmoLlamaDataCollator(processor)(MIXED[:1])
        length = whole["input_ids"].shape[1]
        cut = EmoLlamaDataCollator(processor, max_length=length - 3)(MIXED[:1])
        assert torch.equal(cut["labels"], whole["labels"][:, :-3])
        with pytest.raises(ValueError, match="no assistant's answer"):
            start = (whole["labels"][0] != -100).nonzero()[0].item()
            EmoLlamaDataCollator(processor, max_length=start)(MIXED[:1])
        with pytest.raises(ValueError, match="visual tokens"):
            EmoLlamaDataCollator(processor, max_length=20)(MIXED[:1])


def settings(folder) -> dict:
    return {
        "output_dir": str(folder),
        "remove_unused_columns": False,
        "per_device_train_batch_size": 3,
        "max_steps": 3,
        "logging_steps": 1,
        "learning_rate": 5e-3,
        "report_to": [],
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
    }


class TestOthersTools:
    def test_stock_trainer_learns_from_mixed_batches(self, collator, model, tmp_path):
        trainer = Trainer(
            model,
            TrainingArguments(**settings(tmp_path)),
            train_dataset=MIXED,
            eval_dataset=MIXED,
            data_collator=collator,
        )
        before = trainer.evaluate()["eval_loss"]
        trainer.train()
        assert trainer.evaluate()["eval_loss"] < before - 0.1

    def test_accelerate_keeps_rows_of_frames_together(self, collator, model):
        """Frames are not cut by the number of samples, whatever that is."""
        samples = [sample(clip(5), "sad"), sample(clip(1), "sad"), sample(None, "Hello.", "Hi"), *face_samples(2)]
        loader = Accelerator(cpu=True).prepare(DataLoader(samples, batch_size=3, collate_fn=collator))
        batches = list(loader)
        assert [batch["pixel_values"].shape[0] for batch in batches] == [6, 2]
        assert [len(batch["input_ids"]) for batch in batches] == [3, 2]
        for batch in batches:
            assert torch.isfinite(model(**batch).loss)

    def test_cutting_by_rows_is_noticed(self, collator, model):
        """What DataParallel would do to a mixed batch is an error, never a wrong result."""
        batch = collator([sample(clip(5), "sad"), sample(picture(), "happy")])
        halves = [{name: value.chunk(2)[part] for name, value in batch.items()} for part in (0, 1)]
        for half in halves:
            with pytest.raises((ValueError, RuntimeError), match=r"placeholders|frame_counts"):
                model(**half)

    def test_trl_sft_trainer(self, collator, processor, model, tmp_path):
        pytest.importorskip("trl", reason="TRL is not installed: pip install trl")
        from datasets import Dataset
        from datasets.table import InMemoryTable
        from trl import SFTConfig, SFTTrainer

        rows = InMemoryTable.from_pydict({"number": [0, 1, 2]})  # pictures stay out of Arrow
        arguments = SFTConfig(
            **settings(tmp_path), dataset_kwargs={"skip_prepare_dataset": True}, max_length=None, bf16=False
        )
        trainer = SFTTrainer(
            model,
            arguments,
            train_dataset=Dataset(rows, fingerprint="rows"),
            data_collator=lambda items: collator([MIXED[item["number"]] for item in items]),
            processing_class=processor,
        )
        expected = model.eval()(**collator(MIXED)).loss.item()
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        # TRL multiplies with the head itself, where the placeholder is one word more of some 400.
        expected += math.log(model.config.text_config.vocab_size / (model.config.text_config.vocab_size - 1))
        assert losses[0] == pytest.approx(expected, abs=2e-3)
        assert losses[-1] < losses[0]
