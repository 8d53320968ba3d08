"""transformers' own tests of configurations and models, run on EmoLlama and on its face prior."""

import unittest
from unittest.mock import patch

import pytest
import torch

from common import load_common
from emo_llama_hf import (
    EmoLlamaConfig,
    EmoLlamaFaceConfig,
    EmoLlamaFacePriorModel,
    EmoLlamaForConditionalGeneration,
    EmoLlamaModel,
)
from emo_llama_hf.processing.face_detection import EmoLlamaFaceDetectorConfig
from tiny_model import tiny_config

common = load_common("test_modeling_common")
ConfigTester = load_common("test_configuration_common").ConfigTester

VISUAL_INPUTS = (
    "pixel_values",
    "frame_counts",
    "qformer_input_ids",
    "qformer_attention_mask",
    "face_pixel_values",
    "face_mask",
)


@pytest.fixture(autouse=True, scope="module")
def as_transformers_own():
    """
    The tests look up what a class is for in the lists of transformers' own models, and draw tokens of the whole
    vocabulary, the last of which stands for what a text does not show. And they write every weight into a message,
    whether it is needed or not.
    """
    draw, whole = common.ids_tensor, EmoLlamaModelTester.vocab_size + 1
    with (
        patch.object(common, "ids_tensor", lambda shape, size, **kw: draw(shape, size - (size == whole), **kw)),
        patch.dict(common.MODEL_MAPPING_NAMES, emo_llama="EmoLlamaModel"),
        patch.dict(common.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, emo_llama="EmoLlamaForConditionalGeneration"),
    ):
        torch.set_printoptions(threshold=0, edgeitems=0)
        yield
        torch.set_printoptions(profile="default")


class EmoLlamaModelTester:
    """Makes a tiny model's configuration, and inputs of one frame a sample: the tests cut and stretch them by row."""

    is_training = True
    batch_size = 7  # as many as the comparison of attention implementations stretches its inputs to
    text_length = 6
    parts = {}  # sub-configurations other than the tiny model's
    vocab_size = 99
    image_token_id = vocab_size  # which grows by it, as in a conversion

    def __init__(self, parent):
        self.parent = parent
        config = self.get_config()
        self.text_config = config.text_config.to_dict()
        self.vision_config = config.vision_config.to_dict()
        self.hidden_size = config.text_config.hidden_size
        self.num_hidden_layers = config.text_config.num_hidden_layers
        self.num_attention_heads = config.text_config.num_attention_heads
        self.seq_length = self.encoder_seq_length = self.text_length + config.tokens_per_frame

    def get_config(self):
        return tiny_config(vocab_size=self.vocab_size, image_token_id=self.image_token_id, **self.parts)

    def prepare_config_and_inputs_for_common(self):
        config = self.get_config()
        batch, image, face = self.batch_size, config.vision_config.image_size, config.face_config.image_size
        text = common.ids_tensor([batch, self.text_length], self.vocab_size - 4) + 4
        placeholders = torch.full((batch, config.tokens_per_frame), config.image_token_id)
        input_ids = torch.cat([placeholders, text], dim=1)
        return config, {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "pixel_values": common.floats_tensor([batch, 3, image, image]),
            "frame_counts": torch.ones(batch, dtype=torch.long),
            "qformer_input_ids": common.ids_tensor([batch, 5], config.qformer_config.vocab_size),
            "qformer_attention_mask": torch.ones(batch, 5, dtype=torch.long),
            "face_pixel_values": common.floats_tensor([batch, 3, face, face]),
            "face_mask": torch.ones(batch, dtype=torch.bool),
        }


class EmoLlamaModelTest(common.ModelTesterMixin, common.GenerationTesterMixin, unittest.TestCase):
    all_model_classes = (EmoLlamaModel, EmoLlamaForConditionalGeneration)
    additional_model_inputs = VISUAL_INPUTS
    _is_composite = True
    test_can_init_all_missing_weights_before_2023 = True  # not only for the models of the latest years
    test_all_params_have_gradient = False  # the face prior's age head, say, has no part in the answer

    def setUp(self):
        self.model_tester = EmoLlamaModelTester(self)
        self.config_tester = ConfigTester(
            self, config_class=EmoLlamaConfig, has_text_modality=False, num_query_tokens=5, content_tokens="grid:2"
        )

    def test_reverse_loading_mapping(self):
        """Converters give older files a row, and rename nothing."""
        super().test_reverse_loading_mapping(check_keys_were_modified=False)

    def test_config(self):
        self.config_tester.run_common_tests()

    def _image_features_prepare_config_and_inputs(self):
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        return config, {name: inputs[name] for name in VISUAL_INPUTS}

    # The next two shrink the vocabulary, and tokens that are no longer in it become its last one.

    def test_resize_tokens_embeddings(self):
        self.model_tester.image_token_id = 3
        super().test_resize_tokens_embeddings()

    def test_resize_embeddings_untied(self):
        self.model_tester.image_token_id = 3
        super().test_resize_embeddings_untied()

    # The next two set the attention of every part, and a ResNet has none to set.

    def test_can_set_attention_dynamically(self):
        self.model_tester.parts = {"face_config": swin_face_config()}
        super().test_can_set_attention_dynamically()

    def test_can_set_attention_dynamically_composite_model(self):
        self.model_tester.parts = {"face_config": swin_face_config()}
        super().test_can_set_attention_dynamically_composite_model()

    def text_only(self):
        """Visual inputs need `input_ids`, whose placeholders say where they go."""
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        inputs = {"input_ids": inputs["input_ids"][:, config.tokens_per_frame :]}
        return patch.object(self.model_tester, "prepare_config_and_inputs_for_common", return_value=(config, inputs))

    def test_inputs_embeds(self):
        with self.text_only():
            super().test_inputs_embeds()

    def test_inputs_embeds_matches_input_ids(self):
        with self.text_only():
            super().test_inputs_embeds_matches_input_ids()


