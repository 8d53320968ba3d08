"""transformers' own tests of image processors, run on EmoLlamaImageProcessor."""

import unittest

from common import load_common
from emo_llama_hf import EmoLlamaImageProcessor

common = load_common("test_image_processing_common")


class EmoLlamaImageProcessingTester(common.ImageProcessingTester):
    def __init__(self, parent, **kwargs):
        super().__init__(
            parent, size={"height": 20, "width": 18}, face_size={"height": 16, "width": 16}, do_pad=True, **kwargs
        )

    def _get_image_processing_classes(self):
        return {"pil": EmoLlamaImageProcessor}


class EmoLlamaImageProcessingTest(common.ImageProcessingTestMixin, unittest.TestCase):
    image_processor_tester_class = EmoLlamaImageProcessingTester

    @unittest.skip("Every picture becomes RGB, which is what the vision encoder takes.")
    def test_call_numpy_4_channels(self):
        pass

    @unittest.skip("Its subprocess does not import this package; all tests here run without torchvision anyway.")
    def test_pil_can_run_without_torchvision(self):
        pass

    @unittest.skip("torchvision is no dependency, so there is no torchvision backend.")
    def test_new_models_require_torchvision_backend(self):
        pass
