"""Settings that are wrong are named, with what they must be, wherever they come from."""

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoConfig, AutoModel, AutoProcessor

from emo_llama_hf import EmoLlamaConfig, EmoLlamaFaceConfig, default_model
from emo_llama_hf.processing.face_detection import EmoLlamaFaceDetectorConfig
from emo_llama_hf.processing.face_finder import FaceSettings
from emo_llama_hf.processing.image_processing_emo_llama import EmoLlamaImageProcessor
from emo_llama_hf.processing.prompt_settings import PromptSettings
from emo_llama_hf.processing.setting_checks import shown
from emo_llama_hf.processing.video_processing_emo_llama import EmoLlamaVideoProcessor
from fuzz.json_mutations import linked_copy

ROOT = Path(__file__).parent.parent
NAN, INF = float("nan"), float("inf")


def test_modeling_and_processing_have_the_same_checks():
    """A saved folder has one file for the code of both."""
    copies = [(ROOT / folder / "setting_checks.py").read_bytes() for folder in ("modeling", "processing")]
    assert copies[0] == copies[1]


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (EmoLlamaConfig, {"num_query_tokens": "3"}, r"`num_query_tokens` must be a whole number .*, got '3'"),
        (EmoLlamaConfig, {"num_query_tokens": True}, "`num_query_tokens` must be a whole number"),
        (EmoLlamaConfig, {"num_query_tokens": 10**30}, "`num_query_tokens` must be a whole number"),
        (EmoLlamaConfig, {"projector_depth": 10**6}, "`projector_depth` must be a whole number from 1 to 1000"),
        (EmoLlamaConfig, {"image_token_id": -1}, "`image_token_id`"),
        (EmoLlamaConfig, {"initializer_range": NAN}, "`initializer_range` must be a number"),
        (EmoLlamaConfig, {"content_tokens": 3}, "`content_tokens` must be a text, got 3"),
        (EmoLlamaConfig, {"content_tokens": "grid:" + "9" * 9000}, "`content_tokens` must be 'mean'"),
        (EmoLlamaConfig, {"emotion_labels": "happy"}, "`emotion_labels` must be a list of texts, got 'happy'"),
        (EmoLlamaConfig, {"emotion_labels": ["happy", "happy"]}, "`emotion_labels` .* each different"),
        (EmoLlamaConfig, {"emotion_labels": ["\ud800"]}, "`emotion_labels` must be a list of texts"),
        (EmoLlamaConfig, {"text_config": 3}, "`text_config` must be a mapping"),
        (EmoLlamaConfig, {"text_config": {"model_type": []}}, r"`text_config.model_type` must be a text, got \[\]"),
        (EmoLlamaConfig, {"text_config": {"hidden_size": "a"}}, "`text_config` is not valid: .*'hidden_size'"),
        (EmoLlamaConfig, {"text_config": {"num_hidden_layers": 10**9}}, "`text_config.num_hidden_layers` .* to 1000"),
        (
            EmoLlamaConfig,
            {"text_config": {"hidden_act": "nn"}},
            "`text_config.hidden_act` must be one of .*, got 'nn'",
        ),
        (EmoLlamaConfig, {"vision_config": {"hidden_act": "nn"}}, "`vision_config.hidden_act` must be one of"),
        (EmoLlamaConfig, {"qformer_config": {"hidden_act": 3}}, "`qformer_config"),
        (EmoLlamaFaceConfig, {"backbone_config": {"hidden_act": "nn"}}, "`backbone_config.hidden_act` must be one of"),
        (EmoLlamaConfig, {"text_config": {"model_type": "t5"}}, "`text_config.is_encoder_decoder` must be false"),
        (EmoLlamaConfig, {"qformer_config": {"return_dict": False}}, "`qformer_config.return_dict` must be true"),
        (
            EmoLlamaConfig,
            {"text_config": {"model_type": "llama", "rope_parameters": {"rope_theta": False}}},
            "`text_config.rope_parameters.rope_theta` must be a number",
        ),
        (EmoLlamaConfig, {"vision_config": {"image_size": 10**6}}, "`vision_config.image_size`"),
        (EmoLlamaConfig, {"vision_config": {"patch_size": [14, 14]}}, "`vision_config.patch_size`"),
        (
            EmoLlamaConfig,
            {"qformer_config": {"chunk_size_feed_forward": {}}},
            "`qformer_config.*chunk_size_feed_",
        ),
        (EmoLlamaConfig, {"face_config": {"image_size": 0}}, "`face_config` is not valid: `image_size`"),
        (EmoLlamaConfig, {"dtype": "nn"}, "`dtype` must be a floating point type"),
        (EmoLlamaConfig, {"dtype": "float"}, None),
        (EmoLlamaConfig, {"id2label": 3}, "`emo_llama` is not valid: "),
        (EmoLlamaConfig, {"to_dict": 3}, "`to_dict` is no setting of EmoLlamaConfig"),
        (EmoLlamaConfig, {"__class__": 3}, "`__class__` is no setting of EmoLlamaConfig"),
        (EmoLlamaConfig, {"something_newer": 3}, None),
        (EmoLlamaConfig, {"num_query_tokens": np.int64(32)}, None),
        (EmoLlamaFaceConfig, {"tasks": "landmarks"}, "`tasks` must be a list of texts"),
        (EmoLlamaFaceConfig, {"num_landmarks": 0}, "`num_landmarks` must be a whole number"),
        (EmoLlamaFaceConfig, {"average_mirrored": "no"}, "`average_mirrored` must be true or false, got 'no'"),
        (EmoLlamaFaceConfig, {"backbone_config": {"depths": [2, 2, 10**9, 2]}}, "`backbone_config"),
        (EmoLlamaFaceDetectorConfig, {"min_face_size": []}, r"`min_face_size` must be a number .*, got \[\]"),
        (EmoLlamaFaceDetectorConfig, {"min_face_size": 1}, "`min_face_size` must be a number from 6"),
        (EmoLlamaFaceDetectorConfig, {"thresholds": 0.5}, "`thresholds` must be 3 numbers from 0 to 1, got 0.5"),
        (EmoLlamaFaceDetectorConfig, {"thresholds": [0.5, "a", 1]}, "`thresholds` must be 3 numbers"),
        (EmoLlamaFaceDetectorConfig, {"pyramid_factor": 0.9999}, "`pyramid_factor` must be a number from 0.05"),
        (EmoLlamaFaceDetectorConfig, {"batch_size": 1.5}, "`batch_size` must be a whole number"),
        (FaceSettings, {"face_choice": []}, "`face_choice` must be one of"),
        (FaceSettings, {"face_margin": INF}, "`face_margin` must be a number"),
        (PromptSettings, {"user_prefix": 3}, "`user_prefix` must be a text"),
        (PromptSettings, {"use_attributes": "no"}, "`use_attributes` must be true or false"),
        (PromptSettings, {"attribute_phrases": []}, "`attribute_phrases` must be a mapping"),
        (PromptSettings, {"attribute_template": "{attributes:>99999999}"}, "`attribute_template` must be a text"),
        (EmoLlamaImageProcessor, {"size": {"height": 224, "width": 10**6}}, "`size.width` must be a whole .* to 4096"),
        (EmoLlamaImageProcessor, {"face_size": {"height": 224}}, "`face_size` must be a `height` and a `width`"),
        (EmoLlamaImageProcessor, {"face_size": None}, "`face_size` must be a `height` and a `width`, got None"),
        (EmoLlamaImageProcessor, {"face_mean": None}, "`face_mean` must be 3 numbers .*, got None"),
        (EmoLlamaImageProcessor, {"image_std": [1, 1, 0]}, "`image_std` must be 3 numbers"),
        (EmoLlamaImageProcessor, {"image_mean": [-1, 0, 0]}, "`image_mean` must be 3 numbers from 0 to 1"),
        (EmoLlamaImageProcessor, {"image_mean": [-1, 0, 0], "do_pad": False}, None),
        (EmoLlamaImageProcessor, {"do_resize": "yes"}, "`do_resize` must be true or false"),
        (EmoLlamaImageProcessor, {"resample": 99}, "`resample`"),
        (EmoLlamaImageProcessor, {"rescale_factor": NAN}, "`rescale_factor` must be a number"),
        (EmoLlamaImageProcessor, {"preprocess": 3}, "`preprocess` is no setting"),
        (EmoLlamaVideoProcessor, {"num_frames": "all"}, "`num_frames` must be a whole number"),
        (EmoLlamaVideoProcessor, {"num_frames": 10**9}, "`num_frames` must be a whole number"),
        (EmoLlamaVideoProcessor, {"fps": 1e308}, "`fps` must be a number"),
        (EmoLlamaVideoProcessor, {"do_sample_frames": "no"}, "`do_sample_frames` must be true or false"),
    ],
)
def test_wrong_settings_are_named(kind, settings, message):
    if message is None:
        kind(**settings)
        return
    with pytest.raises(ValueError, match=message) as caught:
        kind(**settings)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tokens_per_frame", "abc", "`tokens_per_frame` must be a whole number .*, got 'abc'"),
        ("tokens_per_frame", 10**9, "`tokens_per_frame` must be a whole number"),
        ("label_temperature", 0, "`label_temperature` must be a number"),
        ("image_token", 3, "`image_token` must be a text"),
        ("image_token", "<video>", "`image_token` and `video_token` must differ"),
        ("faces", 3, "`faces` must be a mapping"),
        ("faces", {"age": 3}, "`faces` has 'age', but its settings are face_choice"),
        ("prompt", {"user_prefix": ""}, "`user_prefix` must be a text"),
        ("image_processor", 3, "`image_processor` must be a mapping"),
        ("video_processor", {"strategy": 3}, "`strategy` must be one of"),
        ("face_detector", "no", "`face_detector` must be true or false, got 'no'"),
    ],
)
def test_wrong_settings_in_a_processors_file_are_named(tmp_path, name, value, message):
    source = Path(default_model())
    file = linked_copy(source, tmp_path / "model", "processor_config.json")
    file.write_text(json.dumps({**json.loads((source / "processor_config.json").read_text()), name: value}))
    with pytest.raises(ValueError, match=message):
        AutoProcessor.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize("open_it", [AutoConfig.from_pretrained, AutoModel.from_pretrained])
def test_wrong_settings_in_a_models_file_are_named(tmp_path, open_it):
    source = Path(default_model())
    file = linked_copy(source, tmp_path / "model", "config.json")
    file.write_text(json.dumps({**json.loads((source / "config.json").read_text()), "num_query_tokens": "many"}))
    with pytest.raises(ValueError, match=r"`num_query_tokens` must be a whole number .*, got 'many'"):
        open_it(tmp_path / "model")


def test_the_shipped_settings_load_unchanged():
    for file, kind in (("config.json", EmoLlamaConfig), ("face_detector/config.json", EmoLlamaFaceDetectorConfig)):
        saved = json.loads((Path(default_model()) / file).read_text())
        loaded = kind.from_dict(saved).to_dict()
        for name in saved.keys() - {"transformers_version"}:
            if not name.endswith("_config"):  # these get what newer versions of transformers have besides
                assert loaded[name] == saved[name]


def test_any_value_can_be_shown():
    inner: list = []
    for _ in range(20_000):
        inner = [inner]
    assert len(shown(inner)) < 100
    assert shown(10**5000) == "a number of 16610 bits"
    assert shown("ab") == "'ab'" and shown(3) == "3"
