"""Long pictures are padded to a square without one that fills the memory."""

from resource import RUSAGE_SELF, getrusage

import numpy as np
import pytest
import torch
from PIL import Image

from emo_llama_hf import EmoLlamaImageProcessor
from emo_llama_hf.processing import image_processing_emo_llama as module
from forked import forked


def megabytes(size: tuple[int, int]) -> float:
    picture, processor = Image.new("RGB", size), EmoLlamaImageProcessor()
    processor(Image.new("RGB", (64, 64)), return_tensors="pt")
    before = getrusage(RUSAGE_SELF).ru_maxrss
    processor(picture, return_tensors="pt")
    return (getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024


@pytest.mark.parametrize("size", [(65500, 1), (1, 20000)])
def test_a_line_takes_little_memory(size):
    code, found = forked(megabytes, size)
    assert code == 0 and found < 600  # the square alone would be 1.2 GiB and more


@pytest.mark.parametrize("size", [(1500, 900), (600, 1400)])
def test_scaling_first_hardly_changes_the_pixels(size, monkeypatch):
    x, y = np.meshgrid(*(np.linspace(0, 6, side) for side in size))
    levels = 127 + 60 * np.stack([np.sin(x), np.cos(y), np.sin(x + y)], -1)
    picture, processor = Image.fromarray(levels.astype(np.uint8)), EmoLlamaImageProcessor()
    expected = processor(picture, return_tensors="pt")["pixel_values"]
    monkeypatch.setattr(module, "LONGEST_PADDED", 800)
    scaled = processor(picture, return_tensors="pt")["pixel_values"]
    assert not torch.equal(scaled, expected)
    assert (scaled - expected).abs().mean() < 0.01
    inside = (scaled - expected).abs()[..., 90:134, 90:134]  # away from the edge between picture and padding
    assert inside.max() < 0.05
