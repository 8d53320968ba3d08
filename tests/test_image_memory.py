"""Long pictures are padded to a square without one that fills the memory."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from emo_llama_hf import EmoLlamaImageProcessor
from emo_llama_hf.processing import image_processing_emo_llama as module

MEASURE = """
import resource, sys
from PIL import Image
from emo_llama_hf import EmoLlamaImageProcessor
picture, processor = Image.new("RGB", (int(sys.argv[1]), int(sys.argv[2]))), EmoLlamaImageProcessor()
processor(Image.new("RGB", (64, 64)), return_tensors="pt")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
processor(picture, return_tensors="pt")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("size", [(65500, 1), (1, 20000)])
def test_a_line_takes_little_memory(size):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, size)], capture_output=True, text=True, timeout=60, check=True
    )
    assert float(done.stdout) < 600  # MiB; the square alone would be 1.2 GiB and more


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
