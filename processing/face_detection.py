"""Where the faces of pictures are: MTCNN as a transformers model with a config and safetensors weights."""

import copy
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedConfig, PreTrainedModel

from .mtcnn import WINDOW, Detections, Mtcnn, square
from .setting_checks import (
    MOST,
    check_base_settings,
    check_integer,
    check_number,
    check_numbers,
    check_unknown,
    refused,
)

PYRAMID_FACTORS = (0.05, 0.95)  # closer to 1, the levels of the pyramid are without number
SMALLEST_FACE = (
    0.02  # `min_face_fraction` of the detectors made here: none above a fortieth of the shorter side is lost
)
LARGEST_PICTURE = 2**24  # pixels looked at together; P-Net takes 1.4 GB and 5 s of a core for them
MOST_ON_CPU = 2**19  # pixels of several pictures: memory for more is taken anew each time, which takes longer

# Where a face is looked for near its old place: edges moved by sides of its box. R-Net corrects a quarter of a side.
NEAR = torch.tensor(
    [
        *((x, y, x, y) for x, y in ((0, 0), (-0.25, 0), (0.25, 0), (0, -0.25), (0, 0.25))),
        *((-growth, -growth, growth, growth) for growth in (-0.1, 0.1)),
    ]
)

# What R-Net and O-Net are shown of a picture that may be a face: all of it, and a little less or more of its sides.
WHOLE = torch.tensor([[-growth, -growth, growth, growth] for growth in (-0.1, -0.05, 0.0, 0.05, 0.1)])


@dataclass(frozen=True)
class Face:
    """
    One found face, in pixels of its picture.

    Args:
        box (`tuple[float, float, float, float]`): x0, y0, x1, y1; may reach a little beyond the picture's edges.
        confidence (`float`): the detector's probability of a face, 0 to 1.
        landmarks (`tuple[tuple[float, float], ...]`):
            Five (x, y): left eye, right eye, nose, left and right corner of the mouth, where left is the viewer's left
            (the smaller x in an upright picture), not the person's.
    """

    box: tuple[float, float, float, float]
    confidence: float
    landmarks: tuple[tuple[float, float], ...]


class EmoLlamaFaceDetectorConfig(PreTrainedConfig):
    """
    What is chosen about face detection; the defaults are facenet-pytorch 2.6.0's.

    Args:
        min_face_size (`float`, *optional*, defaults to 20):
            Side in pixels of the smallest face looked for, at least 6: pictures are enlarged for those below 12.
        min_face_fraction (`float`, *optional*, defaults to 0):
            Its side as a part of the picture's shorter side, 0 to 1: a picture in which that is more than
            `min_face_size` is looked at smaller, which takes time in proportion to the faces that are looked for.
        thresholds (`Sequence[float]`, *optional*, defaults to `(0.6, 0.7, 0.7)`):
            Least probability of a face after P-Net, R-Net and O-Net, each 0 to 1.
        pyramid_factor (`float`, *optional*, defaults to 0.709):
            Scale from one level of the image pyramid to the next, 0.05 to 0.95.
        nms_thresholds (`Sequence[float]`, *optional*, defaults to `(0.5, 0.7, 0.7, 0.7)`):
            Overlap, 0 to 1, above which the less probable of two boxes is dropped: within a pyramid level, across
            levels, after R-Net, after O-Net.
        batch_size (`int`, *optional*, defaults to 8):
            Pictures looked at together, as many as have 16 million pixels at most: memory grows with them.
        crop_batch_size (`int`, *optional*, defaults to 512):
            Proposed boxes that R-Net or O-Net look at together.

    Raises:
        `ValueError`: a value is not of its type or out of its range.
    """

    model_type = "emo_llama_face_detector"

    def __init__(
        self,
        min_face_size: float = 20,
        min_face_fraction: float = 0,
        thresholds: Sequence[float] = (0.6, 0.7, 0.7),
        pyramid_factor: float = 0.709,
        nms_thresholds: Sequence[float] = (0.5, 0.7, 0.7, 0.7),
        batch_size: int = 8,
        crop_batch_size: int = 512,
        **kwargs: Any,
    ) -> None:
        check_number("min_face_size", min_face_size, WINDOW / 2, MOST)
        check_number("min_face_fraction", min_face_fraction, 0, 1)
        check_numbers("thresholds", thresholds, 3, 0, 1)
        check_number("pyramid_factor", pyramid_factor, *PYRAMID_FACTORS)
        check_numbers("nms_thresholds", nms_thresholds, 4, 0, 1)
        check_integer("batch_size", batch_size, 1, MOST)
        check_integer("crop_batch_size", crop_batch_size, 1, MOST)
        self.min_face_size = min_face_size
        self.min_face_fraction = min_face_fraction
        self.thresholds = list(thresholds)
        self.pyramid_factor = pyramid_factor
        self.nms_thresholds = list(nms_thresholds)
        self.batch_size = batch_size
        self.crop_batch_size = crop_batch_size
        check_unknown(type(self), kwargs)
        with refused(self.model_type):
            super().__init__(**kwargs)
        check_base_settings(self)


