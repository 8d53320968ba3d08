"""Reads one picture from wherever it comes, as an upright 8-bit RGB image."""

import contextlib
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from .media_source import MediaSource, UnreadableMediaError, open_media

# Formats in which Pillow knows a picture by its signature; others it may see in any bytes.
PICTURE_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")


class RefusedPictureError(UnreadableMediaError):
    """By its signature the file is a picture, but Pillow does not open it, or it has too many pixels."""


def load_image(image: MediaSource | Image.Image | np.ndarray | torch.Tensor, argument: str = "image") -> Image.Image:
    """
    Read a picture. The same picture gives the same pixels whichever way it comes.

    Agrees with `transformers.image_utils.load_image` where that reads a picture (upright by its EXIF orientation,
    then RGB), and goes further: transparent parts are laid on white instead of showing what hides under them, and
    16-bit levels are scaled to 8 bits (the high byte, as Pillow does for 16-bit RGB) instead of clipped. Of an
    animation it is the first frame. As in transformers, colours are taken for sRGB whatever a colour profile or gamma
    says, which browsers would apply.

    Args:
        image (`MediaSource`, `PIL.Image.Image`, `np.ndarray` or `torch.Tensor`): one of

            - path, `http(s)://` or `data:` URL, base64 text, bytes, or binary file object of any format Pillow opens;
            - PIL image of any mode; modes `I` and `I;16` hold 0…65535, mode `F` holds 0…1;
            - numpy array H×W, H×W×C or C×H×W, or torch tensor H×W, C×H×W or H×W×C, with C of 1 (grey), 3 (RGB) or 4
              (RGBA). Where both ends could be channels, numpy's are last and torch's first. `uint8`, `uint16`
              (0…65535), `bool`, or floating point in [0, 1].
        argument (`str`, *optional*, defaults to `"image"`): name that error messages give the picture.

    Returns:
        `PIL.Image.Image`: a new image of mode RGB.

    Raises:
        `FileNotFoundError`, `IsADirectoryError`, `PermissionError`: no such file, or it may not be opened.
        `UnreadableMediaError`:
            Empty, damaged, cut off, not a picture, unreachable, or more pixels than `PIL.Image.MAX_IMAGE_PIXELS`
            (raise that limit for large pictures that you trust).
        `ValueError`: an array of wrong shape or type, or with values that are NaN, infinite or out of range.
        `TypeError`: none of the above kinds.
    """
    if isinstance(image, Image.Image):
        return _decode(image, argument)
    if isinstance(image, (np.ndarray, torch.Tensor)):
        made = _image_from_array(image, argument)
        return made if made.mode == "RGB" else _rgb(made, argument)
    with open_media(image, argument) as file:
        opened = open_picture(file, argument)
        if opened is None:
            raise UnreadableMediaError(
                f"`{argument}` is not a picture in a format that Pillow reads, or only a fragment of one. Give a "
                "whole JPEG, PNG, WebP, … file."
            )
        return _decode(opened, argument)


