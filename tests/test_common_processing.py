"""transformers' own tests of processors, run on EmoLlamaProcessor."""

import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

import pytest
from PIL import Image

from common import load_common
from emo_llama_hf import EmoLlamaImageProcessor, EmoLlamaProcessor, EmoLlamaVideoProcessor
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

    videos_input_name = "pixel_values"

    @classmethod
    def _setup_image_processor(cls):
        return EmoLlamaImageProcessor()

    @classmethod
    def _setup_video_processor(cls):
        return EmoLlamaVideoProcessor()

    @classmethod
    def _setup_tokenizer(cls):
        with tempfile.TemporaryDirectory() as folder:
            return tiny_tokenizer(Path(folder))

    @classmethod
    def _setup_qformer_tokenizer(cls):
        return tiny_qformer_tokenizer()

    @staticmethod
    def prepare_processor_dict():
        return {"tokens_per_frame": 3, "label_temperature": 1.5}

    def prepare_audio_inputs(self, batch_size=None):
        """None, since sound is refused, which the tests know ignored only."""

    @property
    def video_sampling_expectations(self):
        """Of 16 frames in two seconds; those of all clips lie along the first dimension."""
        return [
            {"num_frames": 3, "fps": None, "expected_dim": 0, "output_length": 3},
            {"num_frames": None, "fps": 2, "expected_dim": 0, "output_length": 4},
            {"do_sample_frames": False, "fps": 10, "expected_dim": 0, "output_length": 16},
            {"do_sample_frames": False, "expected_dim": 0, "output_length": 16},
            {"expected_dim": 0, "output_length": 8},
        ]

    def test_apply_chat_template_tool_calls_no_content(self):
        self.skipTest("the template names tools only to refuse them")

    def test_apply_chat_template_video_frame_sampling(self):
        # Its last line wants lists of frames refused: here these are sampled as any clip is.
        with self.assertRaisesRegex(AssertionError, "ValueError not raised"):
            super().test_apply_chat_template_video_frame_sampling()

    def _test_apply_chat_template(self, modality, *args):
        if modality == "video":  # the test counts clips where ours has a row for each frame: clips of one frame
            args = (*args[:-1], [[Image.new("RGB", (40, 30), color)] for color in ("red", "blue")])
        super()._test_apply_chat_template(modality, *args)

    def test_model_input_names_with_face_detector(self):
        processor = self.get_processor()
        processor.faces.detector = EmoLlamaFaceDetector.from_pretrained(FACE_DETECTOR)
        with patch.object(self, "get_processor", return_value=processor):
            super().test_model_input_names()
