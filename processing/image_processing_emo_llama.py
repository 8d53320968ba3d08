"""Image processor of EmoLlama: frames and face crops to tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, PILImageResampling, SizeDict
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.processing_utils import ImagesKwargs
from transformers.utils import TensorType

from .image_loading import load_image
from .setting_checks import (
    check_flag,
    check_integer,
    check_number,
    check_numbers,
    check_size,
    check_unknown,
    refused,
)

FLAGS = {"do_convert_rgb", "do_resize", "do_rescale", "do_normalize", "do_pad", "do_center_crop", "default_to_square"}

LONGEST_PADDED = 4096  # pixels a side, of a 16 megapixel square: larger ones are scaled down before they are padded


class EmoLlamaImageProcessorKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    """
    face_size (`dict[str, int]`, *optional*): height and width of the face crops, 224 pixels by default.
    face_mean, face_std (`list[float]`, *optional*): normalization of the face crops, ImageNet's by default.
    face_boxes (`list`, *optional*): for each image the box to crop, (x0, y0, x1, y1) in pixels, or `None`.
    """

    face_size: Any
    face_mean: Any
    face_std: Any
    face_boxes: Any


class EmoLlamaImageProcessor(LlavaImageProcessorPil):
    """
    Frames are padded to a square with the mean colour, resized and normalized as CLIP's (LLaVA's `pad`); face crops
    are resized and normalized as ImageNet's (FaceXFormer's inference.py).

    Calling it with images (anything that [`load_image`] takes, nested as you like) returns `pixel_values` of shape
    `(F, 3, H, W)`; with `face_boxes`, also `face_pixel_values` `(F, 3, h, w)` and `face_mask` `(F,)`, which is False
    where the box is `None` and the crop black. A `ValueError` says that boxes and images differ in number, or that a
    box does not lie in its image. For its settings see [`EmoLlamaImageProcessorKwargs`].
    """

    size = {"height": 224, "width": 224}
    do_pad = True
    do_center_crop = False
    crop_size = None
    face_size = {"height": 224, "width": 224}
    face_mean = IMAGENET_DEFAULT_MEAN
    face_std = IMAGENET_DEFAULT_STD
    valid_kwargs = EmoLlamaImageProcessorKwargs
    model_input_names = ["pixel_values", "face_pixel_values", "face_mask"]
    settings_name = "image_processor"  # in errors: what a processor calls it

    def __init__(self, **kwargs: Any) -> None:
        check_unknown(type(self), kwargs)
        with refused(self.settings_name):
            super().__init__(**kwargs)
            settings = {name: getattr(self, name, None) for name in self.valid_kwargs.__annotations__}
            check_pixels(settings, needed=("size", "face_size", "face_mean", "face_std"))

    def _validate_preprocess_kwargs(self, **kwargs: Any) -> None:
        check_pixels(kwargs)
        super()._validate_preprocess_kwargs(**kwargs)

    def _prepare_images_structure(self, images: Any, expected_ndims: int = 3) -> list[Image.Image]:
        return [load_image(image) for image in _flatten(images)]

    def _preprocess(
        self,
        images: list[np.ndarray],
        *,
        do_pad: bool,
        size: SizeDict,
        image_mean: float | Sequence[float] | None,
        image_std: float | Sequence[float] | None,
        return_tensors: str | TensorType | None,
        face_size: Mapping[str, int],
        face_mean: Sequence[float],
        face_std: Sequence[float],
        face_boxes: Sequence[Sequence[float] | None] | None,
        **kwargs: Any,
    ) -> BatchFeature:
        frames = super()._preprocess(
            [_fit_for_padding(image) for image in images] if do_pad else images,
            do_pad=do_pad,
            size=size,
            image_mean=image_mean,
            image_std=image_std,
            return_tensors=return_tensors,
            **kwargs,
        )
        if face_boxes is None:
            return frames
        if len(face_boxes) != len(images):
            raise ValueError(f"`face_boxes` must have one entry an image: got {len(face_boxes)} for {len(images)}.")
        crops = super()._preprocess(
            [_crop(image, box) for image, box in zip(images, face_boxes, strict=True)],
            do_pad=False,
            size=SizeDict(**face_size),
            image_mean=face_mean,
            image_std=face_std,
            return_tensors=return_tensors,
            **kwargs,
        )
        mask = BatchFeature(
            {"face_mask": np.array([box is not None for box in face_boxes])}, tensor_type=return_tensors
        )
        return BatchFeature(
            {
                "pixel_values": frames["pixel_values"],
                "face_pixel_values": crops["pixel_values"],
                "face_mask": mask["face_mask"],
            }
        )


def check_pixels(settings: Mapping[str, Any], needed: Sequence[str] = ()) -> None:
    """
    Raise `ValueError` if a setting of how pictures become pixels is not of its type or out of its range.

    Args:
        settings (`dict`): those of [`EmoLlamaImageProcessorKwargs`], and others, which are not looked at.
        needed (`list[str]`, *optional*): those that may not be `None`.
    """
    given = {name: value for name, value in settings.items() if value is not None or name in needed}
    for name in given.keys() & FLAGS:
        check_flag(name, given[name])
    for name in given.keys() & {"size", "crop_size", "face_size"}:
        check_size(name, given[name], stretched=name == "face_size")
    for name, least in (("image_mean", -1e3), ("face_mean", -1e3), ("image_std", 1e-6), ("face_std", 1e-6)):
        if name in given:
            check_numbers(name, given[name], 3, least, 1e3)
    if given.get("do_pad") and "image_mean" in given:
        check_numbers("image_mean", given["image_mean"], 3, 0, 1)  # it is the colour of the padding too
    if "resample" in given:
        check_integer("resample", given["resample"], 0, max(PILImageResampling))
    if "rescale_factor" in given:
        check_number("rescale_factor", given["rescale_factor"], -1e3, 1e3)


def _flatten(images: Any) -> list[Any]:
    """Every single image of nested lists and of stacked arrays, in order."""
    if isinstance(images, (list, tuple)):
        return [image for part in images for image in _flatten(part)]
    return list(images) if getattr(images, "ndim", 0) == 4 else [images]


def _fit_for_padding(image: np.ndarray) -> np.ndarray:
    """An image (3, H, W), scaled down where padding it to a square would take many times its memory."""
    _, height, width = image.shape
    if max(height, width) <= LONGEST_PADDED:
        return image
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    picture.thumbnail((LONGEST_PADDED, LONGEST_PADDED), Image.Resampling.BOX)
    return np.asarray(picture).transpose(2, 0, 1)


def _crop(image: np.ndarray, box: Sequence[float] | None) -> np.ndarray:
    """Crop an image (3, H, W) to whole pixels of a box, a black pixel for no box."""
    if box is None:
        return np.zeros((3, 1, 1), dtype=image.dtype)
    left, top, right, bottom = (int(value) for value in box)
    if not (0 <= left < right <= image.shape[2] and 0 <= top < bottom <= image.shape[1]):
        raise ValueError(
            f"`face_boxes` has {tuple(box)}, which does not lie in the image of {image.shape[2]} x {image.shape[1]}."
        )
    return image[:, top:bottom, left:right]


__all__ = ["EmoLlamaImageProcessor"]
