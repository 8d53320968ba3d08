"""The finished file: LLaVA-style JSON lines, with the pictures that were given as bytes beside it."""

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from PIL import Image

from ..chat_message import ChatMessage, ChatPart, VisualKind
from ..data.layouts.llava import LlavaTurn, llava_turns
from ..data.record import Record
from ..json_text import json_line
from ..processing.download import is_url
from ..whole_file import whole_file


class InstructItem(TypedDict, total=False):
    """
    One line of the output, LLaVA's way.

    Args:
        id (`str`): the record's, and which of its items this is.
        image, video (`str`): file, relative to the output's folder, or URL; one of them.
        conversations (`list[dict]`): turns, the first with the placeholder of what is shown.
        emotion, split, dataset, subject (`str`), attributes (`dict[str, str]`): the record's, where it has them.
        emotion_labels (`list[str]`): label set of its questions.
        face_crop (`bool`): only of a picture or clip that is one.
    """

    id: str
    image: str
    video: str
    conversations: list[LlavaTurn]
    emotion: str
    attributes: dict[str, str]
    split: str
    dataset: str
    subject: str
    emotion_labels: list[str]
    face_crop: bool


def llava_item(record: Record, id: str, turns: list[tuple[str, str]], labels: list[str], output: Path) -> InstructItem:
    """
    One line about a record.

    Args:
        record ([`Record`])
        id (`str`): of the line.
        turns (`list[tuple[str, str]]`): questions and answers.
        labels (`list[str]`): label set of the questions.
        output (`Path`): the file of lines; pictures given as bytes are written beside it.
    """
    kind: VisualKind = "video" if record.is_video else "image"
    messages: list[ChatMessage] = []
    for index, (question, answer) in enumerate(turns):
        shown: list[ChatPart] = [{"type": kind}] if index == 0 else []
        messages += [
            {"role": "user", "content": [*shown, {"type": "text", "text": question}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ]
    item: InstructItem = {"id": id}
    item[kind] = _file_of(record, output)
    item["conversations"] = llava_turns(messages)
    if record.emotion is not None:
        item["emotion"] = record.emotion
    if record.attributes is not None:
        item["attributes"] = record.attributes
    if record.split is not None:
        item["split"] = record.split
    if record.dataset:
        item["dataset"] = record.dataset
    if record.subject is not None:
        item["subject"] = record.subject
    if record.face_crop:
        item["face_crop"] = True
    item["emotion_labels"] = labels
    return item


def _file_of(record: Record, output: Path) -> str:
    if isinstance(record.visual, bytes):
        return _save(record.visual, record.is_video, output)
    if is_url(record.visual):
        return record.visual
    return Path(os.path.relpath(record.visual, output.parent)).as_posix()


def files_folder(output: Path) -> Path:
    """
    Where pictures and clips are that were given as bytes.

    Args:
        output (`Path`): the file of lines.
    """
    return output.with_name(output.stem + "_files")


def _save(content: bytes, is_video: bool, output: Path) -> str:
    """Write a picture or clip under a name made of its content, once."""
    suffix = "mp4" if is_video else (Image.open(io.BytesIO(content)).format or "png").lower()
    folder = files_folder(output)
    name = f"{hashlib.sha256(content).hexdigest()[:32]}.{suffix}"
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / name) as unfinished:
            unfinished.write_bytes(content)
    return f"{folder.name}/{name}"


def write_lines(path: Path, items: Iterable[InstructItem]) -> None:
    """
    Write JSON lines into a [`whole_file`].

    Args:
        path (`Path`): the file.
        items (`Iterable[InstructItem]`): one a line.
    """
    with whole_file(path) as unfinished, open(unfinished, "wb") as file:
        file.writelines(map(json_line, items))
