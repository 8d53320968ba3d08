"""
LLaVA's and LLaMA-VID's way: JSON or JSON lines with `image` or `video` and `conversations`.

EMO-LLaMA's authors publish the MAFW part of their instruction data (FERID). That file was not seen when this was
written: it is expected to be what LLaMA-VID's code reads, on which theirs builds.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TypedDict

import ijson

from ...chat_message import ChatMessage, ChatPart, VisualKind
from ...closed_set.label_set import check_labels
from ...closed_set.question import asked_labels
from ...input_error import InputError
from ...json_text import UNREADABLE
from ...processing.download import is_url
from ..record import Record, RecordError

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
PLACEHOLDER = re.compile(r"\s*<(?:image|video)>\s*")
READ_SIZE = 1 << 20  # characters of a JSON array in memory besides one item
UNDECODED = re.compile("[\udc80-\udcff]")  # bytes that are not UTF-8, as `surrogateescape` decodes them
DEEPEST = 100  # arrays and objects in each other
MARK = "\ufdd0"  # stands for them on their way through the parser; Unicode keeps it out of texts

SUFFIXES = (".json", ".jsonl")
LOOKED_FOR = "a file .json or .jsonl"

LlavaTurn = TypedDict("LlavaTurn", {"from": str, "value": str})


def is_here(path: Path) -> bool:
    """Whether it is a file of JSON."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def rows(path: Path, root: str | Path | None = None) -> Iterator[Record | RecordError]:
    """
    Rows of a file; files that it names are relative to `root`, by default its own folder.

    An item has `image` or `video` (a path; of a folder: its frames), `conversations` (`from` human or gpt, `value`
    with `<image>` or `<video>` where the visual is shown; LLaMA-VID writes `<image>` for clips too), and may have
    `id`, `emotion`, `attributes`, `split`, `dataset`, `emotion_labels` (the label set of this data set), `subject` and
    `face_crop`. Where the first answer is an option of the paper's closed question, the options are the label set of
    an item that names none, and the answer is the emotion of one that names neither.

    Args:
        path (`Path`): the file.
        root (`str` or `Path`, *optional*): what paths are relative to; the file's folder by default.
    """
    root = Path(root) if root is not None else path.parent
    for number, (row, item) in enumerate(_items(path)):
        if isinstance(item, RecordError):
            yield item
            continue
        try:
            yield _record(item, row, root, number)
        except (TypeError, ValueError) as error:
            yield RecordError(row, str(error))


def _items(path: Path) -> Iterator[tuple[str, Any]]:
    """Each item and where it stands: lines of JSON lines, or elements of one array that is read piece by piece."""
    # What is not UTF-8 becomes surrogates, so that it spoils only the item that it is in.
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        start = file.read(1)
        while start.isspace():
            start = file.read(1)
        file.seek(0)
        if start == "[":
            yield from _array_items(file, path)
            return
        for number, line in enumerate(file, 1):
            row = f"{path}:{number}"
            if line.strip():
                try:
                    line.encode()
                    yield row, json.loads(line)
                except UNREADABLE as error:
                    yield row, RecordError(row, f"is not JSON in UTF-8 ({error})")


def _array_items(file: IO[str], path: Path) -> Iterator[tuple[str, Any]]:
    pieces = iter(lambda: UNDECODED.sub(MARK, file.read(READ_SIZE)).encode(), b"")
    index = 0
    events = _within_depth(ijson.basic_parse(ijson.from_iter(pieces), use_float=True))
    try:
        for index, item in enumerate(ijson.items(ijson.parse(events), "item"), 1):
            row = f"{path}[{index - 1}]"
            yield row, RecordError(row, "is not UTF-8") if MARK in json.dumps(item, ensure_ascii=False) else item
    except ijson.JSONError as error:
        row, (reason, *_) = f"{path}[{index}]", str(error).splitlines()
        yield row, RecordError(row, f"is not JSON, nothing after it can be read ({reason})")