class EmoLlamaFaceDetector(PreTrainedModel):
    """
    MTCNN over PIL images, on CPU or CUDA. Always computes in float32, also when cast to half precision.

    Source: facenet-pytorch 2.6.0, whose boxes it gives with the weights of `conversion/mtcnn_weights.py`.

    Args:
        config ([`EmoLlamaFaceDetectorConfig`]): its settings.
    """

    config_class = EmoLlamaFaceDetectorConfig
    base_model_prefix = "mtcnn"
    main_input_name = "images"
    _keep_in_fp32_modules_strict = ["mtcnn"]

    def __init__(self, config: EmoLlamaFaceDetectorConfig) -> None:
        super().__init__(config)
        self.mtcnn = Mtcnn(
            config.min_face_size,
            config.thresholds,
            config.pyramid_factor,
            config.nms_thresholds,
            config.crop_batch_size,
        )
        self.post_init()

    @torch.inference_mode()
    def detect(self, images: Sequence[Image.Image]) -> list[list[Face]]:
        """
        Finds the faces of each picture.

        Pictures of one size are looked at together, at most `config.batch_size` at a time; each gives what it gives
        alone, but for rounding. A picture with a side below `config.min_face_size` has no faces; one of more than 16
        million pixels is scaled down to these, so that the smallest face looked for is larger, and so is one for
        `config.min_face_fraction`.

        Args:
            images (`Sequence[PIL.Image.Image]`): pictures of mode RGB, each of any size.

        Returns:
            `list[list[Face]]`: for each picture its faces, largest box first; an empty list where there is none.

        Raises:
            `TypeError`: `images` is not a list of PIL images.
            `ValueError`: an image is not of mode RGB.
        """
        _check_images(images)
        same_size = defaultdict(list)
        pictures = [_scaled(image, (0, 0, *image.size), self._scale(image)) for image in images]
        for index, picture in enumerate(pictures):
            same_size[picture.size].append(index)
        faces: list[list[Face]] = [[] for _ in images]
        with self._net() as mtcnn:
            for size, indices in same_size.items():
                if min(size) < self.config.min_face_size:
                    continue
                most = LARGEST_PICTURE if self.device.type != "cpu" else min(LARGEST_PICTURE, MOST_ON_CPU)
                together = max(1, min(self.config.batch_size, most // (size[0] * size[1])))
                for start in range(0, len(indices), together):
                    batch = indices[start : start + together]
                    pixels = torch.from_numpy(np.stack([np.asarray(pictures[index]) for index in batch]))
                    for index, found in zip(batch, mtcnn(pixels.to(self.device)), strict=True):
                        faces[index] = _largest_first(_seen_in(found, (0, 0, *images[index].size), size))
        return faces

    @torch.inference_mode()
    def detect_near(self, image: Image.Image, faces: Sequence[Face]) -> list[list[Face]]:
        """
        Finds the faces near known ones, without a search: R-Net and O-Net look where they were, and a little beside.

        Args:
            image (`PIL.Image.Image`): of mode RGB.
            faces (`Sequence[Face]`): where to look.

        Returns:
            `list[list[Face]]`: for each place the faces there, largest box first, in pixels of the picture.

        Raises:
            `TypeError`: `image` is not a PIL image.
            `ValueError`: it is not of mode RGB.
        """
        _check_images([image])
        scale = self._scale(image)
        found = []
        with self._net() as mtcnn:
            for face in faces:
                near = square(torch.tensor([face.box]))
                side = float(near[0, 2] - near[0, 0])
                proposals = near + NEAR * side
                region = _around(proposals, side / 2, image)
                part = _scaled(image, region, scale)
                corner = torch.tensor(region[:2])
                smaller = torch.tensor(part.size) / (torch.tensor(region[2:]) - corner)
                pixels = torch.from_numpy(np.array(part))[None].to(self.device)
                [seen] = mtcnn(pixels, (proposals - corner.repeat(2)) * smaller.repeat(2))
                found.append(_largest_first(_seen_in(seen, region, part.size)))
        return found

    @torch.inference_mode()
    def detect_whole(self, images: Sequence[Image.Image]) -> list[Face | None]:
        """
        The face that each picture as a whole may be, for pictures that a search finds none in: P-Net looks for faces
        with something around them, and of one that fills its picture R-Net is less sure.

        Args:
            images (`Sequence[PIL.Image.Image]`): pictures of mode RGB, each of any size.

        Returns:
            `list[Face | None]`: of each picture, however small its confidence is, the product of R-Net's and O-Net's
            probabilities; `None` for one with a side below `config.min_face_size`.

        Raises:
            `TypeError`: `images` is not a list of PIL images.
            `ValueError`: an image is not of mode RGB.
        """
        _check_images(images)
        found: list[Face | None] = []
        with self._net() as mtcnn:
            for image in images:
                picture = _scaled(image, (0, 0, *image.size), self._scale(image))
                if min(picture.size) < self.config.min_face_size:
                    found.append(None)
                    continue
                boxes = square(torch.tensor([[0.0, 0.0, *picture.size]])) + WHOLE * max(picture.size)
                pixels = torch.from_numpy(np.array(picture))[None].to(self.device)
                seen = _seen_in(mtcnn.judge(pixels, boxes), (0, 0, *image.size), picture.size)
                found.append(max(_largest_first(seen), key=lambda face: face.confidence))
        return found

    @contextmanager
    def _net(self) -> Iterator[Mtcnn]:
        """The nets in float32, and nothing around them that would compute in less."""
        with (
            torch.autocast(self.device.type, enabled=False),
            # TF32 keeps 10 bits of a float32's mantissa, too few for probabilities right to 1e-3.
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            # Weights in half precision are widened, not the pictures narrowed: a box needs more than 11 bits.
            yield self.mtcnn if self.dtype == torch.float32 else copy.deepcopy(self.mtcnn).float()

    def _scale(self, image: Image.Image) -> float:
        """How much smaller a picture is looked at, in which the faces that are looked for are large enough."""
        longest = math.sqrt(LARGEST_PICTURE / max(image.width * image.height, 1))
        smallest = self.config.min_face_fraction * min(image.size)
        return min(1, longest, self.config.min_face_size / smallest if smallest else 1)


def _around(boxes: torch.Tensor, margin: float, image: Image.Image) -> tuple[int, int, int, int]:
    """The part of a picture that boxes (N, 4) and so many pixels around them lie in; one pixel at least."""
    x0, y0 = (
        int(min(max(edge - margin, 0), size - 1))
        for edge, size in zip(boxes[:, :2].amin(0).tolist(), image.size, strict=True)
    )
    x1, y1 = (
        int(min(edge + margin, size)) for edge, size in zip(boxes[:, 2:].amax(0).tolist(), image.size, strict=True)
    )
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _scaled(image: Image.Image, region: tuple[int, int, int, int], scale: float) -> Image.Image:
    """A part of a picture, made smaller."""
    x0, y0, x1, y1 = region
    size = max(1, int((x1 - x0) * scale)), max(1, int((y1 - y0) * scale))
    if scale == 1:
        return image if size == image.size else image.crop(region)
    return image.resize(size, Image.Resampling.BOX, region)


def _seen_in(found: Detections, region: tuple[int, int, int, int], size: tuple[int, int]) -> Detections:
    """Detections in a part of a picture that was scaled to a size, in the picture's pixels."""
    corner = torch.tensor(region[:2])
    scale = (torch.tensor(region[2:]) - corner) / torch.tensor(size)
    boxes, landmarks = found.boxes * scale.repeat(2) + corner.repeat(2), found.landmarks * scale + corner
    return Detections(boxes, found.scores, landmarks)


def _check_images(images: Sequence[Image.Image]) -> None:
    if isinstance(images, Image.Image) or not isinstance(images, Sequence):
        raise TypeError(
            f"`images` must be a list of PIL images, got {type(images).__name__}; put one image in a list."
        )
    for index, image in enumerate(images):
        if not isinstance(image, Image.Image):
            raise TypeError(f"`images[{index}]` must be a PIL image, got {type(image).__name__}.")
        if image.mode != "RGB":
            raise ValueError(f"`images[{index}]` has mode {image.mode!r}, not 'RGB': convert it with .convert('RGB').")


def _largest_first(found: Detections) -> list[Face]:
    areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(dim=1)
    return [
        Face(
            box=tuple(found.boxes[index].tolist()),
            confidence=found.scores[index].item(),
            landmarks=tuple(map(tuple, found.landmarks[index].tolist())),
        )
        for index in areas.argsort(stable=True).flip(0).tolist()
    ]
