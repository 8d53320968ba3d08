"""The placeholder's row in the vocabulary: files of earlier versions have none, and get it while they are loaded."""

import re
from typing import Any

import torch
from torch import nn
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import ConversionOps, WeightConverter

PLACEHOLDER_LOGIT = -1e4
"""No answer has the placeholder in it: the probability of this is 0 in every type, and the loss stays finite."""

# Where language models of transformers keep their embeddings; and the head.
TABLES = ("embed_tokens", "decoder.embed_tokens", "wte", "embed_in", "word_embeddings")
PATTERN = f"({'|'.join([*(re.escape(f'language_model.{table}') for table in TABLES), 'lm_head'])}).weight"


class AddPlaceholderRow(ConversionOps):
    """Gives a table of the vocabulary that ends right before the placeholder a row of zeros for it."""

    def convert(
        self, input_dict: dict[str, Any], *args: Any, full_layer_name: str = "", config: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """The table by its name; one of another length stays as it is, so that the loader can refuse it."""
        (tensors,) = input_dict.values()
        table: torch.Tensor = tensors[0] if isinstance(tensors, list) else tensors
        if table.ndim == 2 and len(table) == config.image_token_id == config.text_config.vocab_size - 1:
            table = nn.functional.pad(table, (0, 0, 0, 1))
        return {full_layer_name: table}

    @property
    def reverse_op(self) -> ConversionOps:
        """Tables are saved with the row."""
        return self


def load_tables_without_placeholder(model_type: str) -> None:
    """
    Let `from_pretrained` take files whose vocabulary has no row for the placeholder.

    Args:
        model_type (`str`): whose files.
    """
    converter = WeightConverter(PATTERN, PATTERN, [AddPlaceholderRow()])
    register_checkpoint_conversion_mapping(model_type, [converter], overwrite=True)
