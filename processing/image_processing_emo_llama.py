"""Image processor of EmoLlama: frames and face crops to tensors."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

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

    def process_image(self, image: Image.Image, **kwargs: Any) -> Image.Image:
        """A picture as it is: what is cut out of it and made smaller is an array sooner than the whole."""
        return image

    def _preprocess(
        self,
        images: list[Image.Image],
        *,
        do_pad: bool,
        do_resize: bool,
        size: SizeDict,
        resample: Any,
        image_mean: float | Sequence[float] | None,
        image_std: float | Sequence[float] | None,
        return_tensors: str | TensorType | None,
        face_size: Mapping[str, int],
        face_mean: Sequence[float],
        face_std: Sequence[float],
        face_boxes: Sequence[Sequence[float] | None] | None,
        **kwargs: Any,
    ) -> BatchFeature:
        def sized(image: Image.Image, size: SizeDict) -> np.ndarray:
            pixels: Any  # the inherited `resize` takes both
            if do_resize and size.height and size.width:
                pixels = image
            else:
                pixels = np.moveaxis(np.asarray(image), -1, 0)
            return cast(np.ndarray, self.resize(pixels, size, resample) if do_resize else pixels)

        padded = [_padded_to_square(image, image_mean) for image in images] if do_pad else images
        later = {"do_pad": False, "do_resize": False, "size": size, "resample": resample, **kwargs}
        frames = super()._preprocess(
            [sized(image, size) for image in padded],
            image_mean=image_mean,
            image_std=image_std,
            return_tensors=return_tensors,
            **later,
        )
        if face_boxes is None:
            return frames
        if len(face_boxes) != len(images):
            raise ValueError(f"`face_boxes` must have one entry an image: got {len(face_boxes)} for {len(images)}.")
        crops = super()._preprocess(
            [sized(_crop(image, box), SizeDict(**face_size)) for image, box in zip(images, face_boxes, strict=True)],
            image_mean=face_mean,
            image_std=face_std,
            return_tensors=return_tensors,
            **later,
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


def _padded_to_square(image: Image.Image, mean: float | Sequence[float] | None) -> Image.Image:
    """An image in the middle of a square of the mean colour, as LLaVA's `expand2square` has it."""
    if max(image.size) > LONGEST_PADDED:
        image = image.copy()
        image.thumbnail((LONGEST_PADDED, LONGEST_PADDED), Image.Resampling.BOX)
    if image.width == image.height:
        return image
    side = max(image.size)
    colour = tuple(int(part * 255) for part in np.broadcast_to(0.0 if mean is None else mean, 3))
    square = Image.new("RGB", (side, side), colour)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _crop(image: Image.Image, box: Sequence[float] | None) -> Image.Image:
    """Crop an image to whole pixels of a box, a black pixel for no box."""
    if box is None:
        return Image.new("RGB", (1, 1))
    left, top, right, bottom = (int(value) for value in box)
    if not (0 <= left < right <= image.width and 0 <= top < bottom <= image.height):
        raise ValueError(
            f"`face_boxes` has {tuple(box)}, which does not lie in the image of {image.width} x {image.height}."
        )
    return image.crop((left, top, right, bottom))


__all__ = ["EmoLlamaImageProcessor"]
