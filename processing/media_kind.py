"""Tell clips from pictures."""

import mimetypes
import os
from typing import Any

from PIL import Image

from .animated_picture import ANIMATED_FORMATS
from .image_loading import RefusedPictureError, open_picture
from .media_source import open_media


def is_video(source: Any, argument: str = "source") -> bool:
    """
    Whether a source is a clip: more than one picture, or a file that is no picture.

    Args:
        source (`VideoSource`):
            Whatever [`load_image`] or [`sample_frames`] takes. A list of frames or a 4-D array is a clip; files, URLs
            and bytes are opened, since an extension may lie. What begins like a picture is one, also where it cannot
            be read; of other files that cannot be read, the name tells.
        argument (`str`, *optional*, defaults to `"source"`): name of the caller's argument, for error messages.

    Raises:
        `TypeError`: it is none of these.
    """
    if isinstance(source, Image.Image):
        return False
    if isinstance(source, (list, tuple)):
        return True
    if hasattr(source, "ndim"):
        return bool(source.ndim == 4)
    try:
        with open_media(source, argument) as file:
            picture = open_picture(file, argument)
            if picture is not None:
                return picture.format in ANIMATED_FORMATS and getattr(picture, "is_animated", False)
    except RefusedPictureError:
        return False
    except (OSError, ValueError):
        pass  # whoever reads it says what is wrong
    if not isinstance(source, (str, os.PathLike)):
        return True
    kind = mimetypes.guess_type(os.fspath(source))[0] or ""
    return not kind.startswith("image/") or kind == "image/gif"
