"""Samples that share rows learn what they learn alone, and logits are computed of what is learned only."""

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

import training_run
from emo_llama_hf.training import ClosedSetLoss, EmoLlamaDataCollator, answer_tokens
from emo_llama_hf.training.packing import keeps_apart, packed_rows
from emotion_samples import EMOTIONS, clip, face_samples, picture, sample
from training_run import history

CHATS = [
    sample(picture("sad", 1), "sad"),
    sample(
        clip(4), "a long answer: " + "sad, with a lowered mouth and raised eyebrows, " * 9, "How does the mood change?"
    ),
    sample(None, "Hello.", "Hi there"),
    sample(picture("happy", 2), "happy", "?", attributes={"age": "20-29", "gender": "female", "race": "Asian"}),
    sample(clip(2), "neutral"),
    *face_samples(3),
]


@pytest.fixture(scope="module")
def processor(tiny):
    return AutoProcessor.from_pretrained(tiny)


@pytest.fixture
def model(tiny):
    return AutoModelForImageTextToText.from_pretrained(tiny).eval()


def gradients(model, batch) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = model(**batch, use_cache=False).loss
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


class TestRows:
    @pytest.mark.parametrize("lengths", [[5], [7, 7, 7], [3, 90, 20, 20, 41, 1, 60, 60], list(range(1, 65))])
    def test_every_sample_is_in_one_row_and_no_row_is_much_longer_than_the_longest(self, lengths):
        rows = packed_rows(lengths)
        assert sorted(sample for row in rows for sample in row) == list(range(len(lengths)))
        assert max(sum(lengths[sample] for sample in row) for row in rows) <= max(lengths) * 4 / 3

    def test_two_kinds_of_chats_waste_little(self):
        """As instruction data has them: a short closed question and a long conversation about each picture."""
        lengths = [59, 64, 69, 73] * 8 + [124, 147, 158, 175] * 8
        rows = packed_rows(lengths)
        width = max(sum(lengths[sample] for sample in row) for row in rows)
        assert len(rows) * width < 1.15 * sum(lengths) < 0.75 * len(lengths) * max(lengths)


class TestBatches:
    @pytest.mark.parametrize("multiple", [None, 16])
    def test_loss_and_gradients_are_those_of_padded_samples(self, processor, model, multiple):
        padded = EmoLlamaDataCollator(processor)(CHATS)
        packed = EmoLlamaDataCollator(processor, packing=True, pad_to_multiple_of=multiple)(CHATS)
        assert len(packed["input_ids"]) < len(CHATS) and "attention_mask" not in packed
        assert packed["input_ids"].shape[1] % (multiple or 1) == 0
        assert (packed["labels"] != -100).sum() == (padded["labels"] != -100).sum()
        loss, expected = gradients(model, padded)
        found_loss, found = gradients(model, packed)
        assert found_loss == pytest.approx(loss, abs=1e-5)
        assert found.keys() == expected.keys() and len(found) > 50
        for name, values in expected.items():
            assert torch.allclose(found[name], values, atol=1e-5), name

    def test_an_answer_is_read_behind_its_own_picture(self, processor, model):
        """Each sample's logits are those that it has alone: visuals went where their placeholders went."""
        collator = EmoLlamaDataCollator(processor)
        shown = [picture("sad", 1), clip(4), picture("happy", 2), clip(2), picture("neutral", 3)]
        chats = [sample(visual, "sad, " * (60 if place == 2 else 1)) for place, visual in enumerate(shown)]
        packed = EmoLlamaDataCollator(processor, packing=True)(chats)
        logits = model(**packed, use_cache=False).logits
        starts = (packed["position_ids"] == 0).nonzero().tolist()
        for place, chat in enumerate(chats):
            batch = collator([chat])
            expected, length = model(**batch).logits[0], batch["input_ids"].shape[1]
            found = [logits[row, start : start + length] for row, start in starts]
            close = [part.shape == expected.shape and torch.allclose(part, expected, atol=2e-5) for part in found]
            assert sum(close) == 1, place
        assert len(packed["input_ids"]) < len(chats)

    def test_logits_of_answers_only(self, processor, model):
        whole = EmoLlamaDataCollator(processor)(CHATS)
        short = EmoLlamaDataCollator(processor, answers_only=True)(CHATS)
        expected, outputs = model(**whole), model(**short)
        learned = (whole["labels"][:, 1:] != -100).nonzero(as_tuple=True)
        assert outputs.logits.shape == (len(learned[0]), model.config.text_config.vocab_size)
        assert torch.allclose(outputs.logits, expected.logits[learned], atol=1e-5)
        assert outputs.loss.item() == pytest.approx(expected.loss.item(), abs=1e-6)

    def test_labels_of_a_closed_set_are_compared_in_shared_rows_too(self, processor, model):
        sets = [tuple(EMOTIONS), ("happy", "sad", "contemptuous", "neutral")]
        chats = [
            {**chat, "emotion_labels": sets[place % 2] if chat["emotion"] else None}
            for place, chat in enumerate(CHATS)
        ]
        losses = []
        for settings in ({}, {"answers_only": True}, {"packing": True, "answers_only": True}):
            collator = EmoLlamaDataCollator(processor, label_sets=sets, **settings)
            loss = ClosedSetLoss(
                [answer_tokens(EmoLlamaDataCollator(processor), list(labels)) for labels in sets], 0.7
            )
            batch = collator(chats)
            label_sets, labels = batch.pop("label_sets"), batch.pop("labels")
            outputs = model(**batch, use_cache=False)
            losses.append(loss(outputs, labels, label_sets=label_sets, places=batch.get("logits_to_keep")).item())
        plain = model(**EmoLlamaDataCollator(processor)(chats)).loss.item()
        assert losses[1:] == pytest.approx(losses[:1] * 2, abs=1e-5) and losses[0] > plain + 0.01


