"""EmoLlama: vision encoder, Q-Former, face prior and Face Info Mining in front of a language model."""

import re
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub import load_state_dict_from_file
from torch import nn
from transformers import (
    AutoModel,
    Cache,
    GenerationConfig,
    GenerationMixin,
    InstructBlipQFormerModel,
    InstructBlipVisionModel,
    LogitsProcessorList,
    PreTrainedModel,
    SuppressTokensLogitsProcessor,
)
from transformers import initialization as init
from transformers.modeling_outputs import (
    BaseModelOutput,
    BaseModelOutputWithCrossAttentions,
    BaseModelOutputWithPast,
    BaseModelOutputWithPooling,
    CausalLMOutputWithPast,
)
from transformers.modeling_utils import LoadStateDictConfig
from transformers.models.sam.modeling_sam import SamAttention
from transformers.processing_utils import Unpack
from transformers.utils import (
    TransformersKwargs,
    cached_file,
    can_return_tuple,
    is_tracing,
    torch_compilable_check,
)
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.loading_report import LoadStateDictInfo
from transformers.utils.output_capturing import OutputRecorder, capture_outputs
from transformers.utils.peft_utils import ADAPTER_SAFE_WEIGHTS_NAME

from .configuration_emo_llama import EmoLlamaConfig
from .modeling_face_info_mining import EmoLlamaFaceInfoMining, EmoLlamaGatedFaceAttention
from .modeling_face_prior import (
    EmoLlamaFaceAnalysis,
    EmoLlamaFacePriorModel,
    EmoLlamaFacePriorOutput,
    EmoLlamaFourierPosition,
)
from .modeling_visual_tokens import EmoLlamaVisualTokens
from .placeholder_row import PLACEHOLDER_LOGIT, load_tables_without_placeholder

VISUAL_INPUTS = (
    "pixel_values",
    "frame_counts",
    "qformer_input_ids",
    "qformer_attention_mask",
    "face_pixel_values",
    "face_mask",
    "face_map",
    "face_landmarks",
    "vision_features",
    "visual_embeds",
)
WHOLE = re.compile(r"\.modules_to_save\.[^.]+")  # where PEFT puts the copy of a part that an adapter trains as a whole
HUB_KWARGS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")
# Weights that each choice of `config.face_info_mining` leaves unread.
UNMINED = {
    "both": set(),
    "global": {r"face_info_mining\.(local_attention|landmark_embedding)\."},
    "local": {r"face_info_mining\.global_attention\."},
    "none": {r"face_info_mining\."},
}
NO_FACE_PRIOR = (
    "This checkpoint has no face prior (`config.face_config` is None): leave `face_pixel_values` and `face_map` out."
)


@dataclass
class EmoLlamaModelOutputWithPast(BaseModelOutputWithPast):
    """
    What [`EmoLlamaModel`] gives: what a language model does, and the visual tokens.

    Args:
        image_hidden_states (`torch.FloatTensor` of shape `(visual tokens of the batch, E)`, *optional*):
            Visual tokens; pass them back as `visual_embeds` to skip the encoders.
    """

    image_hidden_states: torch.Tensor | None = None


@dataclass
class EmoLlamaCausalLMOutputWithPast(CausalLMOutputWithPast):
    """
    What [`EmoLlamaForConditionalGeneration`] gives: what a language model with a head does, and the visual tokens.

    Args:
        image_hidden_states (`torch.FloatTensor` of shape `(visual tokens of the batch, E)`, *optional*):
            Visual tokens; pass them back as `visual_embeds` to skip the encoders.
    """

    image_hidden_states: torch.Tensor | None = None


@dataclass
class EmoLlamaImageFeatures(BaseModelOutputWithPooling):
    """
    What [`~EmoLlamaModel.get_image_features`] gives. In the shapes, F is frames, N patches, D the vision encoder's
    width and E the language model's.

    Args:
        last_hidden_state (`torch.FloatTensor` of shape `(F, N + 1, D)`):
            Raw vision features; pass them back as `vision_features` to skip the vision encoder.
        pooler_output (`torch.FloatTensor` of shape `(F, tokens a frame, E)`): visual tokens.
        hidden_states (`tuple(torch.FloatTensor)` of shapes `(F, N + 1, D)`, *optional*):
            With `output_hidden_states=True`, the vision encoder's embeddings and the output of each of its layers.
        attentions (`tuple(torch.FloatTensor)` of shapes `(F, heads, N + 1, N + 1)`, *optional*):
            With `output_attentions=True`, the vision encoder's attention weights.
        face_hidden_states (`tuple(torch.FloatTensor)` of shapes `(F, N, D)`, *optional*):
            With `output_hidden_states=True` and faces, the patch features before and after Face Info Mining.
        cross_attentions (`tuple(torch.FloatTensor)` of shapes `(F, heads, N, keys)`, *optional*):
            With `output_attentions=True` and faces, how Face Info Mining's patches attend to the cells of the face map
            (global) and to the landmarks (local). Like all attention weights, only `"eager"` attention gives them.
    """

    face_hidden_states: tuple[torch.Tensor, ...] | None = None
    cross_attentions: tuple[torch.Tensor, ...] | None = None


