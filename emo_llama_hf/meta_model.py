"""A model without weights."""

import torch

from .modeling.configuration_emo_llama import EmoLlamaConfig
from .modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration


def meta_model(config: EmoLlamaConfig) -> EmoLlamaForConditionalGeneration:
    """
    A model on the meta device, which takes no memory and knows the names and shapes of the weights that it needs.

    Args:
        config ([`EmoLlamaConfig`]): its configuration.
    """
    with torch.device("meta"):
        return EmoLlamaForConditionalGeneration(config)
