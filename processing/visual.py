"""A visual: the frames of one picture or clip, and the faces found in them."""

from dataclasses import dataclass, replace

from PIL import Image
from transformers.video_utils import VideoMetadata

from .face_detection import Face


@dataclass(frozen=True)
class Visual:
    """
    One picture or clip on its way to the model. A picture is a clip of one frame.

    Args:
        frames (`list[PIL.Image.Image]`): RGB frames in time order.
        timestamps (`list[float]`): seconds of each frame from the clip's start.
        is_video (`bool`): whether the frames come from a clip.
        strategy (`str`, *optional*):
            How a clip's frames were chosen: `"uniform"` where `"face"` was asked for and no face was found.
        problem (`str`, *optional*): what could not be read of a damaged clip.
        metadata (`VideoMetadata`, *optional*): the whole clip's length and rate, and which of its frames these are.
        detections (`list[list[Face]]`, *optional*): every face found in each frame; `None` before detection.
        faces (`list[Face | None]`, *optional*):
            The face of each frame that goes to the face prior, `None` where there is none.
        face_crop (`bool`, *optional*, defaults to `False`):
            Whether the frames are crops of a face: each is taken for one as a whole, and none is looked for in it.
    """

    frames: list[Image.Image]
    timestamps: list[float]
    is_video: bool
    strategy: str | None = None
    problem: str | None = None
    metadata: VideoMetadata | None = None
    detections: list[list[Face]] | None = None
    faces: list[Face | None] | None = None
    face_crop: bool = False

    def still(self, index: int) -> "Visual":
        """
        One frame of it as a picture.

        Args:
            index (`int`): of the frame.
        """
        part = slice(index, index + 1)
        return replace(
            self,
            frames=self.frames[part],
            timestamps=self.timestamps[part],
            is_video=False,
            strategy=None,
            problem=None,
            metadata=None,
            detections=None if self.detections is None else self.detections[part],
            faces=None if self.faces is None else self.faces[part],
        )

    @property
    def has_face(self) -> bool:
        """Whether a face was found in any frame, or the frames are crops of one."""
        return self.face_crop or any(face is not None for face in self.faces or [])