class EmoLlamaPreTrainedModel(PreTrainedModel):
    """What the models have in common: how they are initialized, placed and attend."""

    config_class = EmoLlamaConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    input_modalities = ("image", "video", "text")
    supports_gradient_checkpointing = True
    _no_split_modules = ["EmoLlamaFaceInfoMining", "EmoLlamaVisualTokens"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, EmoLlamaModel):
            init.normal_(module.query_tokens, std=self.config.initializer_range)
        elif isinstance(module, EmoLlamaGatedFaceAttention):
            init.zeros_(module.gate)
        elif isinstance(module, EmoLlamaFourierPosition):
            init.normal_(module.frequencies)

    def load_adapter(
        self,
        peft_model_id: str | None = None,
        *args: Any,
        adapter_kwargs: dict[str, Any] | None = None,
        load_config: LoadStateDictConfig | None = None,
        **kwargs: Any,
    ) -> LoadStateDictInfo:
        """
        As the base class, with the parts that were trained as a whole: transformers before 5.23 forgets them.

        Args:
            peft_model_id (`str`, *optional*): folder or hub id of the adapter.
            adapter_kwargs (`dict`, *optional*), load_config (`LoadStateDictConfig`, *optional*), args, kwargs:
                Of the base class.
        """
        report: LoadStateDictInfo = super().load_adapter(
            peft_model_id, *args, adapter_kwargs=adapter_kwargs, load_config=load_config, **kwargs
        )
        forgotten = [name for name in report.missing_keys if WHOLE.search(name)]
        if forgotten and peft_model_id is not None:
            given = {**(load_config.download_kwargs if load_config else {}), **(adapter_kwargs or {})}
            where = {name: given[name] for name in HUB_KWARGS if given.get(name) is not None}
            stored = load_state_dict_from_file(cached_file(peft_model_id, ADAPTER_SAFE_WEIGHTS_NAME, **where))
            # Adapters are of the model with a head, in which this one may be a part.
            prefix = "base_model.model." + ("model." if self.base_model is self else "")
            parameters = dict(self.named_parameters())
            with torch.no_grad():
                for name in forgotten:
                    values = stored.get(prefix + WHOLE.sub("", name))
                    if values is not None:
                        parameters[name].copy_(values)
                        report.missing_keys.discard(name)
        return report

    def enable_input_require_grads(self) -> None:
        """
        Let gradients flow from the language model's embeddings, which adapters in its layers need where these are
        recomputed. Only there: vision encoder and face prior would keep a graph that nothing learns from.
        """
        self.base_model.language_model.enable_input_require_grads()

    def disable_input_require_grads(self) -> None:
        """Take [`~EmoLlamaPreTrainedModel.enable_input_require_grads`] back."""
        self.base_model.language_model.disable_input_require_grads()

    @torch.no_grad()
    def perceived_attributes(
        self, faces: EmoLlamaFacePriorOutput, face_mask: torch.Tensor, frame_counts: torch.Tensor
    ) -> list[dict[str, tuple[str, float]] | None]:
        """
        Perceived age, gender and race of the person whom each visual shows: the likeliest class and its probability,
        the mean over the frames that show a face. This is the one rule for them, whoever asks.

        Args:
            faces (`EmoLlamaFacePriorOutput`): of F face crops, from [`~EmoLlamaModel.get_face_features`].
            face_mask (`torch.BoolTensor` of shape `(F,)`): False where no face was found.
            frame_counts (`torch.LongTensor` of shape `(V,)`):
                Frames of each visual; ones, to look at every frame by itself.

        Returns:
            `list[dict | None]`: of each visual, label and probability by the names of
            `config.face_config.perceived_labels`; `None` where no frame shows a face.

        Raises:
            `ValueError`: the model has no face prior, or the numbers of frames differ.
        """
        if self.config.face_config is None:
            raise ValueError(NO_FACE_PRIOR)
        counts: list[int] = frame_counts.tolist()
        labels: dict[str, list[str]] = self.config.face_config.perceived_labels
        probabilities = {name: faces[f"{name}_logits"].float().softmax(-1).cpu() for name in labels}
        rows = {"face_mask": len(face_mask), **{name: len(values) for name, values in probabilities.items()}}
        if set(rows.values()) != {sum(counts)}:
            raise ValueError(
                f"`frame_counts` must sum to the frames of `face_mask` and `faces`, "
                f"but it gives {sum(counts)} for {rows}."
            )
        perceived: list[dict[str, tuple[str, float]] | None] = []
        start = 0
        for count in counts:
            frames = slice(start, start := start + count)
            shown = face_mask[frames].bool().cpu()
            if not shown.any():
                perceived.append(None)
                continue
            means = {name: values[frames][shown].mean(0) for name, values in probabilities.items()}
            perceived.append(
                {name: (labels[name][int(mean.argmax())], float(mean.max())) for name, mean in means.items()}
            )
        return perceived


