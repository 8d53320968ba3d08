"""What training and evaluation read: a chat that shows something, and what is known of it."""

from collections.abc import Sequence
from typing import TypedDict

from ..chat_message import ChatMessage
from ..processing.prompts import Attributes


class _Chat(TypedDict):
    messages: list[ChatMessage]


class Sample(_Chat, total=False):
    """
    One example to learn from or to ask about.

    Args:
        messages (`list[dict]`):
            A chat; its visual parts are `{"type": "image", "image": source}` or `{"type": "video", "video": source}`,
            where a source is whatever [`EmoLlamaProcessor.load_visual`] takes, or a [`RecordVisual`].
        emotion (`str`, *optional*): the label.
        attributes (`dict` or `list[dict | None]`, *optional*):
            Perceived age, gender and race of the person in every visual, or a list with an entry for each visual.
        id (`str`, *optional*): its name in an evaluation, unique there.
        emotion_labels (`list[str]`, *optional*): label set of the closed question; the model's own by default.
        dataset (`str`, *optional*): which data set it belongs to; each has figures of its own in an evaluation.
        fold (`str`, *optional*): which fold of a cross-validation it belongs to.
    """

    emotion: str | None
    attributes: Attributes | list[Attributes | None] | None
    id: str
    emotion_labels: Sequence[str] | None
    dataset: str
    fold: str | None
