"""The loss of answers, and an auxiliary loss that compares the labels of a closed set with each other."""

from itertools import pairwise

import torch
from torch import nn
from transformers.loss.loss_utils import ForCausalLMLoss
from transformers.utils import ModelOutput

from ..data.sample import Sample
from ..input_error import InputError
from .data_collator import EmoLlamaDataCollator
from .learned_places import IGNORED, learned_places, learned_tokens


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
        places: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """
        The loss of one batch.

        Args:
            outputs (`ModelOutput`): of the model, with `logits` (B, T, vocabulary), or (K, vocabulary) at `places`.
            labels (`torch.LongTensor` of shape `(B, T)`)
            num_items_in_batch (`torch.LongTensor` or `int`, *optional*):
                Label tokens of all accumulated batches on all processes.
            label_sets (`torch.LongTensor` of shape `(B, T)`, *optional*): see [`~ClosedSetLoss.closed_set_sum`].
            places (`torch.LongTensor` of shape `(2, K)`, *optional*):
                Those of [`learned_places`], where the model was asked for no other logits.
        """
        logits = outputs.logits
        if places is None:
            places = learned_places(labels)
            logits = logits[places[0], places[1]]
        tokens = learned_tokens(labels, places)
        loss: torch.Tensor = ForCausalLMLoss(
            logits, None, logits.shape[-1], num_items_in_batch=num_items_in_batch, shift_labels=tokens
        )
        count = len(tokens) if num_items_in_batch is None else num_items_in_batch
        return loss + self.weight * self._sum(logits, tokens, places, label_sets) / count

    def closed_set_sum(
        self, logits: torch.Tensor, labels: torch.Tensor, label_sets: torch.Tensor | None = None
    ) -> torch.Tensor:
        """
        Sum of the cross-entropies between labels over all answers of the batch that are one.

        Args:
            logits (`torch.FloatTensor` of shape `(B, T, vocabulary)`)
            labels (`torch.LongTensor` of shape `(B, T)`)
            label_sets (`torch.LongTensor` of shape `(B, T)`, *optional*):
                Place of each token's label set, or `IGNORED` for one without; the first by default.
        """
        places = learned_places(labels)
        return self._sum(logits[places[0], places[1]], learned_tokens(labels, places), places, label_sets)

    def _sum(
        self, logits: torch.Tensor, tokens: torch.Tensor, places: torch.Tensor, label_sets: torch.Tensor | None
    ) -> torch.Tensor:
        """The sum, of logits (K, vocabulary) and the tokens (K,) that they predict."""
        total = logits.new_zeros((), dtype=torch.float32)
        sets = [0] * len(tokens) if label_sets is None else label_sets[places[0], places[1]].tolist()
        for turn in _turns(places):
            if sets[turn.start] == IGNORED:
                continue
            answers, next_tokens = self.answer_sets[sets[turn.start]], self.next_tokens[sets[turn.start]]
            said = tokens[turn].tolist()
            answer: list[int] = next((answer for answer in answers if said[: len(answer)] == answer), [])
            for length in range(len(answer)):
                choices = next_tokens[tuple(answer[:length])]
                if len(choices) > 1:
                    chosen = logits[turn.start + length, choices].float()
                    total = total + nn.functional.cross_entropy(
                        chosen, torch.tensor(choices.index(answer[length]), device=chosen.device)
                    )
        return total


def _turns(places: torch.Tensor) -> list[slice]:
    """Runs of places that follow each other in a row: what the assistant says in one turn."""
    if not places.shape[1]:
        return []
    steps = places.diff(dim=1)
    begins = ((steps[0] != 0) | (steps[1] != 1)).nonzero().flatten() + 1
    bounds = [0, *begins.tolist(), places.shape[1]]
    return [slice(start, end) for start, end in pairwise(bounds)]


def _next_tokens(answers: list[list[int]]) -> dict[tuple[int, ...], list[int]]:
    """The trie of a label set: what may follow each beginning of an answer."""
    next_tokens: dict[tuple[int, ...], list[int]] = {}
    for answer in answers:
        for length, token in enumerate(answer):
            choices = next_tokens.setdefault(tuple(answer[:length]), [])
            if token not in choices:
                choices.append(token)
    return next_tokens