class EmoLlamaVisionModel(InstructBlipVisionModel):
    """The vision encoder up to its last norm, which only the Q-Former's input goes through."""

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def forward(self, pixel_values: torch.Tensor, **kwargs: Unpack[TransformersKwargs]) -> BaseModelOutput:
        """Frames (F, 3, H, W) to raw features (F, 1 + N, D)."""
        features: BaseModelOutput = self.encoder(inputs_embeds=self.embeddings(pixel_values), **kwargs)
        return features


class EmoLlamaModel(EmoLlamaPreTrainedModel):
    """
    EmoLlama without a language modelling head.

    Sizes in the shapes below: B samples of T tokens; V visuals (images or clips) of F frames together; Q-Former
    questions of L tokens; E the language model's width.

    A forward does not wait for a device: shapes are checked everywhere, values (whether pixels are finite, whether
    counts agree) of inputs on the CPU. The processor's are right.

    Args:
        config ([`EmoLlamaConfig`])
    """

    _can_record_outputs = {"cross_attentions": OutputRecorder(SamAttention, index=1, layer_name="face_info_mining")}

    def __init__(self, config: EmoLlamaConfig):
        super().__init__(config)
        self.vision_model = EmoLlamaVisionModel(config.vision_config)
        self.vision_model.post_layernorm.eps = 1e-5  # LLaMA-VID's `vlm_att_ln`, which is none of the encoder's norms
        self.qformer = InstructBlipQFormerModel(config.qformer_config)
        self.query_tokens = nn.Parameter(torch.zeros(1, config.num_query_tokens, config.qformer_config.hidden_size))
        self.visual_tokens = EmoLlamaVisualTokens(config)
        self.face_prior: EmoLlamaFacePriorModel | None = None
        self.face_info_mining: EmoLlamaFaceInfoMining | None = None
        if config.face_config is not None:
            self.face_prior = EmoLlamaFacePriorModel(config.face_config)
            if config.mined:
                self.face_info_mining = EmoLlamaFaceInfoMining(config)
            self._keys_to_ignore_on_load_unexpected = UNMINED[config.face_info_mining]
        self.language_model = AutoModel.from_config(config.text_config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        embeddings: nn.Module = self.language_model.get_input_embeddings()
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def analyze_faces(self, face_pixel_values: torch.Tensor) -> EmoLlamaFaceAnalysis:
        """
        What the face prior perceives: landmarks, head pose, attributes, age-gender-race with probabilities.

        Args:
            face_pixel_values (`torch.FloatTensor` of shape `(F, 3, h, w)`): face crops, from the image processor.

        Returns:
            `EmoLlamaFaceAnalysis`, in float32.

        Raises:
            `ValueError`: the model has no face prior (`config.face_config` is `None`) or pixels are not finite.
        """
        if self.face_prior is None:
            raise ValueError(NO_FACE_PRIOR)
        _check_pixels("face_pixel_values", face_pixel_values)
        return self.face_prior.analyze(face_pixel_values.to(self.face_prior.device))

    def get_face_features(
        self, face_pixel_values: torch.Tensor, **kwargs: Unpack[TransformersKwargs]
    ) -> EmoLlamaFacePriorOutput:
        """
        The face prior's raw outputs: `face_map` and `landmarks`, passed back as `face_map` and `face_landmarks`, spare
        another look at the crops, and [`~EmoLlamaModel.perceived_attributes`] reads them.

        Args:
            face_pixel_values (`torch.FloatTensor` of shape `(F, 3, h, w)`): face crops, from the image processor.
            output_hidden_states, output_attentions (`bool`, *optional*, default to those of `config.face_config`):
                Whether to give what the face prior computed on the way.

        Returns:
            `EmoLlamaFacePriorOutput`

        Raises:
            `ValueError`: the model has no face prior (`config.face_config` is `None`) or pixels are not finite.
        """
        if self.face_prior is None:
            raise ValueError(NO_FACE_PRIOR)
        _check_pixels("face_pixel_values", face_pixel_values)
        features: EmoLlamaFacePriorOutput = self.face_prior(face_pixel_values, return_dict=True, **kwargs)
        return features

    @can_return_tuple
    def get_image_features(
        self,
        pixel_values: torch.Tensor | None = None,
        frame_counts: torch.Tensor | None = None,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
        face_pixel_values: torch.Tensor | None = None,
        face_mask: torch.Tensor | None = None,
        vision_features: torch.Tensor | None = None,
        face_map: torch.Tensor | None = None,
        face_landmarks: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> EmoLlamaImageFeatures:
        """
        Visual tokens of every frame.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(F, 3, H, W)`): frames of all visuals, in order.
            frame_counts (`torch.LongTensor` of shape `(V,)`, *optional*): frames of each visual; one by default.
            qformer_input_ids, qformer_attention_mask (`torch.LongTensor` of shape `(V, L)`, *optional*):
                The question that guides each visual; without it the Q-Former's queries look unguided, as BLIP-2's do.
            face_pixel_values (`torch.FloatTensor` of shape `(F, 3, h, w)`, *optional*): one face crop a frame.
            face_mask (`torch.BoolTensor` of shape `(F,)`, *optional*): False where no face was found.
            vision_features (`torch.FloatTensor` of shape `(F, N + 1, D)`, *optional*):
                Raw vision features computed before, instead of `pixel_values`.
            face_map (`torch.FloatTensor` of shape `(F, C, h/4, w/4)`, *optional*):
                The face prior's map of each crop, computed before by `get_face_features`, instead of
                `face_pixel_values`.
            face_landmarks (`torch.FloatTensor` of shape `(F, landmarks, 2)`, *optional*):
                Its landmarks, given with `face_map`.

            output_hidden_states, output_attentions (`bool`, *optional*, default to those of `config`):
                Whether to give what the vision encoder and Face Info Mining computed on the way.

        Returns:
            `EmoLlamaImageFeatures`, or a `tuple` with `return_dict=False`.

        Raises:
            `ValueError`: an input is missing, given twice, not finite, or of another number of frames or visuals.
        """
        if pixel_values is not None:
            _check_pixels("pixel_values", pixel_values)
            vision = self.vision_model(pixel_values.to(self.vision_model.dtype), return_dict=True, **kwargs)
        elif vision_features is not None:
            vision = BaseModelOutput(last_hidden_state=vision_features.to(self.vision_model.dtype))
        else:
            raise ValueError("Give `pixel_values` or `vision_features`.")
        raw = vision.last_hidden_state  # F, 1 + N, D
        if frame_counts is None:
            frame_counts = torch.ones(raw.shape[0], dtype=torch.long, device=raw.device)
        given = f"must sum to the {raw.shape[0]} frames of `pixel_values`."
        if _may_be_read(frame_counts):
            torch_compilable_check(
                frame_counts.sum() == raw.shape[0], lambda: f"`frame_counts` {frame_counts.tolist()} {given}"
            )
        elif frame_counts.is_cuda:
            torch._assert_async(frame_counts.sum() == raw.shape[0], f"`frame_counts` {given}")
        if qformer_input_ids is not None:
            questions = qformer_input_ids.shape[0]
            torch_compilable_check(
                frame_counts.shape[0] == questions,
                lambda: (
                    f"`qformer_input_ids` has {questions} questions for {frame_counts.shape[0]} visuals: "
                    f"give one question a visual."
                ),
            )
        if face_pixel_values is not None:
            if face_map is not None:
                raise ValueError("Give only one of `face_pixel_values` and `face_map`.")
            faces = self.get_face_features(face_pixel_values)
            face_map, face_landmarks = faces.face_map, faces.landmarks
        if (face_map is None) != (face_landmarks is None):
            raise ValueError("Give both or neither of `face_map` and `face_landmarks`.")
        tokens, face_hidden_states, cross_attentions = self._look(
            raw,
            frame_counts,
            qformer_input_ids,
            qformer_attention_mask,
            face_map,
            face_landmarks,
            face_mask,
            **kwargs,
        )
        return EmoLlamaImageFeatures(
            last_hidden_state=raw,
            pooler_output=tokens,
            hidden_states=vision.hidden_states,
            attentions=vision.attentions,
            face_hidden_states=face_hidden_states,
            cross_attentions=cross_attentions,
        )

    def _look(
        self,
        raw: torch.Tensor,
        frame_counts: torch.Tensor,
        qformer_input_ids: torch.Tensor | None,
        qformer_attention_mask: torch.Tensor | None,
        face_map: torch.Tensor | None,
        face_landmarks: torch.Tensor | None,
        face_mask: torch.Tensor | None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...] | None, tuple[torch.Tensor, ...] | None]:
        """Visual tokens (F, tokens a frame, E) of raw features (F, 1 + N, D) and, on request, how they came about."""
        queries = self._aggregate_clues(
            self.vision_model.post_layernorm(raw), frame_counts, qformer_input_ids, qformer_attention_mask
        )
        features = raw[:, 1:]
        face_hidden_states = cross_attentions = None
        if face_map is not None and face_landmarks is not None:
            mined = self._mine_faces(features, face_map, face_landmarks, face_mask, return_dict=True, **kwargs)
            if kwargs.get("output_hidden_states", self.config.output_hidden_states):
                face_hidden_states = (features, mined.last_hidden_state)
            features, cross_attentions = mined.last_hidden_state, mined.cross_attentions
        return self.visual_tokens(features, queries), face_hidden_states, cross_attentions

    @capture_outputs
    def _mine_faces(
        self,
        features: torch.Tensor,
        face_map: torch.Tensor,
        face_landmarks: torch.Tensor,
        face_mask: torch.Tensor | None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithCrossAttentions:
        """Patch features (F, N, D) that looked at the face prior and, on request, where they looked."""
        if self.config.face_config is None:
            raise ValueError(NO_FACE_PRIOR)
        if self.face_info_mining is None:
            return BaseModelOutputWithCrossAttentions(last_hidden_state=features)
        if face_mask is None:
            face_mask = torch.ones(face_map.shape[0], dtype=torch.bool, device=features.device)
        torch_compilable_check(
            face_map.shape[0] == face_landmarks.shape[0] == features.shape[0] == face_mask.shape[0],
            lambda: (
                f"`face_pixel_values` (or `face_map`, `face_landmarks`) and `face_mask` must have a row a frame, "
                f"not {face_map.shape[0]}, {face_landmarks.shape[0]} and {face_mask.shape[0]} for "
                f"{features.shape[0]} frames."
            ),
        )
        face_mask = face_mask.to(features.device, torch.bool)
        return BaseModelOutputWithCrossAttentions(
            last_hidden_state=self.face_info_mining(features, face_map, face_landmarks, face_mask)
        )

    def _aggregate_clues(
        self,
        features: torch.Tensor,
        frame_counts: torch.Tensor,
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """The Q-Former's queries (F, Q, H) after they looked at normed features (F, 1 + N, D), question in mind."""
        frames = features.shape[0]
        if input_ids is not None:
            # The visual of each frame, by comparing: ONNX repeats nothing to a size that is known.
            ends = frame_counts.to(input_ids.device).cumsum(0)
            visual = (torch.arange(frames, device=input_ids.device)[:, None] >= ends).sum(1)
            input_ids = input_ids[visual]
            if attention_mask is not None:
                query_mask = attention_mask.new_ones(frames, self.config.num_query_tokens)
                attention_mask = torch.cat([query_mask, attention_mask[visual]], dim=1)
        outputs = self.qformer(
            input_ids=input_ids,
            attention_mask=attention_mask,
            query_embeds=self.query_tokens.expand(frames, -1, -1),
            encoder_hidden_states=features,
        )
        queries: torch.Tensor = outputs.last_hidden_state[:, : self.config.num_query_tokens]
        return queries

    def get_placeholder_mask(
        self, input_ids: torch.Tensor, inputs_embeds: torch.Tensor, image_features: torch.Tensor | None
    ) -> torch.Tensor:
        """
        Where the visual tokens go, once it is known that there is one placeholder for each.

        Args:
            input_ids (`torch.LongTensor` of shape `(B, T)`):
                Tokens; the placeholder's embedding means nothing, so embeddings alone do not tell where one stands.
            inputs_embeds (`torch.FloatTensor` of shape `(B, T, E)`): embeddings that the visual tokens go into.
            image_features (`torch.FloatTensor` of shape `(visual tokens, E)`, *optional*): visual tokens, if any.

        Returns:
            `torch.BoolTensor` of shape `(B, T, 1)`: True at the placeholders, on the device of `inputs_embeds`.

        Raises:
            `ValueError`: placeholders and visual tokens differ in number; on CUDA this is a device-side assertion.
        """
        placeholders: torch.Tensor = input_ids == self.config.image_token_id
        count = 0 if image_features is None else image_features.shape[0]
        given = (
            f"visual placeholders, but the visual inputs give {count} visual tokens "
            f"({self.config.tokens_per_frame} a frame): give one placeholder for each."
        )
        if _may_be_read(input_ids):
            torch_compilable_check(
                placeholders.sum() == count,
                lambda: f"`input_ids` has {int(placeholders.sum())} {given}",
            )
        elif input_ids.is_cuda:
            torch._assert_async(placeholders.sum() == count, f"`input_ids` has too few or many {given}")
        return placeholders.unsqueeze(-1).to(inputs_embeds.device)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        frame_counts: torch.Tensor | None = None,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
        face_pixel_values: torch.Tensor | None = None,
        face_mask: torch.Tensor | None = None,
        vision_features: torch.Tensor | None = None,
        face_map: torch.Tensor | None = None,
        face_landmarks: torch.Tensor | None = None,
        visual_embeds: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> EmoLlamaModelOutputWithPast:
        """
        Hidden states of the language model over text and visual tokens.

        Args:
            input_ids (`torch.LongTensor` of shape `(B, T)`):
                Tokens; `config.image_token_id` stands wherever a visual token goes, frame after frame.
            pixel_values, frame_counts, qformer_input_ids, qformer_attention_mask, face_pixel_values, face_mask,
            vision_features, face_map, face_landmarks:
                See [`~EmoLlamaModel.get_image_features`].
            visual_embeds (`torch.FloatTensor` of shape `(visual tokens, E)`, *optional*):
                Visual tokens computed before, instead of `pixel_values`.
            attention_mask, position_ids, past_key_values, inputs_embeds (*optional*):
                As of the language model; `inputs_embeds` cannot have visual inputs beside them.

        Returns:
            `EmoLlamaModelOutputWithPast`, or a `tuple` with `return_dict=False`.

        Raises:
            `ValueError`: visual tokens and placeholders differ in number, or an input is missing.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give exactly one of `input_ids` and `inputs_embeds`.")
        if pixel_values is not None or vision_features is not None:
            if visual_embeds is not None or (pixel_values is not None and vision_features is not None):
                raise ValueError("Give only one of `pixel_values`, `vision_features` and `visual_embeds`.")
            visual_embeds = self.get_image_features(
                pixel_values=pixel_values,
                frame_counts=frame_counts,
                qformer_input_ids=qformer_input_ids,
                qformer_attention_mask=qformer_attention_mask,
                face_pixel_values=face_pixel_values,
                face_mask=face_mask,
                vision_features=vision_features,
                face_map=face_map,
                face_landmarks=face_landmarks,
                return_dict=True,
            ).pooler_output.flatten(0, 1)
        if input_ids is not None:
            embeds: torch.Tensor = self.get_input_embeddings()(input_ids)
            placeholders = self.get_placeholder_mask(input_ids, embeds, visual_embeds)
            if visual_embeds is not None:
                embeds = embeds.masked_scatter(placeholders, visual_embeds.to(embeds.device, embeds.dtype))
            inputs_embeds = embeds
        elif visual_embeds is not None:
            raise ValueError(
                "Visual inputs need `input_ids`, whose placeholders say where they go, not `inputs_embeds`."
            )
        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        return EmoLlamaModelOutputWithPast(
            last_hidden_state=outputs.last_hidden_state,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_hidden_states=visual_embeds,
        )


class EmoLlamaForConditionalGeneration(EmoLlamaPreTrainedModel, GenerationMixin):
    """
    EmoLlama with a language modelling head: images, clips or a chat and a question in, an answer out.

    Args:
        config ([`EmoLlamaConfig`])
    """

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}
    _tp_plan = {"lm_head": "colwise_gather_output"}

    def __init__(self, config: EmoLlamaConfig):
        super().__init__(config)
        self.model = EmoLlamaModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        # The embedding's name is the language model's own (`embed_tokens` in LLaMA, `wte` in GPT-2).
        names = {id(module): name for name, module in self.named_modules()}
        self._tied_weights_keys = {"lm_head.weight": f"{names[id(self.get_input_embeddings())]}.weight"}
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def set_output_embeddings(self, value: nn.Linear) -> None:
        self.lm_head = value

    def get_image_features(self, *args: Any, **kwargs: Any) -> EmoLlamaImageFeatures:
        """See [`~EmoLlamaModel.get_image_features`]."""
        features: EmoLlamaImageFeatures = self.model.get_image_features(*args, **kwargs)
        return features

    def analyze_faces(self, face_pixel_values: torch.Tensor) -> EmoLlamaFaceAnalysis:
        """See [`~EmoLlamaModel.analyze_faces`]."""
        return self.model.analyze_faces(face_pixel_values)

    def get_face_features(
        self, face_pixel_values: torch.Tensor, **kwargs: Unpack[TransformersKwargs]
    ) -> EmoLlamaFacePriorOutput:
        """See [`~EmoLlamaModel.get_face_features`]."""
        return self.model.get_face_features(face_pixel_values, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        frame_counts: torch.Tensor | None = None,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
        face_pixel_values: torch.Tensor | None = None,
        face_mask: torch.Tensor | None = None,
        vision_features: torch.Tensor | None = None,
        face_map: torch.Tensor | None = None,
        face_landmarks: torch.Tensor | None = None,
        visual_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Unpack[TransformersKwargs],
    ) -> EmoLlamaCausalLMOutputWithPast:
        """
        Next-token logits, and their loss where there are labels. The placeholder's logit is so low that no answer has
        one in it.

        Args:
            labels (`torch.LongTensor` of shape `(B, T)`, *optional*):
                Next-token targets, -100 where there is no loss; nor is there any for placeholders.
            logits_to_keep (`int` or `torch.Tensor`, *optional*, defaults to 0):
                Compute only the last so many logits (0: all), or those at these positions; or, of shape `(2, K)`,
                those at these rows and positions of theirs. The `logits` are then of shape `(K, vocabulary)`, and
                the loss is that of the tokens which they predict.

        The other arguments, and the errors, are those of [`EmoLlamaModel`].

        Returns:
            `EmoLlamaCausalLMOutputWithPast`, or a `tuple` with `return_dict=False`.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            pixel_values=pixel_values,
            frame_counts=frame_counts,
            qformer_input_ids=qformer_input_ids,
            qformer_attention_mask=qformer_attention_mask,
            face_pixel_values=face_pixel_values,
            face_mask=face_mask,
            vision_features=vision_features,
            face_map=face_map,
            face_landmarks=face_landmarks,
            visual_embeds=visual_embeds,
            **kwargs,
        )
        places = None
        if isinstance(logits_to_keep, int):
            kept = outputs.last_hidden_state[:, slice(-logits_to_keep, None)]
        elif logits_to_keep.ndim == 1:
            kept = outputs.last_hidden_state[:, logits_to_keep]
        else:
            places = logits_to_keep[0], logits_to_keep[1]
            kept = outputs.last_hidden_state[places]  # K, E
        logits = self.lm_head(kept)
        logits[..., self.config.image_token_id] = PLACEHOLDER_LOGIT
        loss = None
        if labels is not None:
            labels = labels.masked_fill(labels == self.config.image_token_id, -100)
            if places is not None:
                kwargs["shift_labels"] = labels[places[0], places[1] + 1]
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size, **kwargs
            )
        return EmoLlamaCausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_hidden_states=outputs.image_hidden_states,
        )

    def prepare_inputs_for_generation(
        self, input_ids: torch.Tensor, is_first_iteration: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Keep the visual inputs for the prefill only: later steps find them in the cache."""
        # The assistant of assisted decoding is never told that it begins. (A static cache would wait for the device.)
        cache: Cache | None = kwargs.get("past_key_values")
        if cache is not None and not cache.is_compileable and cache.get_seq_length() == 0:
            is_first_iteration = True
        if not is_first_iteration and kwargs.get("use_cache", True):
            kwargs = {key: value for key, value in kwargs.items() if key not in VISUAL_INPUTS}
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(
            input_ids, is_first_iteration=is_first_iteration, **kwargs
        )
        return inputs

    def generate_batch(self, inputs: list[list[int]], *args: Any, **kwargs: Any) -> dict[str, Any]:
        """
        Continuous batching, of texts alone: transformers' carries no pictures.

        Args:
            inputs (`list[list[int]]`): tokens of each prompt.
            args, kwargs: of the base class.

        Raises:
            `ValueError`: a prompt shows something.
        """
        for index, tokens in enumerate(inputs):
            if self.config.image_token_id in tokens:
                raise ValueError(
                    f"`inputs[{index}]` has visual placeholders, which `generate_batch` has nothing for: it takes "
                    f"tokens only. Give texts without pictures, or call `generate`, which takes batches too."
                )
        answers: dict[str, Any] = super().generate_batch(inputs, *args, **kwargs)
        return answers

    def _get_logits_processor(
        self, generation_config: GenerationConfig, *args: Any, **kwargs: Any
    ) -> LogitsProcessorList:
        """Keep placeholders out of the drafts that prompt lookup copies from the prompt: nothing would fill them."""
        processors = super()._get_logits_processor(generation_config, *args, **kwargs)
        if generation_config.prompt_lookup_num_tokens is not None:
            processors.append(SuppressTokensLogitsProcessor([self.config.image_token_id], device=str(self.device)))
        return processors

    def _expand_inputs_for_generation(
        self,
        expand_size: int = 1,
        is_encoder_decoder: bool = False,
        input_ids: torch.Tensor | None = None,
        **model_kwargs: Any,
    ) -> tuple[torch.Tensor | None, dict[str, Any]]:
        """Repeat samples for beams and return sequences; visual inputs, which are not one a sample, follow theirs."""
        visual = {key: model_kwargs.pop(key) for key in VISUAL_INPUTS if model_kwargs.get(key) is not None}
        if expand_size > 1 and visual and input_ids is not None:
            visual = self._repeat_visual_inputs(visual, input_ids, expand_size)
        input_ids, model_kwargs = super()._expand_inputs_for_generation(
            expand_size=expand_size, is_encoder_decoder=is_encoder_decoder, input_ids=input_ids, **model_kwargs
        )
        return input_ids, {**model_kwargs, **visual}

    def _repeat_visual_inputs(
        self, visual: dict[str, torch.Tensor], input_ids: torch.Tensor, times: int
    ) -> dict[str, torch.Tensor]:
        """Repeat each sample's frames, visuals or visual tokens `times` times, one sample after the other."""
        tokens = (input_ids == self.config.image_token_id).sum(1).tolist()  # visual tokens of each sample
        frames = [count // self.config.tokens_per_frame for count in tokens]
        sizes = {"visual_embeds": tokens}
        if "frame_counts" in visual:
            left = visual["frame_counts"].tolist()
            visuals = []
            for wanted in frames:
                taken = 0
                while wanted > 0 and left:
                    wanted -= left.pop(0)
                    taken += 1
                visuals.append(taken)
            sizes |= dict.fromkeys(("frame_counts", "qformer_input_ids", "qformer_attention_mask"), visuals)
        return {
            key: torch.cat([rows for part in torch.split(value, sizes.get(key, frames)) for rows in [part] * times])
            for key, value in visual.items()
        }


load_tables_without_placeholder(EmoLlamaConfig.model_type)


def _may_be_read(values: torch.Tensor) -> bool:
    """Whether values can be looked at without making Python wait for a device."""
    return values.device.type == "cpu" or bool(is_tracing(values))


def _check_pixels(name: str, pixels: torch.Tensor) -> None:
    """Raise `ValueError` for what are no pixels of frames: another shape or, where they may be read, NaN."""
    if pixels.ndim != 4 or pixels.shape[1] != 3:
        raise ValueError(f"`{name}` must have shape (frames, 3, height, width), got {tuple(pixels.shape)}.")
    if _may_be_read(pixels):
        torch_compilable_check(
            torch.isfinite(pixels).all(),
            f"`{name}` has NaN or infinite pixels: check how the pictures were read and normalized.",
        )


__all__ = ["EmoLlamaForConditionalGeneration", "EmoLlamaModel", "EmoLlamaPreTrainedModel"]
