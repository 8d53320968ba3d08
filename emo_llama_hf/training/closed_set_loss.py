"""The loss of answers, and an auxiliary loss that compares the labels of a closed set with each other."""

import torch
from torch import nn
from transformers.loss.loss_utils import ForCausalLMLoss
from transformers.utils import ModelOutput

from ..data.sample import Sample
from ..input_error import InputError
from .data_collator import IGNORED, EmoLlamaDataCollator


def answer_tokens(collator: EmoLlamaDataCollator, labels: list[str]) -> list[list[int]]:
    """
    The tokens of each label as the assistant's whole answer, with the end of the turn.

    Args:
        collator ([`EmoLlamaDataCollator`])
        labels (`list[str]`): the label set.
    """
    chats: list[Sample] = [
        {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": label}]} for label in labels
    ]
    return [row[row != IGNORED].tolist() for row in collator(chats)["labels"]]


class ClosedSetLoss:
    """
    `compute_loss_func` of a `Trainer`: next-token loss, and for each answer that is a label the cross-entropy between
    the labels of its set. It looks at the logits of those words only that may still become a label (a trie of the
    labels' tokens), so it does not matter how probable any other word is.

    Args:
        answer_sets (`list[list[list[int]]]`): of each label set the tokens of each label, from [`answer_tokens`].
        weight (`float`): how much one label's cross-entropy counts, compared with one token's.

    Raises:
        `InputError`: a negative `weight`.
    """

    def __init__(self, answer_sets: list[list[list[int]]], weight: float) -> None:
        if weight < 0:
            raise InputError(f"`weight` must not be negative, got {weight}.")
        self.answer_sets = answer_sets
        self.weight = weight
        self.next_tokens = [_next_tokens(answers) for answers in answer_sets]

    def __call__(
        self,
        outputs: ModelOutput,
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
        label_sets: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """
        The loss of one batch.

        Args:
            outputs (`ModelOutput`): of the model, with `logits` (B, T, vocabulary).
            labels (`torch.LongTensor` of shape `(B, T)`)
            num_items_in_batch (`torch.LongTensor` or `int`, *optional*):
                Label tokens of all accumulated batches on all processes.
            label_sets (`torch.LongTensor` of shape `(B,)`, *optional*): see [`~ClosedSetLoss.closed_set_sum`].
        """
        logits = outputs.logits
        loss: torch.Tensor = ForCausalLMLoss(logits, labels, logits.shape[-1], num_items_in_batch=num_items_in_batch)
        count = (labels[:, 1:] != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return loss + self.weight * self.closed_set_sum(logits, labels, label_sets) / count

    def closed_set_sum(
        self, logits: torch.Tensor, labels: torch.Tensor, label_sets: torch.Tensor | None = None
    ) -> torch.Tensor:
        """
        Sum of the cross-entropies between labels over all answers of the batch that are one.

        Args:
            logits (`torch.FloatTensor` of shape `(B, T, vocabulary)`)
            labels (`torch.LongTensor` of shape `(B, T)`)
            label_sets (`torch.LongTensor` of shape `(B,)`, *optional*):
                Place of each row's label set, or `IGNORED` for a row without one; the first by default.
        """
        total = logits.new_zeros((), dtype=torch.float32)
        places = [0] * len(labels) if label_sets is None else label_sets.tolist()
        for row, (tokens, place) in enumerate(zip(labels.tolist(), places, strict=True)):
            if place == IGNORED:
                continue
            answers, next_tokens = self.answer_sets[place], self.next_tokens[place]
            for start in [at for at in range(1, len(tokens)) if tokens[at] != IGNORED and tokens[at - 1] == IGNORED]:
                answer: list[int] = next((a for a in answers if tokens[start : start + len(a)] == a), [])
                for length in range(len(answer)):
                    choices = next_tokens[tuple(answer[:length])]
                    if len(choices) > 1:
                        chosen = logits[row, start + length - 1, choices].float()
                        total = total + nn.functional.cross_entropy(
                            chosen, torch.tensor(choices.index(answer[length]), device=chosen.device)
                        )
        return total


def _next_tokens(answers: list[list[int]]) -> dict[tuple[int, ...], list[int]]:
    """The trie of a label set: what may follow each beginning of an answer."""
    next_tokens: dict[tuple[int, ...], list[int]] = {}
    for answer in answers:
        for length, token in enumerate(answer):
            choices = next_tokens.setdefault(tuple(answer[:length]), [])
            if token not in choices:
                choices.append(token)
    return next_tokens
