"""Configuration of EmoLlama and of its face prior."""

import copy
import math
import re
from typing import Any

from transformers import (
    AutoConfig,
    InstructBlipQFormerConfig,
    InstructBlipVisionConfig,
    PreTrainedConfig,
    SamMaskDecoderConfig,
)
from transformers.activations import ACT2FN

from .setting_checks import (
    LARGEST_SIDE,
    MOST,
    MOST_LAYERS,
    check_base_settings,
    check_choice,
    check_flag,
    check_integer,
    check_mapping,
    check_number,
    check_sizes,
    check_text,
    check_texts,
    check_unknown,
    refused,
)

# Names that FaceXFormer's heads were trained on; the age, gender and race classes are those its authors
# give in Kartik-3004/facexformer#5, the attributes are CelebA's 40 and the parsing classes LaPa's 11.
AGE_LABELS = ["0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70 or more"]
GENDER_LABELS = ["male", "female"]
RACE_LABELS = ["White", "Black", "Indian", "Asian", "other"]
ATTRIBUTE_LABELS = [
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
]  # fmt: skip
PARSING_LABELS = [
    "background", "skin", "left_eyebrow", "right_eyebrow", "left_eye", "right_eye", "nose", "upper_lip",
    "inner_mouth", "lower_lip", "hair",
]  # fmt: skip
FACE_TASKS = ["landmarks", "head_pose", "attribute", "visibility", "age", "gender", "race", "parsing"]
# What each choice of `face_info_mining` looks at.
FACE_INFO_MINING = {"both": ("global", "local"), "global": ("global",), "local": ("local",), "none": ()}
EMOTION_LABELS = ["angry", "disgusted", "afraid", "happy", "sad", "surprised", "neutral"]

# Where `trust_remote_code` finds the classes beside the weights.
AUTO_MAP = {
    "AutoConfig": "configuration_emo_llama.EmoLlamaConfig",
    "AutoModel": "modeling_emo_llama.EmoLlamaModel",
    "AutoModelForImageTextToText": "modeling_emo_llama.EmoLlamaForConditionalGeneration",
    "AutoModelForMultimodalLM": "modeling_emo_llama.EmoLlamaForConditionalGeneration",
}

_CONTENT_TOKENS = re.compile(r"mean|all|grid:([1-9]\d{0,3})")


def _build(
    name: str, config: PreTrainedConfig | dict[str, Any] | None, config_class: Any, **defaults: Any
) -> PreTrainedConfig:
    """A sub-configuration from `None` (the defaults), a dict or a configuration; a dict may name its `model_type`."""
    if not isinstance(config, PreTrainedConfig):
        values = {"model_type": defaults.pop("model_type", None), **defaults}
        if config is not None:
            check_mapping(name, config)
            values = {**values, **config}
        if config_class is AutoConfig:
            check_text(f"{name}.model_type", values["model_type"])
        else:
            del values["model_type"]
        with refused(name):
            config = config_class.for_model(**values) if config_class is AutoConfig else config_class(**values)
    check_base_settings(config, f"{name}.")
    check_sizes(config, f"{name}.")
    for activation in ("hidden_act", "hidden_activation", "activation_function"):  # by family of models
        if (function := getattr(config, activation, None)) is not None:
            check_choice(f"{name}.{activation}", function, tuple(ACT2FN))
    if getattr(config, "return_dict", None) is False:
        raise ValueError(f"`{name}.return_dict` must be true, got False: the model takes what its parts give by name.")
    rope = getattr(config, "rope_parameters", None) or {}
    if "rope_theta" in rope:
        check_number(f"{name}.rope_parameters.rope_theta", rope["rope_theta"], 1, math.inf)
    return config


def _not_installed(pipelines: Any) -> dict[str, Any]:
    """
    The pipelines, of those whose code lies beside the model, whose tasks nobody has registered: transformers would
    take the folder's before the installed one.
    """
    check_mapping("custom_pipelines", pipelines)
    if not pipelines:
        return {}
    from transformers.pipelines import PIPELINE_REGISTRY  # takes long to import, and few folders carry a pipeline

    return {task: found for task, found in pipelines.items() if task not in PIPELINE_REGISTRY.supported_tasks}


