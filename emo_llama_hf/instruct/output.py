"""The finished file: LLaVA-style JSON lines, with the pictures that were given as bytes beside it."""

import hashlib
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from ..data.layouts.llava import llava_turns
from ..data.record import Record
from ..whole_file import whole_file


def llava_item(record: Record, id: str, turns: list[tuple[str, str]], output: Path) -> dict:
    """One line about a record; the file that it names is relative to the output's folder."""
    kind = "video" if record.is_video else "image"
    messages = []
    for index, (question, answer) in enumerate(turns):
        shown = [{"type": kind}] if index == 0 else []
        messages += [
            {"role": "user", "content": [*shown, {"type": "text", "text": question}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ]
    item = {
        "id": id,
        kind: _file_of(record, output),
        "conversations": llava_turns(messages),
        "emotion": record.emotion,
        "attributes": record.attributes,
        "split": record.split,
    }
    return {name: value for name, value in item.items() if value is not None}


def _file_of(record: Record, output: Path) -> str:
    if isinstance(record.visual, bytes):
        return _save(record.visual, record.is_video, output)
    if record.visual.startswith(("http://", "https://")):
        return record.visual
    return Path(os.path.relpath(record.visual, output.parent)).as_posix()


def _save(content: bytes, is_video: bool, output: Path) -> str:
    """Write a picture or clip under a name made of its content, once."""
    suffix = "mp4" if is_video else (Image.open(io.BytesIO(content)).format or "png").lower()
    folder = output.with_name(output.stem + "_files")
    name = f"{hashlib.sha256(content).hexdigest()[:32]}.{suffix}"
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / name) as unfinished:
            unfinished.write_bytes(content)
    return f"{folder.name}/{name}"


def write_lines(path: Path, items: Iterable[dict]) -> None:
    """Write JSON lines into a file that appears, or replaces an earlier one, when it is complete."""
    with whole_file(path) as unfinished, open(unfinished, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
