"""A visual that frozen eyes have seen: nobody needs to read its file again."""

from dataclasses import dataclass

from PIL import Image

from ..processing.visual import Visual


@dataclass(frozen=True)
class SeenVisual(Visual):
    """
    What stands for a picture or clip whose features are in a [`FeatureCache`]; its frames are black pixels.

    Args:
        key (`str`): what they are found by.
        face_mask (`tuple[bool, ...]`, *optional*): of each frame, whether it shows a face.
    """

    key: str = ""
    face_mask: tuple[bool, ...] | None = None

    @classmethod
    def of(cls, key: str, frames: int, is_video: bool, face_mask: tuple[bool, ...] | None) -> "SeenVisual":
        """
        Args:
            key (`str`), face_mask (`tuple[bool, ...]`, *optional*): see above.
            frames (`int`): how many it has.
            is_video (`bool`): whether it is a clip.
        """
        blank = Image.new("RGB", (1, 1))
        return cls(
            frames=[blank] * frames,
            timestamps=[float(number) for number in range(frames)],
            is_video=is_video,
            detections=[[] for _ in range(frames)],  # nothing is left to find
            faces=[None] * frames,
            key=key,
            face_mask=face_mask,
        )
