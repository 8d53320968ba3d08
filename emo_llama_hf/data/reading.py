"""How pictures and clips are read and faces looked for, where that is to be otherwise than a processor says."""

from dataclasses import asdict, dataclass, replace

from ..input_error import InputError
from ..processing.face_finder import FaceFinder, MissingFace
from ..processing.processing_emo_llama import EmoLlamaProcessor


@dataclass(frozen=True)
class Reading:
    """
    Settings that take the place of a processor's; `None` leaves its own.

    Args:
        missing_face (`str`, *optional*), full_frame_below (`float`, *optional*): see [`FaceSettings`].
        num_frames (`int`, *optional*): frames of a clip, sampled as the processor's `strategy` says.
    """

    missing_face: MissingFace | None = None
    num_frames: int | None = None
    full_frame_below: float | None = None

    def set_in(self, processor: EmoLlamaProcessor) -> None:
        """
        Change a processor, which keeps the settings where it is saved.

        Args:
            processor ([`EmoLlamaProcessor`])

        Raises:
            `InputError`: a value is out of its range.
        """
        given = {name: value for name, value in asdict(self).items() if value is not None}
        num_frames = given.pop("num_frames", None)
        try:
            processor.faces = FaceFinder(processor.faces.detector, replace(processor.faces.settings, **given))
        except ValueError as error:
            raise InputError(str(error)) from error
        if num_frames is not None:
            if num_frames < 1:
                raise InputError(f"`num_frames` must be at least 1, got {num_frames}.")
            processor.video_processor.num_frames = num_frames
