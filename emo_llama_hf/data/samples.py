"""Samples of a data set's records, and what a sample shows and says of people."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..chat_message import ChatMessage, ChatPart
from ..closed_set.question import closed_message
from ..input_error import InputError
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.prompts import Attributes
from ..processing.visual import Visual
from .face_cache import FaceCache, reading_settings
from .record import Record
from .sample import Sample


@dataclass(frozen=True)
class RecordVisual:
    """
    The picture or clip of a record, with its faces where they were prepared; read when it is needed.

    Args:
        record ([`Record`])
        faces ([`FaceCache`], *optional*): what `emo-llama prepare` found.
    """

    record: Record
    faces: FaceCache | None = None

    def load(self, processor: EmoLlamaProcessor) -> Visual:
        """
        The picture or sampled frames, see [`Record.load`] and [`FaceCache.visual`].

        Args:
            processor ([`EmoLlamaProcessor`]): how clips are sampled.
        """
        if self.faces is None:
            return self.record.load(processor)
        return self.faces.visual(self.record, processor)


def samples_of(
    records: Iterable[Record],
    labels: Sequence[str] | None = None,
    faces: FaceCache | None = None,
    phrasing: str | None = None,
) -> list[Sample]:
    """
    Samples of a data set's records; one without a conversation becomes the closed question and its label.

    Args:
        records (`Iterable[Record]`): from [`Records`].
        labels (`list[str]`, *optional*): label set of records whose data set has none of its own.
        faces ([`FaceCache`], *optional*): what `emo-llama prepare` found.
        phrasing (`str`, *optional*): see [`closed_question`].

    Returns:
        `list[Sample]`, in the order of the records.

    Raises:
        `RecordError`: see [`Record.closed_set`].
    """
    samples = []
    for record in records:
        messages, options = record.conversation, record.closed_set(labels)
        if messages is None:
            messages = [closed_message("video" if record.is_video else "image", options, phrasing)]
            if record.emotion is not None:
                messages += [{"role": "assistant", "content": record.emotion}]
        # What the data set says of the person comes before what the face prior perceives.
        attributes: dict[str, str | tuple[str, float]] = {}
        if faces is not None:
            attributes |= faces.attributes(record) or {}
        attributes |= record.attributes or {}
        sample: Sample = {"id": record.id, "messages": messages, "emotion": record.emotion}
        sample |= {"attributes": attributes or None, "emotion_labels": options, "dataset": record.dataset}
        samples.append(with_visuals(sample, [RecordVisual(record, faces)]))
    return samples


def check_faces(samples: Iterable[Sample], processor: EmoLlamaProcessor) -> None:
    """
    Look whether the prepared faces of samples are those that a processor would find.

    Args:
        samples (`Iterable[Sample]`)
        processor ([`EmoLlamaProcessor`])

    Raises:
        `InputError`: they were prepared with other settings.
    """
    sources = (part.get(part["type"]) for sample in samples for part in visual_parts(sample["messages"]))
    caches = {id(source.faces): source.faces for source in sources if isinstance(source, RecordVisual)}
    for faces in caches.values():
        if faces is not None:
            faces.check(reading_settings(processor))


def label_set_of(sample: Sample, default: Sequence[str] | None, name: str) -> Sequence[str] | None:
    """
    The label set of the closed question about a sample.

    Args:
        sample ([`Sample`])
        default (`list[str]`, *optional*): of a sample without one of its own.
        name (`str`): what a message calls the sample.

    Raises:
        `InputError`: its emotion is not in the set.
    """
    labels, emotion = sample.get("emotion_labels") or default, sample.get("emotion")
    if labels is not None and emotion is not None and emotion not in labels:
        name = " of ".join(filter(None, (name, sample.get("dataset"))))
        raise InputError(f"{name} has the `emotion` {emotion!r}, which is none of {', '.join(labels)}.")
    return labels


def visual_parts(messages: Iterable[ChatMessage]) -> list[ChatPart]:
    """
    The image and video parts of a chat, in order.

    Args:
        messages (`Iterable[ChatMessage]`): the chat.
    """
    contents = [message["content"] for message in messages if not isinstance(message["content"], str)]
    return [part for content in contents for part in content if part["type"] in ("image", "video")]


def source_key(part: ChatPart) -> Hashable:
    """
    What two visual parts have in common that show the same.

    Args:
        part (`dict`): from [`visual_parts`]; what is neither a file nor its content is the same as itself only.
    """
    source = part.get(part["type"])
    if isinstance(source, RecordVisual):
        return source.record.visual, source.record.is_video, source.record.face_crop, id(source.faces)
    return (source if isinstance(source, str | bytes | Path) else id(source)), part["type"]


def load_visuals(processor: EmoLlamaProcessor, sample: Sample) -> list[Visual]:
    """
    The visuals of a sample, read and with their faces found; those that already are [`Visual`]s stay as they are.

    Args:
        processor ([`EmoLlamaProcessor`])
        sample ([`Sample`])

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


def with_visuals(sample: Sample, visuals: Sequence[Any]) -> Sample:
    """
    A copy of a sample with these visuals, or sources of visuals, in the places of its own.

    Args:
        sample ([`Sample`])
        visuals (`Sequence[Any]`): as many as it has.
    """
    rest = iter(visuals)

    def content(message: ChatMessage) -> str | list[ChatPart]:
        if isinstance(message["content"], str):
            return message["content"]
        return [
            {**part, part["type"]: next(rest)} if part["type"] in ("image", "video") else part
            for part in message["content"]
        ]

    return {**sample, "messages": [{**message, "content": content(message)} for message in sample["messages"]]}


def attributes_of(processor: EmoLlamaProcessor, sample: Sample, visuals: int) -> list[Attributes | None]:
    """
    What is to be written about the person in each visual: of the attributes, those that the processor has words for.

    Args:
        processor ([`EmoLlamaProcessor`])
        sample ([`Sample`])
        visuals (`int`): how many visuals it has.

    Raises:
        `InputError`: the sample has another number of attributes than of visuals.
    """
    attributes = sample.get("attributes")
    rows = list(attributes) if isinstance(attributes, list) else [attributes] * visuals
    if len(rows) != visuals:
        raise InputError(f"`attributes` has {len(rows)} entries for {visuals} visuals: give one for each.")
    return [row and {name: row[name] for name in row if name in processor.prompt.attribute_phrases} for row in rows]


def last_visual(processor: EmoLlamaProcessor, sample: Sample) -> tuple[Visual, Attributes | None]:
    """
    What the closed question is about: the last visual of a sample, and what is to be written about the person in it.

    Args:
        processor ([`EmoLlamaProcessor`])
        sample ([`Sample`])

    Raises:
        `InputError`: the sample shows nothing, or [`load_visuals`] or [`attributes_of`] refuse it.
    """
    visuals = load_visuals(processor, sample)
    if not visuals:
        raise InputError("A sample has an `emotion`, but nothing to look at: give it a picture or clip.")
    return visuals[-1], attributes_of(processor, sample, len(visuals))[-1]
