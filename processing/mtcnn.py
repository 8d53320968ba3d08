"""MTCNN (Zhang et al. 2016, arXiv 1604.02878): three small nets that find faces from coarse to fine.

Behaves as facenet-pytorch 2.6.0 (`models/mtcnn.py`, `models/utils/detect_face.py`) does for one picture, so its
trained weights give its boxes. Box arithmetic runs on the CPU in float32, the same whatever device the nets are on.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .non_maximum_suppression import nms_per_picture
from .summed_area import SummedArea

WINDOW = 12  # pixels: the side of what one cell of the proposal net sees
STRIDE = 2  # pixels between two neighbouring cells
PIXELS_IN_CACHE = 2**17  # that a net reads at once on a CPU, whose cache holds what it makes of them


class Detections(NamedTuple):
    """
    The faces of one picture, float32 on the CPU.

    Args:
        boxes (`torch.Tensor` of shape `(N, 4)`): x0, y0, x1, y1 in pixels.
        scores (`torch.Tensor` of shape `(N,)`): probability of a face, 0 to 1.
        landmarks (`torch.Tensor` of shape `(N, 5, 2)`): x, y in pixels.
    """

    boxes: Tensor
    scores: Tensor
    landmarks: Tensor


class ChannelsLastPReLU(nn.PReLU):
    """`nn.PReLU` of (N, C, H, W) in channels_last, which torch computes twice as fast as a table of (N*H*W, C)."""

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, H, W) -> the same."""
        table = features.permute(0, 2, 3, 1)
        return super().forward(table.flatten(0, 2)).view(table.shape).permute(0, 3, 1, 2)


class ChannelsLastMaxPool(nn.Module):
    """
    `nn.MaxPool2d(side, 2, ceil_mode=True)` in channels_last, first of rows and then of columns: three times as fast.

    Args:
        side (`int`): of the windows, two apart.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, H, W) -> (N, C, h, w)."""
        return self._pooled(self._pooled(features, 2), 3)

    def _pooled(self, features: Tensor, dim: int) -> Tensor:
        length = features.shape[dim]
        count = (length - self.side + 1) // 2 + 1
        first, *others = (
            features.narrow(dim, shift, length - shift)[(slice(None),) * dim + (slice(None, 2 * count, 2),)]
            for shift in range(self.side)
        )
        pooled = first
        for other in others:
            short = other.shape[dim]  # by one where the last window goes beyond the edge
            if short == count:
                pooled = torch.maximum(pooled, other)
            else:
                pooled = torch.cat(
                    (torch.maximum(pooled.narrow(dim, 0, short), other), pooled.narrow(dim, short, 1)), dim
                )
        return pooled


class ProposalNet(nn.Module):
    """P-Net: slides over a picture of any size from 12x12 and rates every 12x12 window, two pixels apart."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 10, 3), ChannelsLastPReLU(10), ChannelsLastMaxPool(2)),
            *(nn.Conv2d(10, 16, 3), ChannelsLastPReLU(16)),
            *(nn.Conv2d(16, 32, 3), ChannelsLastPReLU(32)),
        )
        self.face_head = nn.Conv2d(32, 2, 1)
        self.box_head = nn.Conv2d(32, 4, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """pixels (N, 3, H, W) -> probability of a face (N, h, w), box offsets (N, h, w, 4) in window sides."""
        features = self.features(pixels).permute(0, 2, 3, 1)
        heads = (self.face_head, self.box_head)
        # As one matrix: torch has no fast convolution of so few channels.
        weight, bias = (
            torch.cat(parts) for parts in zip(*((h.weight.flatten(1), h.bias) for h in heads), strict=True)
        )
        rated = F.linear(features, weight, bias)
        return (rated[..., 1] - rated[..., 0]).sigmoid(), rated[..., 2:]  # softmax of two


class RefineNet(nn.Module):
    """R-Net: rates a proposed box, seen as 24x24 pixels, and corrects it."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 28, 3), ChannelsLastPReLU(28), ChannelsLastMaxPool(3)),
            *(nn.Conv2d(28, 48, 3), ChannelsLastPReLU(48), ChannelsLastMaxPool(3)),
            *(nn.Conv2d(48, 64, 2), ChannelsLastPReLU(64)),
        )
        self.dense = nn.Sequential(nn.Linear(64 * 3 * 3, 128), nn.PReLU(128))
        self.face_head = nn.Linear(128, 2)
        self.box_head = nn.Linear(128, 4)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """pixels (N, 3, 24, 24) -> probability of a face (N,), box offsets (N, 4) in box sides."""
        features = self.dense(_flatten(self.features(pixels)))
        return self.face_head(features).softmax(dim=1)[:, 1], self.box_head(features)


