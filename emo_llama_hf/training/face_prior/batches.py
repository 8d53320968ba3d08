"""Batches of face crops, changed at random while the face prior learns."""

import io
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import nn

from ...input_error import InputError
from ...seeds import seed_of
from ..augmentation import MIRRORED
from ..random_changes import RandomChanges
from .crops import FaceCrop


@dataclass(frozen=True)
class FaceBatches(RandomChanges):
    """
    Data collator of [`FaceCrops`]: normalized pixels, landmarks and targets. Crops are small and many, so they change
    more, and each in its own way.

    Args:
        mean, std (`list[float]`): normalization of the pixels, the image processor's `face_mean` and `face_std`.
        mirror, color, grey, erase (`float`, *optional*, default to 0.5, 0.3, 0.3 and 0.4): see [`RandomChanges`].
        rotate (`float`, *optional*, defaults to 12): largest rotation in degrees.
        shift (`float`, *optional*, defaults to 0.08): largest shift, as a part of the crop.
        scale (`float`, *optional*, defaults to 0.15): crops are cut to, or widened to, 1 ± `scale` of their sides.
        stretch (`float`, *optional*, defaults to 0.2):
            How much taller than wide, at most, the part shown is: boxes of faces are not square.
        coarse (`float`, *optional*, defaults to 0):
            Probability that a batch is seen as if photographed from afar: shrunk, to a third of its sides at most, and
            enlarged again.
        compress (`float`, *optional*, defaults to 0): probability of JPEG's traces, of quality 20 to 60, in a crop.
        mixup (`float`, *optional*, defaults to 0.2):
            Probability that the crops of a batch are mixed in pairs (arXiv 1710.09412); without landmarks then.
        views (`int`, *optional*, defaults to 1):
            How many differently changed versions of each crop a batch has: first one of every crop, then another one.
        seed (`int`, *optional*, defaults to 0)

    Raises:
        `InputError`: a knob is negative, or above 1 where it is a probability or a part; `views` is below 1.
    """

    mean: list[float]
    std: list[float]
    _: KW_ONLY
    color: float = 0.3
    grey: float = 0.3
    erase: float = 0.4
    rotate: float = 12.0
    shift: float = 0.08
    scale: float = 0.15
    stretch: float = 0.2
    coarse: float = 0.0
    compress: float = 0.0
    mixup: float = 0.2
    views: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_parts("shift", "scale", "coarse", "compress", "mixup")
        if self.views < 1:
            raise InputError(f"`views` must be at least 1, got {self.views}.")
        for name, value in (("rotate", self.rotate), ("stretch", self.stretch)):
            if value < 0:
                raise InputError(f"`{name}` must be at least 0 (off), got {value}.")

    def plain(self) -> "FaceBatches":
        """Batches for evaluation, in which nothing is changed."""
        off = RandomChanges(mirror=0, color=0, grey=0, erase=0)
        return replace(
            self, **vars(off), rotate=0, shift=0, scale=0, stretch=0, coarse=0, compress=0, mixup=0, views=1
        )

    def __call__(self, samples: list[FaceCrop]) -> dict[str, torch.Tensor]:
        """
        One batch. What is drawn depends on `seed` and on which crops are in the batch, in which order, alone.

        Args:
            samples (`list[dict]`): crops of [`FaceCrops`].

        Returns:
            `dict`, B being `views` times the crops: `pixel_values` (B, 3, h, w), `landmarks` (B, L, 2) with NaN where
            they are unknown, and of each task its target (B, classes).
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(self.seed, *(sample["index"] for sample in samples)))
            return self._batch(samples * self.views)

    def _batch(self, samples: list[FaceCrop]) -> dict[str, torch.Tensor]:
        pixels = torch.stack([sample["pixels"] for sample in samples]).float() / 255
        landmarks = torch.stack([sample["landmarks"] for sample in samples])
        tasks = [name for name in samples[0] if name not in ("index", "pixels", "landmarks")]
        batch = {task: torch.stack([sample[task] for sample in samples]) for task in tasks}
        if any((self.mirror, self.rotate, self.shift, self.scale, self.stretch)):
            pixels, landmarks = self._move(pixels, landmarks)
        if self.color or self.grey:
            pixels = self._recolor(pixels)
        if torch.rand(()) < self.coarse:
            pixels = _seen_from_afar(pixels)
        if self.compress:
            pixels = _compressed(pixels, torch.rand(len(pixels)) < self.compress)
        if self.erase:
            pixels = self._hide(pixels)
        if torch.rand(()) < self.mixup:
            part = torch.distributions.Beta(0.4, 0.4).sample()
            count = len(pixels) // self.views
            mates = torch.randperm(count)  # the same for every view of a crop
            order = torch.cat([mates + start for start in range(0, len(pixels), count)])
            pixels = part * pixels + (1 - part) * pixels[order]
            batch = {task: part * values + (1 - part) * values[order] for task, values in batch.items()}
            landmarks = torch.full_like(landmarks, torch.nan)
        pixels = (pixels - torch.tensor(self.mean).view(3, 1, 1)) / torch.tensor(self.std).view(3, 1, 1)
        return {
            "pixel_values": pixels.contiguous(memory_format=torch.channels_last),
            "landmarks": landmarks,
            **batch,
        }

    def _move(self, pixels: torch.Tensor, landmarks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mirror, turn, resize and shift; what lies beyond a crop's border looks like its border."""
        count = len(pixels)
        angle = _spread(count, self.rotate) * torch.pi / 180
        size = 1 + _spread(count, self.scale)
        tall = 1 + torch.rand(count) * self.stretch
        mirrored = torch.rand(count) < self.mirror
        # The matrix leads from a place in the new crop to the place in the old one.
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).view(count, 2, 2)
        matrix = turn * torch.stack([size * torch.where(mirrored, -1, 1), size * tall], dim=-1)[:, None]
        offset = 2 * torch.stack([_spread(count, self.shift), _spread(count, self.shift)], dim=-1)[..., None]
        grid = nn.functional.affine_grid(torch.cat([matrix, offset], dim=-1), list(pixels.shape), align_corners=False)
        pixels = nn.functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
        landmarks = (landmarks - offset.transpose(1, 2)) @ torch.linalg.inv(matrix).transpose(1, 2)
        swapped = landmarks[:, MIRRORED] if landmarks.shape[1] == len(MIRRORED) else landmarks
        return pixels, torch.where(mirrored[:, None, None], swapped, landmarks)

    def _recolor(self, pixels: torch.Tensor) -> torch.Tensor:
        count = len(pixels)
        grey = pixels.mean(1, keepdim=True)
        pixels = torch.where(torch.rand(count, 1, 1, 1) < self.grey, grey, pixels)
        gain = 1 + _spread((count, 1, 1, 1), self.color)
        # A third of the crops keep their colours, so that grey ones stay part of what is learned.
        tint = 1 + _spread((count, 3, 1, 1), self.color / 2) * (torch.rand(count, 1, 1, 1) < 0.67)
        middle = pixels.mean((1, 2, 3), keepdim=True)
        contrast = 1 + _spread((count, 1, 1, 1), self.color)
        return (((pixels - middle) * contrast + middle) * gain * tint).clamp(0, 1)

    def _hide(self, pixels: torch.Tensor) -> torch.Tensor:
        count, _, height, width = pixels.shape

        def inside(size: int) -> torch.Tensor:
            length = torch.empty(count, 1).uniform_(0.15, 0.45) * size
            start = torch.rand(count, 1) * (size - length)
            place = torch.arange(size)
            return (place >= start) & (place < start + length)

        hidden = inside(height)[:, :, None] & inside(width)[:, None, :]
        hidden &= (torch.rand(count) < self.erase)[:, None, None]
        return torch.where(hidden[:, None], torch.rand(count, 1, 1, 1), pixels)


def _seen_from_afar(pixels: torch.Tensor) -> torch.Tensor:
    """Crops with no more detail than a picture of a third of their sides, or more, has."""
    height, width = pixels.shape[-2:]
    part = torch.empty(()).uniform_(1 / 3, 1).item()
    small = nn.functional.interpolate(pixels, scale_factor=part, mode="bilinear", antialias=True)
    return nn.functional.interpolate(small, (height, width), mode="bicubic").clamp(0, 1)


def _compressed(pixels: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Crops of which the chosen ones were saved as JPEG."""
    pixels = pixels.clone()
    for index in chosen.nonzero().flatten().tolist():
        file = io.BytesIO()
        picture = (pixels[index].permute(1, 2, 0) * 255).round().byte()
        Image.fromarray(picture.numpy()).save(file, "JPEG", quality=int(torch.randint(20, 61, ())))
        pixels[index] = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255
    return pixels


def _spread(shape: int | tuple[int, ...], limit: float) -> torch.Tensor:
    """Numbers drawn evenly from -limit to limit."""
    return (torch.rand(shape) * 2 - 1) * limit
