"""The row of the placeholder in the vocabulary: originals have none, so it is added, and left out on the way back."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from ..modeling.configuration_emo_llama import EmoLlamaConfig
from .plan import Plan, PlannedTensor

TABLES = ("model.language_model.embed_tokens.weight", "lm_head.weight")


def with_placeholder_row(plan: Plan, rows: int) -> Plan:
    """
    The plan with tables of the vocabulary that have a row of zeros for the placeholder.

    Args:
        plan (`Plan`): of a model.
        rows (`int`): tokens of its language model; tables that have one less get it.
    """
    return plan | {
        name: replace(plan[name], shape=(rows, *plan[name].shape[1:]), make=partial(_with_row, plan[name].make))
        for name in TABLES
        if name in plan and plan[name].shape[0] == rows - 1
    }


def without_placeholder_row(tensor: PlannedTensor, rows: int) -> PlannedTensor:
    """
    A table of the vocabulary as the original has it.

    Args:
        tensor (`PlannedTensor`): the table.
        rows (`int`): tokens of the original; further rows are left out.
    """
    shape = (min(rows, tensor.shape[0]), *tensor.shape[1:])
    return replace(tensor, shape=shape, make=lambda table: table[:rows])


def original_vocabulary(config: EmoLlamaConfig) -> int:
    """
    Tokens that a model has rows for besides a placeholder that comes after them all.

    Args:
        config ([`EmoLlamaConfig`]): the model's.
    """
    rows: int = config.text_config.vocab_size
    return rows - 1 if config.image_token_id == rows - 1 else rows


def _with_row(make: Callable[..., torch.Tensor] | None, *tensors: torch.Tensor) -> torch.Tensor:
    return nn.functional.pad(tensors[0] if make is None else make(*tensors), (0, 0, 0, 1))
