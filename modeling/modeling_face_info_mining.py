"""Face Info Mining: frame features look at the face prior, globally and locally."""

import torch
from torch import nn
from transformers.models.sam.modeling_sam import SamAttention

from .configuration_emo_llama import EmoLlamaConfig
from .modeling_face_prior import EmoLlamaFourierPosition, cell_centres


class EmoLlamaGatedFaceAttention(nn.Module):
    """
    Frame features attend to face features; the result is added through a gate that starts at zero.

    Args:
        config ([`EmoLlamaConfig`]): with a `face_config`.
    """

    def __init__(self, config: EmoLlamaConfig):
        super().__init__()
        vision, face = config.vision_config.hidden_size, config.face_config.decoder_config
        self.norm = nn.LayerNorm(vision, eps=config.vision_config.layer_norm_eps)
        self.query = nn.Linear(vision, face.hidden_size)
        self.attention = SamAttention(face, downsample_rate=1)
        self.output = nn.Linear(face.hidden_size, vision)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, features: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """
        Args:
            features (`torch.FloatTensor` of shape `(F, N, D)`): patch features of each frame.
            keys, values (`torch.FloatTensor` of shape `(F, M, C)`): the face features that they attend to.

        Returns:
            `torch.FloatTensor` of shape `(F, N, D)`: what to add to the features.
        """
        query = self.query(self.norm(features)).unsqueeze(1)  # F, 1, N, C
        attended, _ = self.attention(query=query, key=keys.unsqueeze(1), value=values.unsqueeze(1))
        update: torch.Tensor = self.gate.tanh() * self.output(attended.squeeze(1))
        return update


class EmoLlamaFaceInfoMining(nn.Module):
    """
    Face Info Mining (EMO-LLaMA, section "Face Info Mining"; global and local are the paper's, the rest is ours).
    *Global*: frame features attend to the face embedding map. *Local*: they attend to landmark tokens, the map
    sampled at each landmark plus where and which landmark it is. With both gates at zero the features do not change.

    Args:
        config ([`EmoLlamaConfig`]): with a `face_config`; its `face_info_mining` may leave one of the two out.
    """

    def __init__(self, config: EmoLlamaConfig):
        super().__init__()
        width = config.face_config.hidden_size
        self.norm = nn.LayerNorm(width)
        self.position = EmoLlamaFourierPosition(width)
        self.global_attention: EmoLlamaGatedFaceAttention | None = None
        self.local_attention: EmoLlamaGatedFaceAttention | None = None
        if "local" in config.mined:
            self.landmark_embedding = nn.Embedding(config.face_config.num_landmarks, width)
        if "global" in config.mined:
            self.global_attention = EmoLlamaGatedFaceAttention(config)
        if "local" in config.mined:
            self.local_attention = EmoLlamaGatedFaceAttention(config)

    def forward(
        self, features: torch.Tensor, face_map: torch.Tensor, landmarks: torch.Tensor, face_mask: torch.Tensor
    ) -> torch.Tensor:
        """
        Args:
            features (`torch.FloatTensor` of shape `(F, N, D)`): patch features of each frame.
            face_map (`torch.FloatTensor` of shape `(F, C, h, w)`): face embedding map of each frame's crop.
            landmarks (`torch.FloatTensor` of shape `(F, L, 2)`): x, y of its landmarks, in [-1, 1].
            face_mask (`torch.BoolTensor` of shape `(F,)`): frames without a face stay as they are.

        Returns:
            `torch.FloatTensor` of shape `(F, N, D)`: the features and what they found in the face.
        """
        update = torch.zeros_like(features)
        if self.global_attention is not None:
            pixels = self.norm(face_map.flatten(2).transpose(1, 2))  # F, h*w, C
            grid = self.position(cell_centres(face_map)).flatten(0, 1)  # h*w, C
            update = update + self.global_attention(features, keys=pixels + grid, values=pixels)
        if self.local_attention is not None:
            tokens = self._landmark_tokens(face_map, landmarks)
            update = update + self.local_attention(features, keys=tokens, values=tokens)
        return features + update.masked_fill(~face_mask[:, None, None], 0)

    def _landmark_tokens(self, face_map: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
        """The map (F, C, h, w) at the landmarks (F, L, 2), with where and which they are: (F, L, C)."""
        # In float32: on a CPU, torch's grid_sample reads garbage from a half precision map in channels_last.
        sampled = nn.functional.grid_sample(
            face_map.float(), landmarks.float().unsqueeze(1), padding_mode="border", align_corners=False
        ).to(face_map.dtype)
        numbers = torch.arange(landmarks.shape[1], device=landmarks.device)
        where = self.position(landmarks) + self.landmark_embedding(numbers)
        tokens: torch.Tensor = self.norm(sampled.squeeze(2).transpose(1, 2)) + where
        return tokens


__all__ = ["EmoLlamaFaceInfoMining", "EmoLlamaGatedFaceAttention"]