def open_picture(file: BinaryIO, argument: str) -> Image.Image | None:
    """
    The file as Pillow opens it, not decoded yet; `None` if it is no picture.

    Args:
        file (`BinaryIO`): seekable, at its beginning.
        argument (`str`): name that error messages give the picture.

    Raises:
        `RefusedPictureError`:
            More pixels than `PIL.Image.MAX_IMAGE_PIXELS`, or the signature of a picture, but Pillow does not open it:
            damaged, cut off, or with a part that Pillow refuses, such as text of megabytes.
    """
    try:
        picture = Image.open(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RefusedPictureError(_bomb_message(argument)) from error
    except Exception as error:  # Pillow's parsers raise all kinds on what is malformed or no picture
        kind = _signed_format(file)
        if kind is None:
            return None
        reason = "" if isinstance(error, UnidentifiedImageError) else f": {error}"  # which only names the file object
        raise RefusedPictureError(
            f"`{argument}` is a damaged or cut-off picture, or one that Pillow refuses ({kind}{reason}). Get a whole "
            "copy of the file, or save it anew without its metadata."
        ) from error
    if _too_many_pixels(picture.width, picture.height):  # Pillow itself only warns up to twice the limit
        raise RefusedPictureError(_bomb_message(argument))
    return picture


def _signed_format(file: BinaryIO) -> str | None:
    """The format of a picture by its signature alone, as Pillow's plugins that are installed know it."""
    file.seek(0)
    prefix = file.read(16)
    if prefix[4:8] == b"ftyp" and prefix[8:12] not in (b"avif", b"avis"):
        return None  # MP4 and its kin; `mif1` is also how HEIC begins
    for kind in PICTURE_FORMATS:
        _, accepts = Image.OPEN.get(kind, (None, None))
        if accepts is not None and accepts(prefix) is True:  # a text says what is not installed
            return kind
    return None


def check_pixel_count(width: int, height: int, argument: str) -> None:
    """Raise `UnreadableMediaError` for pictures beyond Pillow's limit."""
    if _too_many_pixels(width, height):
        raise UnreadableMediaError(_bomb_message(argument))


def _too_many_pixels(width: int, height: int) -> bool:
    return Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS


def _decode(image: Image.Image, argument: str) -> Image.Image:
    if 0 in image.size:
        raise UnreadableMediaError(f"`{argument}` has no pixels ({image.width}×{image.height}). Give a picture.")
    try:
        image.load()
    except Exception as error:  # Pillow's decoders raise all kinds on malformed data
        raise UnreadableMediaError(
            f"`{argument}` is a damaged or cut-off picture ({error}). Get a whole copy of the file."
        ) from error
    with contextlib.suppress(Exception):  # a damaged EXIF block says nothing about the pixels
        image = ImageOps.exif_transpose(image)
    return _rgb(image, argument)


def _rgb(image: Image.Image, argument: str) -> Image.Image:
    """A new RGB image of any decoded image."""
    if image.mode == "I":  # 32-bit integers, in which Pillow keeps 16-bit levels
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError(f"`{argument}` has mode I with levels outside 0…65535. Scale them to 16 bits.")
        image = _image_from_array(levels.astype(np.uint16), argument)
    elif image.mode.startswith("I;16") or image.mode == "F":
        levels, hidden = np.asarray(image), image.info.get("transparency")
        image = _image_from_array(levels, argument)
        if isinstance(hidden, int):  # a level of 16 bits
            image.putalpha(Image.fromarray(levels != hidden))
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")  # type: ignore[assignment]
    if image.mode in ("RGBa", "La"):  # premultiplied
        image = image.convert(image.mode.replace("a", "A"))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        try:
            image = Image.alpha_composite(white, image.convert("RGBA"))
        except Exception as error:  # `info` may say anything
            raise UnreadableMediaError(
                f"`{argument}` has a transparency that Pillow cannot apply ({error}). Remove it from the picture's "
                "`info`."
            ) from error
    return image.convert("RGB")


def _image_from_array(array: np.ndarray | torch.Tensor, argument: str) -> Image.Image:
    """Array or tensor -> PIL image of mode L, RGB or RGBA."""
    channels_first = isinstance(array, torch.Tensor)
    if isinstance(array, torch.Tensor):
        try:
            array = array.detach().cpu()
            array = (array.float() if array.is_floating_point() else array).numpy()
        except Exception as error:  # sparse, quantized, on the meta device, ...
            raise ValueError(
                f"`{argument}` is a tensor that numpy cannot hold ({error}). Give a dense one."
            ) from error
    shape = tuple(array.shape)
    if array.size == 0:
        raise ValueError(f"`{argument}` has no pixels (shape {shape}). Give an array with content.")
    if array.ndim == 3:
        first, last = shape[0] in (1, 3, 4), shape[2] in (1, 3, 4)
        if first and (channels_first or not last):
            array = array.transpose(1, 2, 0)
        elif not last:
            raise ValueError(f"`{argument}` has shape {shape}. Give H×W, H×W×C or C×H×W with 1, 3 or 4 channels.")
        array = array[..., 0] if array.shape[2] == 1 else array
    elif array.ndim != 2:
        raise ValueError(f"`{argument}` has shape {shape}. Give one picture: H×W, H×W×C or C×H×W.")
    return Image.fromarray(np.ascontiguousarray(_eight_bit(array, argument)))


def _eight_bit(array: np.ndarray, argument: str) -> np.ndarray:
    """Levels of any supported dtype -> uint8 of the same shape."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return (array >> 8).astype(np.uint8)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ValueError(f"`{argument}` holds NaN or infinite values. Replace them first.")
        if array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"`{argument}` holds floating-point values from {array.min():g} to {array.max():g}. Scale them to "
                "[0, 1], or give uint8 levels of 0…255."
            )
        return np.rint(array.astype(np.float64) * 255).astype(np.uint8)
    reach = f" from {array.min()} to {array.max()}" if array.dtype.kind in "iu" else ""
    raise ValueError(
        f"`{argument}` has levels of type {array.dtype}{reach}. Give uint8, uint16, bool, or floating point in [0, 1]."
    )


def _bomb_message(argument: str) -> str:
    return (
        f"`{argument}` has more pixels than PIL.Image.MAX_IMAGE_PIXELS ({Image.MAX_IMAGE_PIXELS}) allows, a "
        "decompression bomb perhaps. Shrink it, or raise that limit if you trust the file."
    )
