"""transformers' own tests of video processors, run on EmoLlamaVideoProcessor."""

import unittest
from unittest.mock import patch

import numpy as np

# The top-level name asks for torchvision, the class does not.
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
from transformers.video_utils import VideoMetadata

from common import load_common
from emo_llama_hf import EmoLlamaVideoProcessor

common = load_common("test_video_processing_common")


class EmoLlamaVideoProcessingTester:
    batch_size = 5
    num_frames = 8
    num_channels = 3

    def prepare_video_inputs(self, equal_resolution=False, return_tensors="pil"):
        return common.prepare_video_inputs(
            self.batch_size, self.num_frames, self.num_channels, 30, 80, equal_resolution, return_tensors
        )

    def expected_output_video_shape(self, videos):
        """Of all frames together."""
        return sum(map(len, videos)), 3, 20, 18


class EmoLlamaVideoProcessingTest(common.VideoProcessingTestMixin, unittest.TestCase):
    fast_video_processing_class = EmoLlamaVideoProcessor
    input_name = "pixel_values"
    test_cast_dtype = True

    def setUp(self):
        super().setUp()
        self.video_processor_tester = EmoLlamaVideoProcessingTester()
        self.video_processor_dict = {
            "size": {"height": 20, "width": 18},
            "face_size": {"height": 16, "width": 16},
            "num_frames": 8,
            "max_frames": 9,
            "on_error": "partial",
        }

    def assert_expected_videos_shape(self, encoded_videos, expected_output_video_shape, num_videos):
        self.assertEqual(tuple(encoded_videos.shape), expected_output_video_shape)

    def test_video_processor_from_dict_with_kwargs(self):
        processor = EmoLlamaVideoProcessor.from_dict(self.video_processor_dict)
        self.assertEqual(dict(processor.size), {"height": 20, "width": 18})
        self.assertEqual((processor.num_frames, processor.strategy, processor.on_error), (8, "uniform", "partial"))
        processor = EmoLlamaVideoProcessor.from_dict(self.video_processor_dict, size=42, num_frames=3)
        self.assertEqual(dict(processor.size), {"shortest_edge": 42})
        self.assertEqual(processor.num_frames, 3)

    def test_video_processor_save_load_with_autovideoprocessor(self):
        with patch.object(common, "AutoVideoProcessor", AutoVideoProcessor):
            super().test_video_processor_save_load_with_autovideoprocessor()

    def test_call_sample_frames(self):
        processor = EmoLlamaVideoProcessor(**self.video_processor_dict)
        videos = self.video_processor_tester.prepare_video_inputs(return_tensors="torch")

        def counts(**kwargs):
            return processor(videos[:2], return_tensors="pt", **kwargs)["frame_counts"].tolist()

        self.assertEqual(counts(num_frames=3), [3, 3])
        self.assertEqual(counts(num_frames=3, do_sample_frames=False), [8, 8])
        self.assertEqual(counts(num_frames=10), [8, 8])  # a shorter clip gives each of its frames once
        processor.do_sample_frames = False
        self.assertEqual(counts(num_frames=3), [8, 8])
        processor.do_sample_frames = True
        with self.assertRaisesRegex(ValueError, "`video_fps` is missing"):
            counts(fps=3)
        for known in ({"duration": 2.0, "total_num_frames": 8, "fps": 4}, VideoMetadata(8, 4)):
            self.assertEqual(counts(fps=3, video_metadata=[[known]] * 2), [6, 6])

    def test_return_metadata(self):
        clip = np.zeros((8, 30, 40, 3), np.uint8)
        processor = EmoLlamaVideoProcessor(**self.video_processor_dict)
        self.assertNotIn("video_metadata", processor(clip))
        [metadata] = processor(clip, num_frames=2, video_fps=4, return_metadata=True)["video_metadata"]
        self.assertEqual(metadata, VideoMetadata(8, 4.0, 40, 30, 2.0, None, [2, 6]))

    @unittest.skip("Every frame becomes RGB, which is what the vision encoder takes.")
    def test_call_numpy_4_channels(self):
        pass