def _texts(name: str, given: list[str] | None, default: list[str]) -> list[str]:
    """A list of texts of the configuration's own, checked."""
    if given is None:
        return list(default)
    check_texts(name, given)
    return list(given)


class EmoLlamaFaceConfig(PreTrainedConfig):
    r"""
    Configuration of [`EmoLlamaFacePriorModel`], the facial analysis network (FaceXFormer).

    Args:
        backbone_config (`PreTrainedConfig` or `dict`, *optional*, defaults to Swin-B):
            Any backbone of transformers that gives four feature maps, the finest first.
        decoder_config (`SamMaskDecoderConfig` or `dict`, *optional*):
            The two-way transformer: width, depth, heads, feed-forward width. Its `hidden_size` is the width of the
            face embedding map.
        image_size (`int`, *optional*, defaults to 224):
            Height and width in pixels of the face crops.
        age_labels, gender_labels, race_labels, attribute_labels, parsing_labels (`list[str]`, *optional*):
            The classes of each head in the order of its outputs. They are *perceived* age, gender and race.
        tasks (`list[str]`, *optional*, defaults to all of `FACE_TASKS`):
            What the network was trained to perceive; there are no task tokens and heads for anything else.
        average_mirrored (`bool`, *optional*, defaults to `False`):
            Whether the map is the mean of the crop's and its mirror image's: a little better, at twice the cost.
        num_landmarks (`int`, *optional*, defaults to 68):
            Number of facial landmarks.
        num_visibility (`int`, *optional*, defaults to 29):
            Number of landmarks whose visibility is predicted (COFW's 29).
        initializer_range (`float`, *optional*, defaults to 0.02):
            Standard deviation of the initial weights.
    """

    model_type = "emo_llama_face"
    base_config_key = "face_config"
    sub_configs = {"backbone_config": AutoConfig, "decoder_config": SamMaskDecoderConfig}

    def __init__(
        self,
        backbone_config: PreTrainedConfig | dict[str, Any] | None = None,
        decoder_config: SamMaskDecoderConfig | dict[str, Any] | None = None,
        image_size: int = 224,
        tasks: list[str] | None = None,
        average_mirrored: bool = False,
        age_labels: list[str] | None = None,
        gender_labels: list[str] | None = None,
        race_labels: list[str] | None = None,
        attribute_labels: list[str] | None = None,
        parsing_labels: list[str] | None = None,
        num_landmarks: int = 68,
        num_visibility: int = 29,
        initializer_range: float = 0.02,
        **kwargs: Any,
    ) -> None:
        check_integer("image_size", image_size, 1, LARGEST_SIDE)
        self.backbone_config = _build(
            "backbone_config",
            backbone_config,
            AutoConfig,
            model_type="swin",
            image_size=image_size,
            embed_dim=128,
            depths=[2, 2, 18, 2],
            num_heads=[4, 8, 16, 32],
            window_size=7,
            drop_path_rate=0.0,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        )
        self.decoder_config = _build("decoder_config", decoder_config, SamMaskDecoderConfig, layer_norm_eps=1e-5)
        self.image_size = image_size
        self.tasks = _texts("tasks", tasks, FACE_TASKS)
        unknown = [task for task in self.tasks if task not in FACE_TASKS]
        if unknown:
            raise ValueError(f"`tasks` has {', '.join(unknown)}, but the tasks are {', '.join(FACE_TASKS)}.")
        self.average_mirrored = average_mirrored
        self.age_labels = _texts("age_labels", age_labels, AGE_LABELS)
        self.gender_labels = _texts("gender_labels", gender_labels, GENDER_LABELS)
        self.race_labels = _texts("race_labels", race_labels, RACE_LABELS)
        self.attribute_labels = _texts("attribute_labels", attribute_labels, ATTRIBUTE_LABELS)
        self.parsing_labels = _texts("parsing_labels", parsing_labels, PARSING_LABELS)
        self.num_landmarks = num_landmarks
        self.num_visibility = num_visibility
        self.initializer_range = initializer_range
        self._check()
        check_unknown(type(self), kwargs)
        with refused(self.model_type):
            super().__init__(**kwargs)
        check_base_settings(self)

    def _check(self) -> None:
        """Raise `ValueError` where a value is not of its type or out of its range."""
        check_flag("average_mirrored", self.average_mirrored)
        check_integer("num_landmarks", self.num_landmarks, 1, MOST)
        check_integer("num_visibility", self.num_visibility, 1, MOST)
        check_number("initializer_range", self.initializer_range, 0, math.inf)

    @property
    def hidden_size(self) -> int:
        """Channels of the face embedding map."""
        width: int = self.decoder_config.hidden_size
        return width

    @property
    def perceived_labels(self) -> dict[str, list[str]]:
        """Classes of perceived age, gender and race, of those among `tasks`."""
        labels = {"age": self.age_labels, "gender": self.gender_labels, "race": self.race_labels}
        return {name: classes for name, classes in labels.items() if name in self.tasks}


