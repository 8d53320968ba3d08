"""transformers' own tests of processors, run on EmoLlamaProcessor."""

import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

import pytest

from common import load_common
from emo_llama_hf import EmoLlamaImageProcessor, EmoLlamaProcessor
from emo_llama_hf.processing.face_detection import EmoLlamaFaceDetector
from tiny_model import FACE_DETECTOR, tiny_qformer_tokenizer, tiny_tokenizer

common = load_common("test_processing_common")


@pytest.fixture(autouse=True, scope="module")
def as_transformers_own():
    """`auto_map`, written for `trust_remote_code` and dropped on loading, is in the way of comparing round trips."""
    with patch.object(EmoLlamaProcessor, "_auto_class", None):
        yield


class EmoLlamaProcessorTest(common.ProcessorTesterMixin, unittest.TestCase):
    processor_class = EmoLlamaProcessor

    @classmethod
    def _setup_image_processor(cls):
        return EmoLlamaImageProcessor()

    @classmethod
    def _setup_tokenizer(cls):
        with tempfile.TemporaryDirectory() as folder:
            return tiny_tokenizer(Path(folder))

    @classmethod
    def _setup_qformer_tokenizer(cls):
        return tiny_qformer_tokenizer()

    @staticmethod
    def prepare_processor_dict():
        return {"num_frames": 3, "face_choice": "most_confident", "attribute_threshold": 0.7}

    def _get_valid_processor_kwargs_names(self):
        # How frames are sampled is a setting and may be said at the call too, as with transformers' video processors.
        return super()._get_valid_processor_kwargs_names() - {"num_frames", "fps"}

    def without_videos(self):
        """The test takes a processor for one of pictures and text only, since no part of it is a `video_processor`."""
        return patch.object(type(self), "video_token", "")

    def test_processor_with_multiple_inputs(self):
        with self.without_videos():
            super().test_processor_with_multiple_inputs()

    def test_replacement_offsets(self):
        # The test knows processors that give offsets by methods that ours does not need.
        with self.without_videos(), patch.object(type(self), "does_processor_return_mm_offsets", return_value=True):
            super().test_replacement_offsets()

    def test_model_input_names_with_face_detector(self):
        processor = self.get_processor()
        processor.face_detector = EmoLlamaFaceDetector.from_pretrained(FACE_DETECTOR)
        with patch.object(self, "get_processor", return_value=processor):
            super().test_model_input_names()
