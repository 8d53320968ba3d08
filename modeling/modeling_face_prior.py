"""The face prior: FaceXFormer composed from transformers' modules."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from transformers import AutoBackbone, PreTrainedModel
from transformers import initialization as init
from transformers.models.sam.modeling_sam import (
    SamAttention,
    SamFeedForward,
    SamLayerNorm,
    SamTwoWayAttentionBlock,
    SamTwoWayTransformer,
)
from transformers.processing_utils import Unpack
from transformers.utils import ModelOutput, TransformersKwargs
from transformers.utils.output_capturing import OutputRecorder, capture_outputs

from .configuration_emo_llama import EmoLlamaFaceConfig


@dataclass
class EmoLlamaFacePriorOutput(ModelOutput):
    """
    What [`EmoLlamaFacePriorModel`] gives. A task that is not among the configuration's `tasks` has no output.

    Args:
        face_map (`torch.FloatTensor` of shape `(F, C, h/4, w/4)`): the fused face embedding map.
        task_tokens (`torch.FloatTensor` of shape `(F, heads + parsing classes, C)`): the decoder's task tokens.
        landmarks (`torch.FloatTensor` of shape `(F, L, 2)`):
            x, y of each landmark, -1 and 1 being the outer borders of the crop.
        head_pose (`torch.FloatTensor` of shape `(F, 3)`): pitch, yaw, roll in radians.
        attribute_logits (`torch.FloatTensor` of shape `(F, attributes)`): one logit an attribute.
        visibility_logits (`torch.FloatTensor` of shape `(F, num_visibility)`): one logit a landmark.
        age_logits, gender_logits, race_logits (`torch.FloatTensor` of shape `(F, classes)`).
        parsing_logits (`torch.FloatTensor` of shape `(F, parsing classes, h, w)`, *optional*): with `output_parsing`.
        hidden_states (`tuple(torch.FloatTensor)` of shapes `(F, 1, tokens, C)`, *optional*):
            With `output_hidden_states=True`, the task tokens after each block of the decoder.
        attentions (`tuple(torch.FloatTensor)` of shapes `(F, heads, tokens, tokens)`, *optional*):
            With `output_attentions=True`, how the task tokens attend to each other in each block.
        cross_attentions (`tuple(torch.FloatTensor)` of shapes `(F, heads, tokens, h/4 * w/4)`, *optional*):
            With `output_attentions=True`, where in the face map the task tokens look, in each block and at the end.
            Like all attention weights, only `"eager"` attention gives them.
    """

    face_map: torch.Tensor | None = None
    task_tokens: torch.Tensor | None = None
    landmarks: torch.Tensor | None = None
    head_pose: torch.Tensor | None = None
    attribute_logits: torch.Tensor | None = None
    visibility_logits: torch.Tensor | None = None
    age_logits: torch.Tensor | None = None
    gender_logits: torch.Tensor | None = None
    race_logits: torch.Tensor | None = None
    parsing_logits: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None
    cross_attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class EmoLlamaFaceAnalysis(ModelOutput):
    """
    What the face prior perceives in face crops, as numbers for people; `None` for what it was not trained to perceive.

    Args:
        landmarks (`torch.FloatTensor` of shape `(F, L, 2)`): x, y in [0, 1] of the crop's width and height.
        head_pose (`torch.FloatTensor` of shape `(F, 3)`): pitch, yaw, roll in radians.
        attributes (`torch.FloatTensor` of shape `(F, attributes)`): probability of each attribute.
        visibility (`torch.FloatTensor` of shape `(F, num_visibility)`): probability that a landmark is visible.
        age, gender, race (`torch.FloatTensor` of shape `(F, classes)`): probability of each *perceived* class.
    """

    landmarks: torch.Tensor | None = None
    head_pose: torch.Tensor | None = None
    attributes: torch.Tensor | None = None
    visibility: torch.Tensor | None = None
    age: torch.Tensor | None = None
    gender: torch.Tensor | None = None
    race: torch.Tensor | None = None


class EmoLlamaFourierPosition(nn.Module):
    """
    Random Fourier features of points; `frequencies` (2, C/2) are fixed weights.

    Args:
        channels (`int`): C, the number of features.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.frequencies = nn.Parameter(torch.randn(2, channels // 2), requires_grad=False)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Points (..., 2) in [-1, 1] to features (..., C); in float32, since the phases are large."""
        phase = 2 * torch.pi * (points.float() @ self.frequencies.float())
        return torch.cat([phase.sin(), phase.cos()], dim=-1).to(self.frequencies.dtype)


def cell_centres(face_map: torch.Tensor) -> torch.Tensor:
    """Points (h, w, 2) in [-1, 1] of the cell centres of a map (F, C, h, w), in float32."""
    height, width = face_map.shape[-2:]
    y = (torch.arange(height, device=face_map.device) + 0.5) / height * 2 - 1
    x = (torch.arange(width, device=face_map.device) + 0.5) / width * 2 - 1
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


class EmoLlamaFacePriorModel(PreTrainedModel):
    """
    Facial analysis network (FaceXFormer, arXiv 2403.12960; network/models/facexformer.py): a backbone's four feature
    maps are projected, resized to the finest and fused; task tokens and the fused map attend to each other; every
    token has a head.

    Args:
        config ([`EmoLlamaFaceConfig`])

    Raises:
        `ValueError`: `config.backbone_config` does not give four feature maps.
    """

    config_class = EmoLlamaFaceConfig
    base_model_prefix = "face_prior"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _no_split_modules = ["SamTwoWayAttentionBlock"]
    _can_record_outputs = {
        "hidden_states": OutputRecorder(SamTwoWayAttentionBlock, index=0, capture_initial_hidden_state=False),
        "attentions": OutputRecorder(SamAttention, index=1, layer_name="self_attn"),
        "cross_attentions": [
            OutputRecorder(SamAttention, index=1, layer_name="cross_attn_token_to_image"),
            OutputRecorder(SamAttention, index=1, layer_name="final_attn_token_to_image"),
        ],
    }

    def __init__(self, config: EmoLlamaFaceConfig):
        super().__init__(config)
        # The decoder is no PreTrainedModel, so nobody else tells it which attention to use.
        config.decoder_config._attn_implementation = config._attn_implementation
        width = config.hidden_size
        # The attention asked of the whole model ("flash_attention_2", say) not every backbone has: it takes its best.
        attention = "eager" if config._attn_implementation == "eager" else None
        self.backbone = AutoBackbone.from_config(config.backbone_config, attn_implementation=attention)
        if len(self.backbone.channels) != 4:
            raise ValueError(
                f"`backbone_config` must give four feature maps (`out_features`), got {len(self.backbone.channels)}."
            )
        _use_raw_stage_outputs(self.backbone, config)
        self.projections = nn.ModuleList(nn.Linear(channels, width) for channels in self.backbone.channels)
        self.fuse = nn.Conv2d(4 * width, width, kernel_size=1, bias=False)
        self.position = EmoLlamaFourierPosition(width)
        self.heads = nn.ModuleDict(
            {
                name: SamFeedForward(width, width, size, num_layers=3)
                for name, size in (
                    ("landmarks", 2 * config.num_landmarks),
                    ("head_pose", 3),
                    ("attribute", len(config.attribute_labels)),
                    ("visibility", config.num_visibility),
                    ("age", len(config.age_labels)),
                    ("gender", len(config.gender_labels)),
                    ("race", len(config.race_labels)),
                )
                if name in config.tasks
            }
        )
        self.task_tokens = nn.Embedding(len(self.heads), width)
        self.decoder = SamTwoWayTransformer(config.decoder_config)
        self.parses = "parsing" in config.tasks
        if self.parses:
            self.parsing_tokens = nn.Embedding(len(config.parsing_labels), width)
            self.parsing_head = SamFeedForward(width, width, width // 8, num_layers=3)
            self.upscale = nn.Sequential(
                nn.ConvTranspose2d(width, width // 4, kernel_size=2, stride=2),
                SamLayerNorm(width // 4, data_format="channels_first"),
                nn.GELU(),
                nn.ConvTranspose2d(width // 4, width // 8, kernel_size=2, stride=2),
                nn.GELU(),
            )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, EmoLlamaFourierPosition):
            init.normal_(module.frequencies)

    def fused_map(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Face crops (F, 3, h, w) to the face embedding map (F, C, h/4, w/4)."""
        if not self.config.average_mirrored:
            return self._fused(pixel_values)
        straight, mirrored = self._fused(torch.cat([pixel_values, pixel_values.flip(-1)])).chunk(2)
        return (straight + mirrored.flip(-1)) / 2

    def _fused(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """The backbone's maps of crops (F, 3, h, w), projected and fused to one (F, C, h/4, w/4)."""
        maps = self.backbone(pixel_values).feature_maps
        size = maps[0].shape[-2:]
        projected = [
            nn.functional.interpolate(
                projection(feature.movedim(1, -1)).movedim(-1, 1), size=size, mode="bilinear", align_corners=False
            )
            for projection, feature in zip(self.projections, maps, strict=True)
        ]
        fused: torch.Tensor = self.fuse(torch.cat(projected[::-1], dim=1))
        return fused

    def forward(
        self, pixel_values: torch.Tensor, output_parsing: bool = False, **kwargs: Unpack[TransformersKwargs]
    ) -> EmoLlamaFacePriorOutput:
        """
        Args:
            pixel_values (`torch.FloatTensor` of shape `(F, 3, h, w)`): normalized face crops.
            output_parsing (`bool`, *optional*, defaults to `False`): also compute the per-pixel face parsing.
            output_hidden_states, output_attentions (`bool`, *optional*, default to those of `config`):
                Whether to give what the decoder computed on the way.

        Returns:
            `EmoLlamaFacePriorOutput`, or a `tuple` with `return_dict=False`.

        Raises:
            `ValueError`: `output_parsing` of a network without this task.
        """
        if output_parsing and not self.parses:
            raise ValueError(
                f"`output_parsing` needs a network trained for it; this one's tasks: {self.config.tasks}."
            )
        face_map = self.fused_map(pixel_values.to(self.dtype))
        outputs: EmoLlamaFacePriorOutput = self._decode(face_map, output_parsing, **kwargs)
        return outputs

    @capture_outputs  # not of `forward`, which runs the backbone: that may capture outputs of its own
    def _decode(
        self, face_map: torch.Tensor, output_parsing: bool, **kwargs: Unpack[TransformersKwargs]
    ) -> EmoLlamaFacePriorOutput:
        """What the task tokens find in the face embedding map (F, C, h/4, w/4)."""
        frames, _, height, width = face_map.shape
        queries = _rows(self.task_tokens, face_map.device)
        if self.parses:
            queries = torch.cat([queries, _rows(self.parsing_tokens, face_map.device)])
        positions = self.position(cell_centres(face_map)).movedim(-1, 0)  # C, h/4, w/4
        tokens, keys = self.decoder(
            point_embeddings=queries.expand(frames, 1, -1, -1),
            image_embeddings=face_map,
            image_positional_embeddings=positions.expand(frames, -1, -1, -1),
            attention_similarity=None,
        )
        tokens = tokens.squeeze(1)  # F, tasks, C
        outputs = {name: head(tokens[:, i]) for i, (name, head) in enumerate(self.heads.items())}
        if "landmarks" in outputs:
            outputs["landmarks"] = outputs["landmarks"].unflatten(1, (-1, 2))
        parsing_logits = None
        if output_parsing:
            upscaled = self.upscale(keys.squeeze(1).transpose(1, 2).unflatten(2, (height, width)))
            weights = self.parsing_head(tokens[:, len(self.heads) :])
            parsing_logits = torch.einsum("ftc,fchw->fthw", weights, upscaled)
        return EmoLlamaFacePriorOutput(
            face_map=face_map,
            task_tokens=tokens,
            landmarks=outputs.get("landmarks"),
            head_pose=outputs.get("head_pose"),
            attribute_logits=outputs.get("attribute"),
            visibility_logits=outputs.get("visibility"),
            age_logits=outputs.get("age"),
            gender_logits=outputs.get("gender"),
            race_logits=outputs.get("race"),
            parsing_logits=parsing_logits,
        )

    @torch.no_grad()
    def analyze(self, pixel_values: torch.Tensor) -> EmoLlamaFaceAnalysis:
        """
        What is perceived in face crops, in numbers for people.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(F, 3, h, w)`): normalized face crops.

        Returns:
            `EmoLlamaFaceAnalysis`, in float32.
        """
        outputs = self(pixel_values, return_dict=True)

        def numbers(
            logits: torch.Tensor | None, activation: Callable[[torch.Tensor], torch.Tensor]
        ) -> torch.Tensor | None:
            return None if logits is None else activation(logits.float())

        softmax = partial(torch.softmax, dim=-1)
        return EmoLlamaFaceAnalysis(
            landmarks=numbers(outputs.landmarks, lambda points: (points + 1) / 2),
            head_pose=numbers(outputs.head_pose, lambda angles: angles),
            attributes=numbers(outputs.attribute_logits, torch.sigmoid),
            visibility=numbers(outputs.visibility_logits, torch.sigmoid),
            age=numbers(outputs.age_logits, softmax),
            gender=numbers(outputs.gender_logits, softmax),
            race=numbers(outputs.race_logits, softmax),
        )


def _rows(embedding: nn.Embedding, device: torch.device) -> torch.Tensor:
    """All rows of a table, by calling it: weights of an offloaded module are there only during its call."""
    rows: torch.Tensor = embedding(torch.arange(embedding.num_embeddings, device=device))
    return rows


def _use_raw_stage_outputs(backbone: PreTrainedModel, config: EmoLlamaFaceConfig) -> None:
    """Make transformers' Swin give what torchvision's gives: FaceXFormer's weights were trained on that."""
    if config.backbone_config.model_type != "swin":
        return
    for stage in backbone.hidden_states_norms:
        backbone.hidden_states_norms[stage] = nn.Identity()
    window = config.backbone_config.window_size
    side = config.image_size // config.backbone_config.patch_size
    for stage in backbone.swin.encoder.layers:
        if side <= window:  # torchvision does not shift a window that covers the whole map
            for block in stage.blocks:
                block.shift_size = 0
        side = (side + 1) // 2


__all__ = ["EmoLlamaFaceAnalysis", "EmoLlamaFacePriorModel", "EmoLlamaFacePriorOutput", "EmoLlamaFourierPosition"]
