"""Opens a video, from wherever it comes, as a clip."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image

from .animated_picture import AnimatedPicture
from .clip import Clip
from .frame_list import FrameList
from .image_loading import PICTURE_FORMATS, open_picture
from .media_source import MediaSource, UnreadableMediaError, open_media
from .setting_checks import check_number
from .video_file import VideoFile

RATES = (1e-6, 1e6)  # frames a second, the least and the most

VideoSource: TypeAlias = MediaSource | np.ndarray | torch.Tensor | Image.Image | list[Any] | tuple[Any, ...]


@contextmanager
def open_clip(video: VideoSource, *, partial: bool = False, video_fps: float | None = None) -> Iterator[Clip]:
    """
    Open a clip; it is closed on leaving.

    Args:
        video (`VideoSource`): one of

            - path, `http(s)://` or `data:` URL, base64 text, bytes, or binary file object of a video, an animated
              picture, or a still picture (one frame);
            - frames: array or tensor T×H×W×C or T×C×H×W, or a list of anything [`load_image`] takes;
            - one picture as PIL image (its current frame), array or tensor.
        partial (`bool`, *optional*, defaults to `False`):
            Read what can be read of a damaged clip and say so in `Clip.problem`, instead of raising.
        video_fps (`float`, *optional*): frames a second of clips given as frames.

    Raises:
        `FileNotFoundError`, `IsADirectoryError`, `PermissionError`: no such file, or it may not be opened.
        `UnreadableMediaError`: empty, audio only, damaged, cut off, of no known format, unreachable, or no frames.
        `ValueError`: `video_fps` for a file, or out of range.
    """
    if video_fps is not None:
        check_number("video_fps", video_fps, *RATES)
    if isinstance(video, Image.Image) or (isinstance(video, (np.ndarray, torch.Tensor)) and video.ndim != 4):
        video = [video]
    if isinstance(video, (list, tuple, np.ndarray, torch.Tensor)):
        if not len(video):
            raise UnreadableMediaError("`video` has no frames. Give at least one.")
        yield FrameList(video, video_fps, partial)
        return
    if video_fps is not None:
        raise ValueError("`video_fps` is only for clips given as frames; a file carries its own times. Leave it out.")
    with open_media(video, "video") as file:
        picture = open_picture(file, "video")
        clip: Clip
        if picture is not None and picture.format in PICTURE_FORMATS:
            clip = AnimatedPicture(file, partial)
        else:
            clip = VideoFile(file, partial)
        with closing(clip):
            yield clip