class OutputNet(nn.Module):
    """O-Net: rates a refined box, seen as 48x48 pixels, corrects it and places five landmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 32, 3), ChannelsLastPReLU(32), ChannelsLastMaxPool(3)),
            *(nn.Conv2d(32, 64, 3), ChannelsLastPReLU(64), ChannelsLastMaxPool(3)),
            *(nn.Conv2d(64, 64, 3), ChannelsLastPReLU(64), ChannelsLastMaxPool(2)),
            *(nn.Conv2d(64, 128, 2), ChannelsLastPReLU(128)),
        )
        self.dense = nn.Sequential(nn.Linear(128 * 3 * 3, 256), nn.PReLU(256))
        self.face_head = nn.Linear(256, 2)
        self.box_head = nn.Linear(256, 4)
        self.landmark_head = nn.Linear(256, 10)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """pixels (N, 3, 48, 48) -> probability (N,), box offsets (N, 4), landmarks (N, 10): five x, then five y."""
        features = self.dense(_flatten(self.features(pixels)))
        return self.face_head(features).softmax(dim=1)[:, 1], self.box_head(features), self.landmark_head(features)


class Mtcnn(nn.Module):
    """
    The cascade: P-Net proposes on an image pyramid, R-Net refines, O-Net decides and places landmarks.

    Args:
        min_face_size (`float`): side in pixels of the smallest face looked for.
        thresholds (`Sequence[float]`): least probability of a face after P-Net, R-Net and O-Net.
        pyramid_factor (`float`): scale from one pyramid level to the next, between 0 and 1.
        nms_thresholds (`Sequence[float]`):
            Overlap above which the less probable of two boxes is dropped: within a pyramid level, across levels, after
            R-Net (intersection over union) and after O-Net (intersection over the smaller box).
        crop_batch_size (`int`): boxes that R-Net or O-Net see at once.
    """

    def __init__(
        self,
        min_face_size: float,
        thresholds: Sequence[float],
        pyramid_factor: float,
        nms_thresholds: Sequence[float],
        crop_batch_size: int,
    ) -> None:
        super().__init__()
        self.min_face_size = min_face_size
        self.thresholds = thresholds
        self.pyramid_factor = pyramid_factor
        self.nms_thresholds = nms_thresholds
        self.crop_batch_size = crop_batch_size
        self.pnet = ProposalNet()
        self.rnet = RefineNet()
        self.onet = OutputNet()

    def forward(self, pixels: Tensor, proposals: Tensor | None = None) -> list[Detections]:
        """
        RGB pixels (B, H, W, 3) uint8 on the nets' device -> the faces of each of the B pictures; with `proposals`
        (N, 4), square boxes on the CPU that P-Net would give, those of the only picture near them.
        """
        pictures = SummedArea(pixels)
        if proposals is None:
            picture, boxes = self._propose(pictures)
        else:
            picture, boxes = torch.zeros(len(proposals), dtype=torch.long), proposals
        picture, boxes = self._refine(pictures, picture, boxes)
        picture, found = self._decide(pictures, picture, boxes)
        return [Detections(*(tensor[picture == index] for tensor in found)) for index in range(len(pixels))]

    def judge(self, pixels: Tensor, boxes: Tensor) -> Detections:
        """
        The faces that square boxes (N, 4) on the CPU may be in a picture (1, H, W, 3), uint8 on the nets' device:
        their scores are the products of R-Net's and O-Net's probabilities.
        """
        pictures, picture = SummedArea(pixels), torch.zeros(len(boxes), dtype=torch.long)
        _, _, (refined, _) = self._look_closer(self.rnet, 24, pictures, picture, boxes)
        _, boxes, (scores, offsets, points) = self._look_closer(self.onet, 48, pictures, picture, boxes)
        return _placed(boxes, scores * refined, offsets, points)

    def _propose(self, pictures: SummedArea) -> tuple[Tensor, Tensor]:
        """B pictures -> picture index (N,), square boxes (N, 4)."""
        height, width = pictures.height, pictures.width
        levels = []
        for scale in pyramid_scales(height, width, self.min_face_size, self.pyramid_factor):
            level = _normalized(pictures.pooled(int(height * scale + 1), int(width * scale + 1)))
            probability, offsets = self.pnet(level)
            # Chosen on the nets' device: every read of its values makes Python wait for it.
            cells = (probability >= self.thresholds[0]).nonzero()  # N, 3
            picture, row, column = cells.unbind(dim=1)
            passed = torch.cat((probability[picture, row, column, None], offsets[picture, row, column]), dim=1).cpu()
            picture, row, column = cells.cpu().unbind(dim=1)
            scores, offsets = passed[:, 0], passed[:, 1:]
            corner = STRIDE * torch.stack((column, row), dim=1).float()
            # Whole pixels, and one to the right and below, as the original (and MATLAB before it) counts.
            boxes = torch.cat(((corner + 1) / scale, (corner + WINDOW) / scale), dim=1).floor()
            kept = nms_per_picture(picture, boxes, scores, self.nms_thresholds[0])
            levels.append((picture[kept], boxes[kept], scores[kept], offsets[kept]))
        if not levels:
            return torch.zeros(0, dtype=torch.long), torch.zeros(0, 4)
        picture, boxes, scores, offsets = (torch.cat(tensors) for tensors in zip(*levels, strict=True))
        kept = nms_per_picture(picture, boxes, scores, self.nms_thresholds[1])
        return picture[kept], square(shift(boxes[kept], offsets[kept], extra_pixel=0))

    def _refine(self, pictures: SummedArea, picture: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """The proposals that R-Net takes for faces: picture index (M,), corrected square boxes (M, 4)."""
        picture, boxes, (scores, offsets) = self._look_closer(self.rnet, 24, pictures, picture, boxes)
        passed = scores > self.thresholds[1]
        picture, boxes, scores, offsets = picture[passed], boxes[passed], scores[passed], offsets[passed]
        kept = nms_per_picture(picture, boxes, scores, self.nms_thresholds[2])
        return picture[kept], square(shift(boxes[kept], offsets[kept], extra_pixel=1))

    def _decide(self, pictures: SummedArea, picture: Tensor, boxes: Tensor) -> tuple[Tensor, Detections]:
        """The boxes that O-Net takes for faces: picture index (K,) and their detections."""
        picture, boxes, (scores, offsets, points) = self._look_closer(self.onet, 48, pictures, picture, boxes)
        passed = scores > self.thresholds[2]
        picture, boxes, scores, offsets, points = (t[passed] for t in (picture, boxes, scores, offsets, points))
        found = _placed(boxes, scores, offsets, points)
        kept = nms_per_picture(picture, found.boxes, scores, self.nms_thresholds[3], over_smaller=True)
        return picture[kept], Detections(*(tensor[kept] for tensor in found))

    def _look_closer(
        self, net: nn.Module, side: int, pictures: SummedArea, picture: Tensor, boxes: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """
        Shows each box's part of its picture, as side x side pixels, to a net; boxes quite outside are dropped.

        Returns the picture index and boxes that were shown, and the net's outputs for them, on the CPU.
        """
        height, width = pictures.height, pictures.width
        # Pixel counting starts at 1 in the original, hence the left and top edge one pixel further out.
        left_top = boxes[:, :2].long().clamp(min=1) - 1
        right_bottom = boxes[:, 2:].long().minimum(torch.tensor([width, height]))
        inside = (left_top < right_bottom).all(dim=1)
        picture, boxes = picture[inside], boxes[inside]
        edges = torch.cat((left_top[inside], right_bottom[inside]), dim=1)
        most = self.crop_batch_size
        if pictures.sums.device.type == "cpu":
            most = min(most, PIXELS_IN_CACHE // side**2)
        batches = [
            net(_normalized(pictures.crops(some, parts, side)))
            for some, parts in zip(picture.split(most), edges.split(most), strict=True)
        ]
        return picture, boxes, [torch.cat(outputs).cpu() for outputs in zip(*batches, strict=True)]


def pyramid_scales(height: int, width: int, min_face_size: float, pyramid_factor: float) -> list[float]:
    """
    Scales that bring faces, from `min_face_size` up to the picture's shorter side, to 12 pixels; largest first.

    Empty when the picture's shorter side is below `min_face_size`.
    """
    scale = WINDOW / min_face_size
    side = min(height, width) * scale
    scales = []
    while side >= WINDOW:
        scales.append(scale)
        scale *= pyramid_factor
        side *= pyramid_factor
    return scales


def shift(boxes: Tensor, offsets: Tensor, extra_pixel: int) -> Tensor:
    """Moves the edges of boxes (N, 4) by offsets (N, 4) in box sides; a side counts `extra_pixel` above x1 - x0."""
    sides = boxes[:, 2:] - boxes[:, :2] + extra_pixel
    return boxes + offsets * sides.repeat(1, 2)


def square(boxes: Tensor) -> Tensor:
    """Boxes (N, 4) grown along their shorter side to squares about the same centre."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longer = sides.amax(dim=1, keepdim=True)
    corner = boxes[:, :2] + sides * 0.5 - longer * 0.5
    return torch.cat((corner, corner + longer), dim=1)


def _placed(boxes: Tensor, scores: Tensor, offsets: Tensor, points: Tensor) -> Detections:
    """What O-Net says of the boxes (N, 4) that it was shown, in pixels."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    landmarks = points.reshape(len(points), 2, 5).transpose(1, 2)  # (N, 5, 2), in box sides
    landmarks = sides[:, None] * landmarks + boxes[:, None, :2] - 1
    return Detections(shift(boxes, offsets, extra_pixel=1), scores, landmarks)


def _normalized(pixels: Tensor) -> Tensor:
    """Pixels (N, H, W, 3) of 0..255, which are overwritten -> (N, 3, H, W) of about -1..1 in channels_last."""
    return pixels.sub_(127.5).mul_(0.0078125).permute(0, 3, 1, 2)


def _flatten(features: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, W*H*C): the order in which the trained weights, once TensorFlow's and Caffe's, count."""
    return features.permute(0, 3, 2, 1).flatten(1)
