"""
What training and evaluation read: a sample is a dict with

- `messages`: a chat; its visual parts are `{"type": "image", "image": source}` or
  `{"type": "video", "video": source}`, where a source is whatever the processor's `load_visual` takes;
- `emotion` (`str`, *optional*): the label;
- `attributes` (*optional*): perceived age, gender and race, a dict about the person in every visual, or a list with a
  dict (or `None`) for each visual;
- `id` and `fold` (`str`, *optional*): for evaluation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..closed_set.question import closed_message
from ..input_error import InputError
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.visual import Visual
from .face_cache import FaceCache
from .record import Record


@dataclass(frozen=True)
class RecordVisual:
    """The picture or clip of a record, with its faces where they were prepared; read when it is needed."""

    record: Record
    faces: FaceCache | None = None

    def load(self, processor: EmoLlamaProcessor) -> Visual:
        if self.faces is None:
            return self.record.load(processor)
        return self.faces.visual(self.record, processor)


def samples_of(records: Iterable[Record], labels: list[str], faces: FaceCache | None = None) -> list[dict]:
    """
    Samples of a data set's records; one without a conversation becomes the closed question and its label.

    Args:
        records: from [`Records`].
        labels (`list[str]`): label set of the closed question.
        faces ([`FaceCache`], *optional*): what `emo-llama prepare` found.
    """
    samples = []
    for record in records:
        kind = "video" if record.is_video else "image"
        messages = record.conversation
        if messages is None:
            messages = [closed_message(kind, labels)]
            if record.emotion is not None:
                messages += [{"role": "assistant", "content": record.emotion}]
        # What the data set says of the person comes before what the face prior perceives.
        attributes = {**((faces.attributes(record) or {}) if faces else {}), **(record.attributes or {})}
        sample = {"id": record.id, "messages": messages, "emotion": record.emotion, "attributes": attributes or None}
        samples.append(with_visuals(sample, [RecordVisual(record, faces)]))
    return samples


def visual_parts(messages: list[dict]) -> list[dict]:
    """The image and video parts of a chat, in order."""
    contents = [message["content"] for message in messages if not isinstance(message["content"], str)]
    return [part for content in contents for part in content if part["type"] in ("image", "video")]


def load_visuals(processor: EmoLlamaProcessor, sample: dict) -> list[Visual]:
    """
    The visuals of a sample, read and with their faces found; those that already are [`Visual`]s stay as they are.

    Raises:
        `InputError`: a visual has no source, or cannot be read.
    """
    visuals = []
    for part in visual_parts(sample["messages"]):
        kind = part["type"]
        source = part.get(kind)
        if source is None:
            raise InputError(f"`messages` has a part of type {kind!r} without the key {kind!r}: {part}")
        if isinstance(source, RecordVisual):
            visuals.append(source.load(processor))
        else:
            visuals.append(processor.load_visual(source, kind == "video"))
    return processor.faces.find(visuals, split=False)


def with_visuals(sample: dict, visuals: Sequence) -> dict:
    """A copy of a sample with these visuals in the places of its own."""
    rest = iter(visuals)

    def content(message: dict):
        if isinstance(message["content"], str):
            return message["content"]
        return [
            {**part, part["type"]: next(rest)} if part["type"] in ("image", "video") else part
            for part in message["content"]
        ]

    return {**sample, "messages": [{**message, "content": content(message)} for message in sample["messages"]]}


def attributes_of(processor: EmoLlamaProcessor, sample: dict, visuals: int) -> list[dict | None]:
    """
    What is to be written about the person in each of a sample's `visuals` visuals: of the attributes, those that the
    processor has words for.
    """
    attributes = sample.get("attributes")
    rows = [attributes] * visuals if attributes is None or isinstance(attributes, dict) else list(attributes)
    if len(rows) != visuals:
        raise InputError(f"`attributes` has {len(rows)} entries for {visuals} visuals: give one for each.")
    return [row and {name: row[name] for name in row if name in processor.prompt.attribute_phrases} for row in rows]
