"""Visual tokens: what of a frame the language model reads."""

import torch
from torch import nn

from .configuration_emo_llama import EmoLlamaConfig


class EmoLlamaVisualTokens(nn.Module):
    """
    One *context* token (what the question asks about) and the *content* tokens (what is there anyway) of each frame:
    LLaMA-VID's token generation (arXiv 2311.17043, section 3.2; llamavid/model/llamavid_arch.py).

    Args:
        config ([`EmoLlamaConfig`])
    """

    def __init__(self, config: EmoLlamaConfig):
        super().__init__()
        vision, text = config.vision_config.hidden_size, config.text_config.hidden_size
        self.grid_size = config.grid_size
        self.query_projection = nn.Linear(config.qformer_config.hidden_size, vision)
        self.key_projection = nn.Linear(vision, vision)
        self.value_projection = nn.Linear(vision, text)
        layers: list[nn.Module] = [nn.Linear(vision, text)]
        for _ in range(1, config.projector_depth):
            layers += [nn.GELU(), nn.Linear(text, text)]
        self.projector = nn.Sequential(*layers)

    def forward(self, features: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """
        Args:
            features (`torch.FloatTensor` of shape `(F, N, D)`): patch features, without CLS.
            queries (`torch.FloatTensor` of shape `(F, Q, H)`): what the Q-Former made of its queries.

        Returns:
            `torch.FloatTensor` of shape `(F, 1 + content, E)`: context token first.
        """
        scores = self.query_projection(queries) @ self.key_projection(features).transpose(1, 2)  # F, Q, N
        attention = (scores / features.shape[-1] ** 0.5).softmax(-1)
        context = self.value_projection((attention @ features).mean(1, keepdim=True))
        return torch.cat([context, self.projector(self._content(features))], dim=1)

    def _content(self, features: torch.Tensor) -> torch.Tensor:
        """Patch features (F, N, D) averaged to (F, content, D)."""
        if self.grid_size is None:
            return features.mean(1, keepdim=True)
        side = int(features.shape[1] ** 0.5)
        pooled = nn.functional.avg_pool2d(
            torch.unflatten(features.transpose(1, 2), 2, (side, side)), kernel_size=side // self.grid_size
        )
        return pooled.flatten(2).transpose(1, 2)


__all__ = ["EmoLlamaVisualTokens"]
