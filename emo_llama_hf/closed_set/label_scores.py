"""Probability of each label of a closed set, from the language model's likelihood of its words."""

import math
from collections.abc import Iterable, Sequence
from copy import deepcopy
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import Cache, PreTrainedModel

from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.prompts import Attributes
from ..processing.visual import Visual

if TYPE_CHECKING:
    from peft import PeftModel

TOKENS_AT_ONCE = 8192
"""Tokens, with those of the prompts, that a forward reads labels with: more labels take longer, but no more memory."""


class LabelScores(NamedTuple):
    """
    What [`label_scores`] gives.

    Args:
        scores (`torch.FloatTensor` of shape `(B, L)`): float32 on the CPU: each row sums to 1; calibrated as
            far as the processor's `label_temperature` does it.
        read_ids (`torch.LongTensor` of shape `(B, T)`):
            On the CPU, left-padded with 0: what was read of each prompt, at most all but its last token.
        cache (`Cache`): what the model keeps of it, from where `generate` may go on.
    """

    scores: torch.Tensor
    read_ids: torch.Tensor
    cache: Cache


@torch.inference_mode()
def label_scores(
    model: "PreTrainedModel | PeftModel",
    processor: EmoLlamaProcessor,
    prompts: list[str],
    visuals: list[list[Visual]],
    visual_embeds: list[torch.Tensor],
    labels: list[str],
    attributes: Sequence[Sequence[Attributes | None]],
) -> LabelScores:
    """
    How probable the model finds each label as the whole answer.

    Args:
        model ([`EmoLlamaForConditionalGeneration`]): or a PEFT model of one.
        processor ([`EmoLlamaProcessor`])
        prompts (`list[str]`): B rendered prompts that end where the answer begins.
        visuals (`list[list[Visual]]`): the visuals of each prompt.
        visual_embeds (`list[torch.Tensor]`): their visual tokens, (tokens, E) a prompt.
        labels (`list[str]`): L labels.
        attributes (`list[list[dict | None]]`): perceived attributes of each visual, written into the prompt.

    Returns:
        [`LabelScores`]
    """
    written, _ = processor.get_text_with_replacements(
        prompts,
        processor.replacements(
            [visual for row in visuals for visual in row], [values for row in attributes for values in row]
        ),
    )
    ends = [" " + processor.defuse(label) + processor.tokenizer.eos_token for label in labels]
    starts: list[int] = [len(row) for row in processor.tokenize(written)["input_ids"]]  # where each answer begins
    answers: list[list[list[int]]] = [
        processor.tokenize([prompt + end for end in ends])["input_ids"] for prompt in written
    ]
    # The prompt is read once, but for its last token, with which an answer of any kind goes on from the cache. A
    # tokenizer may join its end with an answer, so it goes as far as its answers agree.
    shared = [min(start - 1, _agreed(rows)) for start, rows in zip(starts, answers, strict=True)]
    prompt_ids, prompt_mask = _padded([rows[0][:n] for rows, n in zip(answers, shared, strict=True)], "left")
    read = model(
        input_ids=prompt_ids.to(model.device),
        attention_mask=prompt_mask.to(model.device),
        position_ids=(prompt_mask.cumsum(1) - 1).clamp(min=0).to(model.device),
        visual_embeds=torch.cat(visual_embeds) if any(visuals) else None,
        use_cache=True,
        logits_to_keep=1,
    )
    longest = max(len(row) for rows in answers for row in rows)
    at_once = max(1, TOKENS_AT_ONCE // (longest * len(prompts)))
    parts = []
    for first in range(0, len(labels), at_once):
        some = [rows[first : first + at_once] for rows in answers]
        count = len(some[0])
        ids, mask = _padded([row[n:] for rows, n in zip(some, shared, strict=True) for row in rows], "right")
        begins = torch.tensor(shared).repeat_interleave(count)[:, None]
        positions = begins + torch.arange(ids.shape[1])
        cache = deepcopy(read.past_key_values)  # reading changes it
        cache.batch_repeat_interleave(count)
        outputs = model(
            input_ids=ids[:, :-1].to(model.device),
            attention_mask=torch.cat([prompt_mask.repeat_interleave(count, 0), mask[:, :-1]], 1).to(model.device),
            position_ids=positions[:, :-1].to(model.device),
            past_key_values=cache,
            use_cache=True,
        )
        logits = torch.cat([read.logits.repeat_interleave(count, 0), outputs.logits], 1)
        likelihood = logits.float().log_softmax(-1).cpu().gather(-1, ids.unsqueeze(-1)).squeeze(-1)
        answered = mask * (positions >= torch.tensor(starts).repeat_interleave(count)[:, None])
        parts.append((likelihood * answered).sum(1).unflatten(0, (len(prompts), count)))
    total = torch.cat(parts, 1)
    return LabelScores((total / processor.label_temperature).softmax(-1), prompt_ids, read.past_key_values)


def check_finite(scores: Iterable[float], dtype: torch.dtype) -> None:
    """
    Raises:
        `FloatingPointError`: a score is no number, so the model has no answer to give.
    """
    if not all(map(math.isfinite, scores)):
        raise FloatingPointError(
            f"The scores of the labels are not finite: weights of type {dtype} overflow, or are damaged. Load them as "
            "float32, or get them again."
        )


def _agreed(rows: list[list[int]]) -> int:
    """How many tokens all rows begin with."""
    return sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, zip(*rows, strict=False)))


def _padded(rows: list[list[int]], side: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (B, T), padded on one side with 0, and their attention mask."""
    ids = [torch.tensor(row) for row in rows]
    mask = [torch.ones_like(row) for row in ids]
    return pad_sequence(ids, True, padding_side=side), pad_sequence(mask, True, padding_side=side)
