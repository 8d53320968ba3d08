"""Watches the rows of a batch while `generate` writes them, and ends each on its own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import StoppingCriteria

from .answer_row import AnswerRow


class RowWatch(StoppingCriteria):
    """
    Stands between `generate` and the rows, in place of a streamer, which knows one row only.

    Args:
        rows (`Sequence[AnswerRow]`): of the batch, in order.
        padding (`int`, *optional*): token on the left of shorter prompts.
        is_wanted (`Callable[[AnswerRow], bool]`): whether somebody still waits for a row.
    """

    def __init__(self, rows: Sequence[AnswerRow], padding: int | None, is_wanted: Callable[[AnswerRow], bool]) -> None:
        self._rows, self._padding, self._is_wanted = rows, padding, is_wanted
        self._has_read = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """
        Called after each token.

        Args:
            input_ids (`torch.LongTensor` of shape `(rows, tokens)`): prompts, padded on the left, and answers so far.
            scores (`torch.Tensor`): not looked at.

        Returns:
            `torch.BoolTensor` of shape `(rows,)`: which rows have ended.
        """
        if not self._has_read:
            for row, prompt in zip(self._rows, input_ids[:, :-1].tolist(), strict=True):
                row.prompt_tokens = len(prompt) - next(
                    (at for at, token in enumerate(prompt) if token != self._padding), len(prompt)
                )
            self._has_read = True
        for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
            if self._is_wanted(row):
                row.add(token)
        ended = [row.finish_reason is not None or not self._is_wanted(row) for row in self._rows]
        return torch.tensor(ended, device=input_ids.device)
