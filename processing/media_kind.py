"""Tell clips from pictures."""

import mimetypes
import os

from PIL import Image, UnidentifiedImageError

from .media_source import open_media


def is_video(source) -> bool:
    """
    Whether a source is a clip: more than one picture, or a file that is no picture.

    Args:
        source: whatever [`load_image`] or [`sample_frames`] takes. A list of frames or a 4-D array is a clip; files,
            URLs and bytes are opened, since an extension may lie; an unreadable one is what its name says.
    """
    if isinstance(source, Image.Image):
        return False
    if isinstance(source, (list, tuple)):
        return True
    if hasattr(source, "ndim"):
        return source.ndim == 4
    try:
        with open_media(source, "source") as file, Image.open(file) as image:
            return getattr(image, "is_animated", False)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        if not isinstance(source, (str, os.PathLike)):
            return True
        kind = mimetypes.guess_type(os.fspath(source))[0] or ""
        return not kind.startswith("image/") or kind == "image/gif"
