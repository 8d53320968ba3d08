"""The messages of a chat in OpenAI's format, as the pipeline reads chats; never a path of this machine."""

from typing import Any

from ..chat_message import ChatMessage, ChatPart, VisualKind
from ..processing.download import is_url
from ..processing.setting_checks import shown
from .api_error import ApiError
from .limits import ServingLimits

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
KINDS: dict[str, VisualKind] = {"image_url": "image", "video_url": "video"}


def read_messages(messages: Any, limits: ServingLimits, allow_urls: bool) -> list[ChatMessage]:
    """
    Chat messages of the pipeline.

    Args:
        messages (`Any`):
            Of a request: each with `role` and `content`, a text or parts of the types text, image_url and video_url.
        limits ([`ServingLimits`])
        allow_urls (`bool`): whether pictures and clips may be named by http(s) URLs; else only by data URLs.

    Raises:
        [`ApiError`]: anything else is in them.
    """
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, f"`messages` must be a list of messages, got {shown(messages)}.", "messages")
    read = [_message(message, f"messages[{index}]", allow_urls) for index, message in enumerate(messages)]
    parts = [part for message in read if not isinstance(message["content"], str) for part in message["content"]]
    visuals = sum(part["type"] != "text" for part in parts)
    if visuals > limits.max_visuals:
        raise ApiError(
            400, f"`messages` shows {visuals} pictures and clips, this server takes {limits.max_visuals}.", "messages"
        )
    return read


def read_source(url: Any, name: str, allow_urls: bool) -> str:
    """
    A picture or clip that a request may name.

    Args:
        url (`Any`), allow_urls (`bool`): see [`read_messages`].
        name (`str`): where it stands in the request.

    Raises:
        [`ApiError`]: it is anything else: the pipeline would take it for a path.
    """
    if isinstance(url, str) and url.startswith("data:"):
        return url
    if isinstance(url, str) and is_url(url):
        if allow_urls:
            return url
        raise ApiError(400, f"`{name}` is a URL, and this server fetches none: send it as a data URL.", name)
    wanted = "a data URL (data:image/png;base64,…)" + (" or an http(s) URL" if allow_urls else "")
    raise ApiError(400, f"`{name}` must be {wanted}, got {shown(url)}.", name)


def _message(message: Any, name: str, allow_urls: bool) -> ChatMessage:
    message = _known(message, ("role", "content"), name)
    role = ROLES.get(message["role"]) if isinstance(message["role"], str) else None
    if role is None:
        raise ApiError(400, f"`{name}.role` must be one of {', '.join(ROLES)}, got {shown(message['role'])}.", name)
    content = message["content"]
    if isinstance(content, list):
        content = [_part(part, f"{name}.content[{index}]", allow_urls) for index, part in enumerate(content)]
    elif not isinstance(content, str):
        raise ApiError(400, f"`{name}.content` must be a text or a list of parts, got {shown(content)}.", name)
    return {"role": role, "content": content}


def _part(part: Any, name: str, allow_urls: bool) -> ChatPart:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        part = _known(part, ("type", "text"), name)
        if not isinstance(part["text"], str):
            raise ApiError(400, f"`{name}.text` must be a text, got {shown(part['text'])}.", name)
        return {**part}
    if not isinstance(kind, str) or kind not in KINDS:
        raise ApiError(400, f"`{name}.type` must be text, {' or '.join(KINDS)}, got {shown(kind)}.", name)
    source = _known(part, ("type", kind), name)[kind]
    if not isinstance(source, str):
        source = _known(source, ("url",), f"{name}.{kind}", ("detail",))["url"]  # how much is seen is the model's
    return {"type": KINDS[kind], KINDS[kind]: read_source(source, f"{name}.{kind}.url", allow_urls)}


def _known(given: Any, needed: tuple[str, ...], name: str, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """A part of the request, which has these names and, but for empty ones as clients write them, no others."""
    if not isinstance(given, dict):
        raise ApiError(400, f"`{name}` must be an object with {' and '.join(needed)}, got {shown(given)}.", name)
    for key in needed:
        if given.get(key) is None:
            raise ApiError(400, f"`{name}` has no `{key}`.", name)
    for key, value in given.items():
        if key not in (*needed, *more) and value not in (None, [], {}):
            raise ApiError(400, f"`{name}.{shown(key)[1:-1]}` is not supported: leave it out.", name)
    return {key: given[key] for key in needed}