def _within_depth(events: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The parser's events. It writes down the path of every value: 100 KB of brackets alone would take 25 GB."""
    depth = 0
    for event in events:
        depth += event[0] in ("start_array", "start_map")
        depth -= event[0] in ("end_array", "end_map")
        if depth > DEEPEST:
            raise ijson.JSONError(f"nested deeper than {DEEPEST}")
        yield event


def _record(item: Any, row: str, root: Path, number: int) -> Record:
    if not isinstance(item, dict):
        raise TypeError(f"must be an object, got {type(item).__name__}")
    if ("image" in item) == ("video" in item):
        raise InputError("must have `image` or `video`, and not both")
    kind: VisualKind = "video" if "video" in item else "image"
    visual = item[kind]
    if not isinstance(visual, str) or not visual:
        raise TypeError(f"`{kind}` must be the path of a file, got {visual!r}")
    if not is_url(visual):
        visual = os.path.join(root, visual)
    for name, wanted in (
        ("emotion", str),
        ("attributes", dict),
        ("split", str),
        ("dataset", str),
        ("subject", str),
        ("face_crop", bool),
    ):
        if not isinstance(item.get(name), (wanted, type(None))):
            raise TypeError(f"`{name}` must be {wanted.__name__}, got {item[name]!r}")
    turns, emotion, labels = item.get("conversations"), item.get("emotion"), item.get("emotion_labels")
    if labels is not None:
        labels = check_labels(labels, "emotion_labels")
    conversation = None if turns is None else chat_messages(turns, kind)
    if labels is None and conversation is not None:
        chosen, options = _chosen(conversation)
        if chosen is not None and emotion in (None, *options):
            emotion, labels = emotion or chosen, check_labels(options, "conversations")
    return Record(
        id=str(item.get("id", number)),
        visual=visual,
        is_video=kind == "video",
        conversation=conversation,
        emotion=emotion,
        attributes=item.get("attributes"),
        split=item.get("split"),
        dataset=item.get("dataset") or "",
        subject=item.get("subject"),
        face_crop=bool(item.get("face_crop")),
        emotion_labels=labels,
        row=row,
    )


def _chosen(conversation: list[ChatMessage]) -> tuple[str | None, list[str]]:
    """The option that the first answer names alone, and all, if a closed question was asked that lists options."""

    def said(role: str) -> str:
        content = next(message["content"] for message in conversation if message["role"] == role)
        return content if isinstance(content, str) else str(content[-1]["text"])

    options = asked_labels(said("user")) or []
    answer = said("assistant").removesuffix(".").casefold()
    return next((label for label in options if label.casefold() == answer), None), options


def chat_messages(turns: object, kind: VisualKind) -> list[ChatMessage]:
    """
    LLaVA's turns as transformers' chat messages that show the visual once; it is put first where no turn shows it.

    Args:
        turns (`list[dict]`): `{"from": "human" or "gpt", "value": text}` in turn.
        kind (`str`): `"image"` or `"video"`.

    Raises:
        `InputError`: empty, an unknown or misplaced speaker, or more than one placeholder.
    """
    if not isinstance(turns, list) or not turns:
        raise InputError("`conversations` must be a list of turns, and not empty")
    messages: list[ChatMessage] = []
    asked: list[list[ChatPart]] = []
    shown = 0
    for turn in turns:
        if not isinstance(turn, dict):
            raise InputError(f"a turn must be an object, got {turn!r}")
        role = ROLES.get(str(turn.get("from", turn.get("role"))))
        text = turn.get("value", turn.get("content"))
        if role is None or not isinstance(text, str):
            raise InputError(f"a turn must have `from` ({', '.join(ROLES)}) and text as `value`, got {turn!r}")
        parts: list[ChatPart] = []
        if role == "user":
            found = len(PLACEHOLDER.findall(text))
            shown += found
            if found:
                parts.append({"type": kind})
                text = PLACEHOLDER.sub(" ", text)
        parts.append({"type": "text", "text": text.strip()})
        messages.append({"role": role, "content": parts})
        if role == "user":
            asked.append(parts)
    roles = [message["role"] for message in messages if message["role"] != "system"]
    if roles != ["user", "assistant"] * (len(roles) // 2) or not roles:
        raise InputError(f"`conversations` must be human and gpt in turn, got {', '.join(roles) or 'no turn'}")
    if shown > 1:
        raise InputError(f"`conversations` shows {shown} visuals, but an item has one")
    if not shown:
        asked[0].insert(0, {"type": kind})
    return messages


def llava_turns(messages: Iterable[ChatMessage]) -> list[LlavaTurn]:
    """
    The inverse of [`chat_messages`]: `<image>` or `<video>` before the text that is about it.

    Args:
        messages (`Iterable[dict]`): chat messages.
    """
    speakers = {"user": "human", "assistant": "gpt", "system": "system"}
    turns: list[LlavaTurn] = []
    for message in messages:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts = [part["text"] if part["type"] == "text" else f"<{part['type']}>" for part in parts]
        turns.append({"from": speakers[message["role"]], "value": "\n".join(texts)})
    return turns
