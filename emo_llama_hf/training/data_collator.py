"""Batches of chats for training: the loss is on what the assistant says."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers.utils.chat_template_utils import render_jinja_template

from ..chat_message import ChatMessage
from ..data.sample import Sample
from ..data.samples import attributes_of, load_visuals
from ..input_error import InputError
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.prompts import defuse_chat
from ..processing.visual import Visual
from .feature_cache import FeatureCache
from .learned_places import IGNORED, learned_places
from .packing import pack, packed_rows
from .seen_visual import SeenVisual


@dataclass
class EmoLlamaDataCollator:
    """
    Samples to model inputs with `labels`: pictures, clips and text in any mix.

    Visual inputs have one row a *frame*, not a sample: with a stock `Trainer` set `remove_unused_columns=False` (the
    samples' keys are no model inputs) and leave accelerate's `dispatch_batches` off, which would cut batches by rows.

    Args:
        processor ([`EmoLlamaProcessor`]): its chat template must mark answers with `{% generation %}`.
        max_length (`int`, *optional*): longer samples are cut at the end; never inside what comes before the answer.
        pad_to_multiple_of (`int`, *optional*): for tensor cores, 8 or 64.
        use_faces (`bool`, *optional*, defaults to `True`): off for a model without a face prior.
        feature_cache ([`FeatureCache`], *optional*): gives features instead of pixels.
        label_sets (`list[tuple[str, ...]]`, *optional*):
            What [`ClosedSetLoss`] compares: batches then have `label_sets` (B, T), for each token the place of its
            sample's set in this list, which [`EmoLlamaTrainer`] takes out again.
        answers_only (`bool`, *optional*, defaults to `False`):
            Batches have `logits_to_keep` (2, K), see [`learned_places`]: the model then gives logits (K, vocabulary)
            of what is learned only.
        packing (`bool`, *optional*, defaults to `False`):
            Samples share rows, for a language model that [`keeps_apart`] what they say: batches then have fewer rows
            than samples, and `position_ids` in place of `attention_mask`.
    """

    processor: EmoLlamaProcessor
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    use_faces: bool = True
    feature_cache: FeatureCache | None = None
    label_sets: list[tuple[str, ...]] | None = None
    answers_only: bool = False
    packing: bool = False

    def __call__(self, samples: list[Sample]) -> dict[str, torch.Tensor]:
        """
        One batch.

        Args:
            samples (`list[Sample]`): B samples with an answer each.

        Returns:
            `dict`: `input_ids`, `attention_mask`, `labels` (B, T), padded on the right, and what the settings say;
            where a sample shows something, the visual inputs of the processor.

        Raises:
            `InputError`: a sample has no answer to learn, or `max_length` leaves none of it.
        """
        loaded = [load_visuals(self.processor, sample) for sample in samples]
        tokens, questions = self._read(samples, loaded)
        if self.max_length is not None:
            tokens = self._cut(tokens)
        for row, values in enumerate(tokens["labels"][:, 1:]):
            if not (values != IGNORED).any():
                raise InputError(
                    f"Sample {row} of the batch has no assistant's answer to learn: {samples[row]['messages']}"
                    + (f" (`max_length={self.max_length}` may have cut it off)" if self.max_length else "")
                )
        if self.label_sets is not None:
            own = [tuple(sample.get("emotion_labels") or ()) for sample in samples]
            places = [self.label_sets.index(labels) if labels in self.label_sets else IGNORED for labels in own]
            tokens["label_sets"] = torch.tensor(places)[:, None].expand_as(tokens["labels"])
        if self.packing:
            rows = packed_rows(tokens["attention_mask"].sum(1).tolist())
            tokens = pack(tokens, rows, self.processor.tokenizer.pad_token_id, self.pad_to_multiple_of or 1)
            # Visuals come in the order of their placeholders.
            shown = torch.arange(sum(map(len, loaded))).split([len(row) for row in loaded])
            order = [sample for row in rows for sample in row]
            visuals = torch.cat([shown[sample] for sample in order])
            questions = {name: values[visuals] for name, values in questions.items()}
            loaded = [loaded[sample] for sample in order]
        if self.answers_only:
            tokens["logits_to_keep"] = learned_places(tokens["labels"])
        return {**tokens, **questions, **self.visual_inputs([visual for row in loaded for visual in row])}

    def _read(
        self, samples: list[Sample], loaded: list[list[Visual]]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Tokens of samples with labels (B, T), and of the question that guides each visual (V, L)."""
        chats = [sample["messages"] for sample in samples]
        texts, answers = self.render(chats)
        written = [
            values
            for sample, row in zip(samples, loaded, strict=True)
            for values in attributes_of(self.processor, sample, len(row))
        ]
        lists = self.processor.text_inputs(
            texts,
            [visual for row in loaded for visual in row],
            questions=[question for chat in chats for question in self.processor.prompt.questions_of(chat)],
            attributes=written,
            padding=True,
            padding_side="right",
            pad_to_multiple_of=self.pad_to_multiple_of,
            return_offsets_mapping=True,
            return_text_replacement_offsets=True,
        )
        replaced = lists.pop("text_replacement_offsets")
        # transformers' way to tensors looks at each number of nested lists in Python.
        tokens = {name: torch.tensor(rows) for name, rows in lists.items()}
        offsets = tokens.pop("offset_mapping")  # B, T, 2
        tokens["labels"] = torch.full_like(tokens["input_ids"], IGNORED)
        for row, spans in enumerate(answers):
            for start, end in moved(spans, replaced[row] if replaced else []):
                inside = (offsets[row, :, 0] >= start) & (offsets[row, :, 1] <= end)
                inside &= tokens["attention_mask"][row].bool()  # padding has the offsets (0, 0)
                tokens["labels"][row][inside] = tokens["input_ids"][row][inside]
        tokens["labels"][:, 0] = IGNORED  # nothing stands before it
        questions = {name: tokens.pop(name) for name in list(tokens) if name.startswith("qformer_")}
        return tokens, questions

    def render(self, conversations: list[list[ChatMessage]]) -> tuple[list[str], list[list[tuple[int, int]]]]:
        """
        Texts of chats, before visual tokens are written in, and the characters that the assistant says.

        Args:
            conversations (`list[list[dict]]`): chat messages.

        Returns:
            `tuple[list[str], list[list[tuple[int, int]]]]`: of each chat its text and spans of characters.

        Raises:
            `InputError`: no chat has an answer, or the chat template does not mark it.
        """
        processor = self.processor
        texts, spans = render_jinja_template(
            defuse_chat([list(map(_without_sources, chat)) for chat in conversations], processor.defuse),
            chat_template=processor.chat_template,
            return_assistant_tokens_mask=True,
            **processor.tokenizer.special_tokens_map,
        )
        if not any(spans):
            raise InputError(
                "No answer was found: the chats need assistant turns, and `processor.chat_template` must put what the "
                "assistant says, with the end of the turn, between {% generation %} and {% endgeneration %}."
            )
        return list(texts), spans

    def visual_inputs(self, visuals: list[Visual]) -> dict[str, torch.Tensor]:
        """
        Tensors of visuals, with cached features where there is a cache.

        Args:
            visuals (`list[Visual]`): with their faces; none give no tensors.
        """
        if not visuals:
            return {}
        cache = self.feature_cache
        if cache is None:
            return self._pixels(visuals)
        rows = [
            _seen(cache, visual) if isinstance(visual, SeenVisual) else cache.features(self._pixels([visual]))
            for visual in visuals
        ]
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    def _pixels(self, visuals: list[Visual]) -> dict[str, torch.Tensor]:
        inputs = self.processor.visual_inputs(visuals, return_tensors="pt")
        return {
            name: torch.as_tensor(value)
            for name, value in inputs.items()
            if self.use_faces or not name.startswith("face_")
        }

    def _cut(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        lost = batch["input_ids"][:, self.max_length :] == self.processor.image_token_id
        if lost.any():
            raise InputError(
                f"`max_length={self.max_length}` cuts off visual tokens: allow more tokens, or show fewer frames."
            )
        return {name: value[:, : self.max_length] for name, value in batch.items()}


def moved(spans: list[tuple[int, int]], replacements: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """
    Spans of characters after placeholders before them were replaced; an answer never holds a placeholder.

    Args:
        spans (`list[tuple[int, int]]`): where each begins and ends.
        replacements (`list[dict]`): in order, with the characters `span` that became `new_span`.
    """

    def position(at: int) -> int:
        for replacement in reversed(replacements):
            if replacement["span"][1] <= at:
                return int(at - replacement["span"][1] + replacement["new_span"][1])
        return at

    return [(position(start), position(end)) for start, end in spans]


def _seen(cache: FeatureCache, visual: SeenVisual) -> dict[str, torch.Tensor]:
    inputs = {**cache.load(visual.key), "frame_counts": torch.tensor([len(visual.frames)])}
    return inputs if visual.face_mask is None else {**inputs, "face_mask": torch.tensor(visual.face_mask)}


def _without_sources(message: ChatMessage) -> ChatMessage:
    """A message as the template needs it."""
    content = message["content"]
    if isinstance(content, str):
        return message
    return {**message, "content": [part if part["type"] == "text" else {"type": part["type"]} for part in content]}
