"""Means of rectangles are those that torch's adaptive pooling gives."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from emo_llama_hf.processing.summed_area import SummedArea

sides = st.integers(1, 40)


@given(sides, sides, sides, sides, st.integers(0, 2**31))
def test_pictures_in_another_size(height, width, rows, columns, seed):
    pixels = torch.randint(
        256, (2, height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    expected = F.adaptive_avg_pool2d(pixels.permute(0, 3, 1, 2).float(), (rows, columns))
    torch.testing.assert_close(SummedArea(pixels).pooled(rows, columns), expected.permute(0, 2, 3, 1))


@given(sides, sides, st.integers(1, 30), st.data())
def test_parts_of_pictures(height, width, side, data):
    pixels = torch.randint(256, (2, height, width, 3), dtype=torch.uint8)
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = [x0, y0, data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))]
    expected = F.adaptive_avg_pool2d(pixels[1].permute(2, 0, 1).float()[:, y0 : box[3], x0 : box[2]], side)
    [found] = SummedArea(pixels).crops(torch.tensor([1]), torch.tensor([box]), side)
    torch.testing.assert_close(found, expected.permute(1, 2, 0))


def test_sums_beyond_32_bits():
    pixels = torch.full((1, 3100, 3100, 1), 255, dtype=torch.uint8)  # 2.4e9 in all
    assert SummedArea(pixels).pooled(31, 31).eq(255).all()
