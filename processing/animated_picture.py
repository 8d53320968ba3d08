"""A clip made of a picture file: animated GIF, PNG, WebP or AVIF, or a still picture as a clip of one frame."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import BinaryIO

from PIL import Image

from .clip import Clip
from .image_loading import check_pixel_count, load_image
from .media_limits import current_limits
from .media_source import UnreadableMediaError

ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")  # further images in other formats are pages, thumbnails, depth maps
SHORTEST_FRAME = 10  # milliseconds; browsers and FFmpeg alike show a frame meant to last no longer for DEFAULT_FRAME
DEFAULT_FRAME = 100


class AnimatedPicture(Clip):
    """
    Frames of a picture file.

    Read with Pillow rather than FFmpeg, because FFmpeg knows animated WebP and AVIF only in some builds, drops
    transparency and misses EXIF orientation: a still picture has the same pixels here as from [`load_image`].

    Args:
        file (`BinaryIO`): seekable, of a format that Pillow reads; stays open.
        partial (`bool`): whether the readable part of a damaged picture will do.

    Raises:
        `UnreadableMediaError`: no frame can be read, one cannot and not `partial`, or beyond a limit of pixels.
    """

    backend = "pillow"

    def __init__(self, file: BinaryIO, partial: bool) -> None:
        super().__init__(partial)
        self._file = file
        durations = self._frame_durations()
        *self.times, end = (milliseconds / 1000 for milliseconds in accumulate(durations, initial=0))
        self.duration = end or None

    def read(self, indices: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
        picture = Image.open(self._file)  # afresh: Pillow cannot go back in a PNG
        for index in indices:
            picture.seek(index)
            yield index, load_image(picture, "video")

    def _frame_durations(self) -> list[int]:
        """Milliseconds that each readable frame lasts; [0] for a still picture. Decodes through, keeping nothing."""
        picture = Image.open(self._file)
        if picture.format not in ANIMATED_FORMATS or not getattr(picture, "is_animated", False):
            load_image(picture, "video")
            return [0]
        durations: list[int] = []
        try:
            count = picture.n_frames  # type: ignore[attr-defined]
            for number in range(count):
                picture.seek(number)
                self._check_work(picture.size, count)  # of each frame: a GIF's canvas may grow
                picture.load()
                stated = picture.info.get("duration", 0)
                durations.append(stated if stated > SHORTEST_FRAME else DEFAULT_FRAME)
        except UnreadableMediaError:
            raise
        except Exception as error:  # Pillow's decoders raise all kinds on malformed data
            self._report(f"frame {len(durations)} cannot be decoded ({error})", error)
        if not durations:
            raise UnreadableMediaError(f"`video` has no frame that can be read: {self.problem}. Get a whole copy.")
        return durations

    @staticmethod
    def _check_work(size: tuple[int, int], count: int) -> None:
        check_pixel_count(*size, "video")
        limit = current_limits().max_animation_pixels
        width, height = size
        if width * height * count > limit:
            raise UnreadableMediaError(
                f"`video` has {count} frames of {width}×{height} pixels, together more than the {limit} "
                "that `max_animation_pixels` of `MediaLimits` allows. Shrink it, or raise that limit if you trust the "
                "file."
            )