SIZES = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "vocab_size": 99},
    **{"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": 0},
}


class TestWhatKeepsApart:
    @pytest.mark.parametrize(
        ("kind", "apart"),
        [("llama", True), ("qwen2", True), ("gpt2", True), ("gemma2", True), ("bloom", False), ("mamba", False)],
    )
    def test_language_models(self, kind, apart):
        """What counts positions by an attention mask, and what has a state, would mix what shares a row."""
        torch.manual_seed(0)
        model = AutoModel.from_config(AutoConfig.for_model(kind, **SIZES)).eval()
        assert keeps_apart(model) == apart

    @pytest.mark.parametrize("attention", ["eager", "sdpa"])
    def test_attentions(self, tiny, attention):
        model = AutoModelForImageTextToText.from_pretrained(tiny, attn_implementation=attention).eval()
        assert keeps_apart(model.model.language_model)


class TestRuns:
    def test_packing_learns_what_padding_learns(self, tiny, tmp_path):
        for name, packing in (("packed", True), ("padded", False)):
            trainer = training_run.run(
                tiny, tmp_path / name, {"max_steps": 3}, {"lora_dropout": 0.0, "packing": packing}
            )
            batch = next(iter(trainer.get_train_dataloader()))
            assert ("position_ids" in batch) == packing and "position_ids" not in next(
                iter(trainer.get_eval_dataloader())
            )
        keys = ("loss", "grad_norm", "eval_loss")
        packed, padded = history(tmp_path / "packed", *keys), history(tmp_path / "padded", *keys)
        assert [entry[:2] for entry in packed] == [entry[:2] for entry in padded] and len(packed) > 6
        assert [entry[2] for entry in packed] == pytest.approx([entry[2] for entry in padded], abs=1e-4)

    def test_label_smoothing_is_of_the_tokens_that_are_learned(self, tiny, tmp_path, processor, model):
        """The definition: the share of the loss that is the mean over all words."""
        settings = {"max_steps": 1, "closed_set_weight": 0.0, "class_balance": 0.0, "label_smoothing_factor": 0.25}
        trainer = training_run.run(tiny, tmp_path, {**settings, "learning_rate": 0.0}, {"lora_dropout": 0.0})
        order = list(trainer.train_sampler)[:4]
        batch = EmoLlamaDataCollator(processor)([face_samples(16)[place] for place in order])
        learned = (batch["labels"][:, 1:] != -100).nonzero(as_tuple=True)
        chances = model(**batch).logits[learned].log_softmax(-1)
        tokens = batch["labels"][learned[0], learned[1] + 1]
        expected = -0.75 * chances.gather(1, tokens[:, None]).mean() - 0.25 * chances.mean()
        assert history(tmp_path, "loss")[0][2] == pytest.approx(expected.item(), rel=1e-4)
