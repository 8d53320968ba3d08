"""One example of a data set: a picture or clip, and what is known about it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..chat_message import ChatMessage
from ..input_error import InputError
from ..processing.download import is_url
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.visual import Visual

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class RecordError(InputError):
    """
    What is wrong with one row of a data set.

    Args:
        row (`str`): where it is, as `file:line`.
        reason (`str`): what is wrong.
    """

    def __init__(self, row: str, reason: str) -> None:
        super().__init__(row, reason)
        self.row, self.reason = row, reason

    def __str__(self) -> str:
        return f"{self.row}: {self.reason}"


@dataclass(frozen=True)
class Record:
    """
    One example.

    Args:
        id (`str`): its name, unique in the data set.
        visual (`str` or `bytes`): path or URL of a picture or clip, path of a folder of frames, or a file's content.
        is_video (`bool`, *optional*, defaults to `False`): whether it is a clip.
        conversation (`list[ChatMessage]`, *optional*):
            Chat messages in transformers' format, every content a list of parts; the first user message begins with
            `{"type": "image"}` or `{"type": "video"}`, which stands for `visual`.
        emotion (`str`, *optional*): the label.
        attributes (`dict[str, str]`, *optional*): perceived age, gender, race, ... as the data set names them.
        split (`str`, *optional*): `"train"`, `"validation"` or `"test"`.
        dataset (`str`, *optional*): name of the data set that it belongs to.
        emotion_labels (`list[str]`, *optional*): label set of that data set, in its order.
        subject (`str`, *optional*): who is seen, where the data set says so; nobody is in training and test data both.
        face_crop (`bool`, *optional*, defaults to `False`):
            Whether it shows an aligned or cropped face and nothing else, as its data set says.
        row (`str`, *optional*): where it stands, as `file:line`, for messages about it.
    """

    id: str
    visual: str | bytes
    is_video: bool = False
    conversation: list[ChatMessage] | None = None
    emotion: str | None = None
    attributes: dict[str, str] | None = None
    split: str | None = None
    dataset: str = ""
    emotion_labels: Sequence[str] | None = None
    subject: str | None = None
    face_crop: bool = False
    row: str = ""

    def closed_set(self, default: Sequence[str] | None = None) -> list[str]:
        """
        The label set of the closed question about it. Whatever asks or answers this question takes it from here.

        Args:
            default (`list[str]`, *optional*): for a record whose data set has none of its own.

        Returns:
            `list[str]`: empty for a conversation without a label set.

        Raises:
            `RecordError`: there is no label set and no conversation, or its emotion is not in the set.
        """
        labels = self.emotion_labels or default or []
        name = self.dataset or "its data set"
        if not labels and self.conversation is None:
            raise RecordError(self.row, f"{name} has no label set: give `labels`")
        if labels and self.emotion is not None and self.emotion not in labels:
            raise RecordError(
                self.row,
                f"label {self.emotion!r} is not in the label set of {name}, {', '.join(labels)}: give other `labels`, "
                "or a `label_map` to these",
            )
        return list(labels)

    def source(self) -> str | bytes | list[str]:
        """What `EmoLlamaProcessor.load_visual` reads: `visual`, or the frames of a folder, by name."""
        if isinstance(self.visual, bytes) or not os.path.isdir(self.visual):
            return self.visual
        return [str(path) for path in frame_files(Path(self.visual))]

    def check_file(self) -> None:
        """
        Look whether its file is there, without reading it.

        Raises:
            `RecordError`: the file is not there or empty, or the folder has no frames.
        """
        if isinstance(self.visual, bytes):
            problem = "" if self.visual else "the picture has 0 bytes"
        elif is_url(self.visual):
            problem = ""
        elif os.path.isdir(self.visual):
            problem = "" if frame_files(Path(self.visual)) else f"{self.visual} is a folder without pictures"
        elif not os.path.exists(self.visual):
            problem = f"{self.visual} is not there"
        else:
            problem = "" if os.path.getsize(self.visual) else f"{self.visual} is empty (0 bytes)"
        if problem:
            raise RecordError(self.row, problem)

    def load(self, processor: EmoLlamaProcessor) -> Visual:
        """
        Its picture, or sampled frames.

        Args:
            processor ([`EmoLlamaProcessor`]): says how frames are sampled.

        Raises:
            `RecordError`: the file cannot be read.
        """
        try:
            return replace(processor.load_visual(self.source(), self.is_video), face_crop=self.face_crop)
        except (OSError, ValueError) as error:
            raise RecordError(self.row, str(error)) from error


def frame_files(folder: Path) -> list[Path]:
    """
    The pictures of a folder by name, numbers in names by value: frame 2 comes before frame 10.

    Args:
        folder (`Path`)
    """
    files = [path for path in folder.iterdir() if path.suffix.lower() in FRAME_SUFFIXES and path.name[0] != "."]
    return sorted(files, key=lambda path: (_frame_number(path.stem), path.name))


def _frame_number(stem: str) -> int:
    digits = stem[len(stem.rstrip("0123456789")) :]
    return int(digits) if digits else -1
