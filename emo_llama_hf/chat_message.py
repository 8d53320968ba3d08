"""A turn of a chat, as transformers' chat templates read it."""

from typing import Any, Literal, TypeAlias, TypedDict

VisualKind: TypeAlias = Literal["image", "video"]
# `{"type": "text", "text": ...}`, or `{"type": "image"}` or `"video"` with its source under that name; users may write
# the source under other names too, which templates know.
ChatPart: TypeAlias = dict[str, Any]


class ChatMessage(TypedDict):
    """
    One turn of a chat.

    Args:
        role (`str`): `"user"`, `"assistant"` or `"system"`.
        content (`str` or `list[dict]`): a text, or parts of which each has a `type`.
    """

    role: str
    content: str | list[ChatPart]
