"""Which visual stands where: pictures and clips in the order in which texts show them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image


@dataclass(frozen=True)
class VisualsInOrder:
    """
    The pictures and clips of one call, on their way from the layout of the inputs to their processing.

    Args:
        sources (`list[tuple[Any, bool]]`): each source and whether it is a clip, in the order of the texts.
        questions (`list[str]`, *optional*): what the texts ask about each; `None` without texts.
        videos_kwargs (`dict`): the call's.
    """

    sources: list[tuple[Any, bool]]
    questions: list[str] | None
    videos_kwargs: dict[str, Any]


def in_text_order(
    texts: list[str] | None, images: Any, videos: Any, image_token: str, video_token: str
) -> list[tuple[Any, bool]]:
    """
    Sources of the visuals in the order of the texts' placeholders, and whether each is a clip.

    Args:
        texts (`list[str]`, *optional*): prompts; without them all pictures come before all clips.
        images, videos (*optional*): one source, a list of them, or one list a text.
        image_token, video_token (`str`): what stands for a picture and for a clip in a text.

    Raises:
        `ValueError`: placeholders and sources differ in number.
    """
    pictures, clips = _per_text(images), per_text_clips(videos)
    if texts is None:
        return [(source, False) for part in pictures for source in part] + [
            (source, True) for part in clips for source in part
        ]
    for name, token, parts in (("images", image_token, pictures), ("videos", video_token, clips)):
        wanted, given = [text.count(token) for text in texts], [len(part) for part in parts]
        if (len(given) == len(texts) > 1 and given != wanted) or sum(given) != sum(wanted):
            raise ValueError(
                f"`text` has {wanted} {token} placeholders, but `{name}` has {given}: give one for each, since the "
                f"number of {token} tokens in the prompts should be the same as the number of `{name}`."
            )
    sources = {
        image_token: iter([source for part in pictures for source in part]),
        video_token: iter([source for part in clips for source in part]),
    }
    return [
        (next(sources[token]), token == video_token)
        for text in texts
        for token in re.findall(f"{re.escape(image_token)}|{re.escape(video_token)}", text)
    ]


def _per_text(sources: Any) -> list[list[Any]]:
    """`None`, one picture, a list of pictures or a list of lists as a list of lists."""
    return _nested(sources, lambda part: not isinstance(part, (list, tuple)))


def per_text_clips(sources: Any) -> list[list[Any]]:
    """`None`, one clip, a list of clips or a list of lists as a list of lists; a clip may be a list of frames."""

    def is_clip(part: Any) -> bool:
        return not isinstance(part, (list, tuple)) or (bool(part) and all(map(_is_frame, part)))

    return _nested(sources, is_clip)


def _nested(sources: Any, is_one: Callable[[Any], bool]) -> list[list[Any]]:
    if sources is None:
        return []
    if is_one(sources):
        return [[sources]]
    if all(map(is_one, sources)):
        return [list(sources)]
    return [[part] if is_one(part) else list(part) for part in sources]


def _is_frame(value: Any) -> bool:
    return isinstance(value, Image.Image) or getattr(value, "ndim", 0) in (2, 3)