def test_face_weights_that_a_checkpoint_lacks_are_initialized(tmp_path):
    EmoLlamaForConditionalGeneration(tiny_config(face=False)).save_pretrained(tmp_path)
    torch.use_deterministic_algorithms(True)  # memory that nobody initialized is NaN
    try:
        model = EmoLlamaForConditionalGeneration.from_pretrained(tmp_path, config=tiny_config())
    finally:
        torch.use_deterministic_algorithms(False)
    values = dict(model.named_parameters())
    assert all(value.isfinite().all() for value in values.values())
    gates = [value for name, value in values.items() if name.endswith("_attention.gate")]
    assert len(gates) == 2 and all((gate == 0).all() for gate in gates)


def swin_face_config():
    """A tiny face prior with the backbone of the original weights, a Swin."""
    return EmoLlamaFaceConfig(
        backbone_config={
            "model_type": "swin",
            "image_size": 32,
            "embed_dim": 8,
            "depths": [1, 1, 2, 1],
            "num_heads": [1, 1, 2, 2],
            "window_size": 4,
            "out_features": ["stage1", "stage2", "stage3", "stage4"],
        },
        decoder_config={"hidden_size": 32, "mlp_dim": 48, "num_attention_heads": 4},
        image_size=32,
        num_landmarks=5,
    )


def test_attention_asked_of_the_whole_model_may_be_one_that_the_face_backbone_lacks(tmp_path):
    EmoLlamaForConditionalGeneration(tiny_config()).save_pretrained(tmp_path)
    model = EmoLlamaForConditionalGeneration.from_pretrained(tmp_path, attn_implementation="sdpa")
    assert model.model.face_prior.backbone.config._attn_implementation == "eager"
    assert model.model.face_prior.config._attn_implementation == "sdpa"


@pytest.mark.slow  # compiles
@torch.no_grad()
def test_flex_attention_gives_what_eager_attention_gives(tmp_path):
    tester = EmoLlamaModelTester(None)
    config, inputs = tester.prepare_config_and_inputs_for_common()
    EmoLlamaForConditionalGeneration(config).save_pretrained(tmp_path)
    logits = [
        EmoLlamaForConditionalGeneration.from_pretrained(tmp_path, attn_implementation=attention)(**inputs).logits
        for attention in ("eager", "flex_attention")
    ]
    torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)


class EmoLlamaFacePriorModelTester:
    is_training = False
    batch_size = 3

    def __init__(self, parent):
        self.parent = parent
        config = self.get_config()
        self.hidden_size = config.hidden_size
        self.num_attention_heads = config.decoder_config.num_attention_heads
        # Of the decoder, whose task tokens are its sequence; what they are before it is the same for every face.
        self.num_hidden_layers = self.expected_num_hidden_layers = config.decoder_config.num_hidden_layers
        self.seq_length = len(config.tasks) - 1 + len(config.parsing_labels)

    def get_config(self):
        return swin_face_config()

    def prepare_config_and_inputs_for_common(self):
        config = self.get_config()
        size = config.image_size
        return config, {"pixel_values": common.floats_tensor([self.batch_size, 3, size, size])}


class EmoLlamaFacePriorModelTest(common.ModelTesterMixin, unittest.TestCase):
    all_model_classes = (EmoLlamaFacePriorModel,)
    test_resize_embeddings = False
    test_can_init_all_missing_weights_before_2023 = True

    def setUp(self):
        self.model_tester = EmoLlamaFacePriorModelTester(self)
        self.config_tester = ConfigTester(
            self, config_class=EmoLlamaFaceConfig, has_text_modality=False, image_size=64, num_landmarks=5
        )

    def test_config(self):
        self.config_tester.run_common_tests()

    @unittest.skip("A face prior reads pixels: it has no input embeddings.")
    def test_model_get_set_embeddings(self):
        pass

    @unittest.skip("A face prior's first output, its map, is made before the decoder whose hidden states it gives.")
    def test_retain_grad_hidden_states_attentions(self):
        pass


class EmoLlamaFaceDetectorConfigTest(unittest.TestCase):
    def test_config(self):
        ConfigTester(
            self,
            config_class=EmoLlamaFaceDetectorConfig,
            has_text_modality=False,
            common_properties=["min_face_size", "thresholds"],
            min_face_size=30,
        ).run_common_tests()