class EmoLlamaConfig(PreTrainedConfig):
    r"""
    Configuration of [`EmoLlamaModel`] and [`EmoLlamaForConditionalGeneration`]. The defaults are LLaMA-VID 7B's shapes
    (EVA-CLIP ViT-g, BERT-base Q-Former, Vicuna 7B) with a FaceXFormer face prior.

    Args:
        vision_config (`InstructBlipVisionConfig` or `dict`, *optional*): EVA-CLIP ViT-g/14 without its last block.
        qformer_config (`InstructBlipQFormerConfig` or `dict`, *optional*): the text-guided Q-Former.
        face_config (`EmoLlamaFaceConfig`, `dict` or `None`, *optional*):
            The face prior. `None` (the default) builds a model without one, which is a LLaMA-VID.
        text_config (`PreTrainedConfig` or `dict`, *optional*): any decoder-only language model; LLaMA by default.
        num_query_tokens (`int`, *optional*, defaults to 32): learned queries of the Q-Former.
        content_tokens (`str`, *optional*, defaults to `"mean"`):
            Content tokens of a frame: `"mean"` (one), `"grid:k"` (k x k averages) or `"all"` (every patch).
        projector_depth (`int`, *optional*, defaults to 2): linear layers of the projector, with GELU between them.
        image_token_id (`int`, *optional*, defaults to 32000):
            Token that stands for one visual token. Where the vocabulary of `text_config` ends before it, that grows.
        emotion_labels (`list[str]`, *optional*): default label set of a closed question about the perceived emotion.
        initializer_range (`float`, *optional*, defaults to 0.02): standard deviation of the initial weights.
        tie_word_embeddings (`bool`, *optional*, defaults to that of `text_config`): share input and output embeddings.
        face_info_mining (`str`, *optional*, defaults to `"both"`):
            Where frame features look in the face prior: `"global"` (its map), `"local"` (its landmarks), `"both"` or
            `"none"`. Weights of what is left out may be in the checkpoint: they are not read.
    """

    model_type = "emo_llama"
    sub_configs = {
        "vision_config": InstructBlipVisionConfig,
        "qformer_config": InstructBlipQFormerConfig,
        "face_config": EmoLlamaFaceConfig,
        "text_config": AutoConfig,
    }

    def __init__(
        self,
        vision_config: InstructBlipVisionConfig | dict[str, Any] | None = None,
        qformer_config: InstructBlipQFormerConfig | dict[str, Any] | None = None,
        face_config: EmoLlamaFaceConfig | dict[str, Any] | None = None,
        text_config: PreTrainedConfig | dict[str, Any] | None = None,
        num_query_tokens: int = 32,
        content_tokens: str = "mean",
        projector_depth: int = 2,
        image_token_id: int = 32000,
        emotion_labels: list[str] | None = None,
        initializer_range: float = 0.02,
        tie_word_embeddings: bool | None = None,
        face_info_mining: str = "both",
        **kwargs: Any,
    ) -> None:
        self.vision_config = _build("vision_config", vision_config, InstructBlipVisionConfig, initializer_range=0.02)
        self.qformer_config = _build("qformer_config", qformer_config, InstructBlipQFormerConfig, vocab_size=30523)
        self.text_config = _build("text_config", text_config, AutoConfig, model_type="llama")
        self.face_config: Any = None
        if face_config is not None:
            self.face_config = _build("face_config", face_config, EmoLlamaFaceConfig)
        self.qformer_config.encoder_hidden_size = self.vision_config.hidden_size
        self.face_info_mining = face_info_mining
        self.num_query_tokens = num_query_tokens
        self.content_tokens = content_tokens
        self.projector_depth = projector_depth
        self.image_token_id = image_token_id
        self.emotion_labels = _texts("emotion_labels", emotion_labels, EMOTION_LABELS)
        self.initializer_range = initializer_range
        if tie_word_embeddings is None:
            tie_word_embeddings = getattr(self.text_config, "tie_word_embeddings", False)
        check_flag("tie_word_embeddings", tie_word_embeddings)
        self._check()
        if self.text_config.vocab_size <= image_token_id:
            self.text_config = copy.deepcopy(self.text_config)  # the caller may need it as it was
            self.text_config.vocab_size = image_token_id + 1
        check_unknown(type(self), kwargs)
        kwargs.setdefault("auto_map", dict(AUTO_MAP))
        if pipelines := _not_installed(kwargs.pop("custom_pipelines", {})):
            kwargs["custom_pipelines"] = pipelines
        with refused(self.model_type):
            super().__init__(tie_word_embeddings=tie_word_embeddings, **kwargs)
        check_base_settings(self)

    def _check(self) -> None:
        """Raise `ValueError` where a value is not of its type, out of range, or cannot give a working model."""
        check_choice("face_info_mining", self.face_info_mining, tuple(FACE_INFO_MINING))
        check_integer("num_query_tokens", self.num_query_tokens, 1, MOST)
        check_integer("projector_depth", self.projector_depth, 1, MOST_LAYERS)
        check_integer("image_token_id", self.image_token_id, 0, MOST)
        check_number("initializer_range", self.initializer_range, 0, math.inf)
        check_integer("vision_config.image_size", self.vision_config.image_size, 1, LARGEST_SIDE)
        check_integer("vision_config.patch_size", self.vision_config.patch_size, 1, self.vision_config.image_size)
        check_text("content_tokens", self.content_tokens)
        match = _CONTENT_TOKENS.fullmatch(self.content_tokens)
        if match is None:
            raise ValueError(f"`content_tokens` must be 'mean', 'all' or 'grid:k', got {self.content_tokens!r:.80}.")
        if match[1] and int(match[1]) > self.patches_per_side:
            raise ValueError(
                f"`content_tokens={self.content_tokens!r}` asks for a finer grid than the {self.patches_per_side} "
                f"patches a side of `vision_config`."
            )
        if self.face_config is not None and "landmarks" not in self.face_config.tasks:
            raise ValueError("`face_config.tasks` must have 'landmarks', where Face Info Mining looks.")

    @property
    def mined(self) -> tuple[str, ...]:
        """Which of `"global"` and `"local"` Face Info Mining looks at; empty where there is none."""
        return () if self.face_config is None else FACE_INFO_MINING[self.face_info_mining]

    @property
    def patches_per_side(self) -> int:
        """Patches along one side of a frame."""
        patches: int = self.vision_config.image_size // self.vision_config.patch_size
        return patches

    @property
    def grid_size(self) -> int | None:
        """Content tokens along one side of a frame, `None` for one mean token."""
        if self.content_tokens == "mean":
            return None
        return self.patches_per_side if self.content_tokens == "all" else int(self.content_tokens[5:])

    @property
    def tokens_per_frame(self) -> int:
        """Visual tokens of one frame: the context token and the content tokens."""
        if self.grid_size is None:
            return 2
        # LLaMA-VID pools with stride floor(side / grid), which may give more than `grid` cells a side.
        return 1 + (self.patches_per_side // (self.patches_per_side // self.grid_size)) ** 2


__all__ = ["EmoLlamaConfig", "EmoLlamaFaceConfig"]
