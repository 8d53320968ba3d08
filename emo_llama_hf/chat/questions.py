"""Whatever the pipeline is given, as chat messages."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from mimetypes import guess_type
from typing import Any

from transformers.utils.chat_template_utils import Chat, is_valid_message

from ..chat_message import ChatMessage, ChatPart, VisualKind
from ..closed_set.question import closed_question
from ..input_error import InputError, input_errors
from ..processing.download import is_url
from ..processing.media_kind import is_video
from ..processing.media_limits import current_limits
from ..processing.media_source import open_media
from ..processing.setting_checks import shown

KEYS = ("image", "video", "question", "attributes")
STORED = {"bytes", "path"}  # how `datasets` keeps a file
HOW_TO = "Give a picture, a clip, a dict with `image` or `video`, or chat messages that hold one."


class Turns:
    """
    A chat, not checked yet: of many inputs, transformers' own `Chat` would refuse all where one is wrong.

    Args:
        messages (`list` or `tuple`): the first is a message, the others may be anything.
    """

    def __init__(self, messages: Any) -> None:
        self.messages = messages


def as_turns(inputs: Any) -> Any:
    """An input of the pipeline, as [`Turns`] if it begins as a chat does."""
    is_chat = isinstance(inputs, (list, tuple)) and inputs and is_valid_message(inputs[0])
    return Turns(inputs) if is_chat else inputs


def check_question(question: object) -> str:
    """
    The question, as it is.

    Args:
        question (`str`)

    Raises:
        `InputError`: it is empty, no text, or longer than the [`MediaLimits`] allow.
    """
    if not isinstance(question, str) or not question.strip():
        raise InputError(f"`question` must be a text that asks something, got {shown(question)}.")
    with input_errors():
        current_limits().check("question", question, "max_characters")
    return question


@contextmanager
def fetched(inputs: Any) -> Iterator[Any]:
    """What a URL names as an open file, so that telling clips from pictures and reading them fetches it once."""
    if not isinstance(inputs, str) or not is_url(inputs):
        yield inputs
        return
    with open_media(inputs, "image" if (guess_type(inputs)[0] or "").startswith("image/") else "video") as file:
        yield file


def read_input(
    inputs: Any, question: str | None, labels: list[str], phrasing: str | None = None
) -> tuple[list[ChatMessage], Any]:
    """
    Chat messages of an input of the pipeline, and the attributes that came with it.

    Args:
        inputs (`Any`): a picture or clip, a dict with one, or chat messages.
        question (`str`, *optional*): asked where the input itself asks nothing; by default the closed question.
        labels (`list[str]`), phrasing (`str`, *optional*): of the [`closed_question`].

    Returns:
        `tuple[list[dict], Any]`: the messages and, unchecked, the attributes; `None` where the input has none.

    Raises:
        `InputError`: a dict without a visual or with a misspelled key, a message without `role` or `content`.
    """
    inputs = as_turns(inputs)
    if isinstance(inputs, (Chat, Turns)):
        for message in inputs.messages:
            if not is_valid_message(message):
                raise InputError(
                    f"`inputs` is a chat with a message that is no dict of `role` and `content`: {shown(message)}."
                )
        return inputs.messages, None
    attributes = None
    kind: VisualKind
    if isinstance(inputs, dict) and set(inputs) != STORED:
        # A row of a data set has columns of its own, but none that is one of ours misspelled.
        misspelled = [key for key in inputs if key not in KEYS and get_close_matches(str(key), KEYS, cutoff=0.85)]
        shown_as = [key for key in ("image", "video") if inputs.get(key) is not None]
        if misspelled or len(shown_as) != 1:
            raise InputError(f"`inputs` has the keys {list(inputs)} of which {', '.join(KEYS)} are known. {HOW_TO}")
        kind = "video" if shown_as == ["video"] else "image"
        source, attributes = inputs[kind], inputs.get("attributes")
        if inputs.get("question") is not None:
            question = check_question(inputs["question"])
    else:
        source, kind = inputs, "video" if is_video(inputs, "inputs") else "image"
    content: list[ChatPart] = [
        {"type": kind, kind: source},
        {"type": "text", "text": question or closed_question(kind, labels, phrasing)},
    ]
    return [{"role": "user", "content": content}], attributes


def visual_sources(messages: Iterable[ChatMessage]) -> list[tuple[Any, bool]]:
    """
    The pictures and clips of all messages in order, and whether each is a clip.

    Args:
        messages (`Iterable[dict]`): a chat, with sources under any name that transformers knows.

    Raises:
        `InputError`: there is none, one has no source, or a message's content is neither text nor a list of parts.
    """
    found: list[tuple[Any, bool]] = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, (str, list, tuple)):
            raise InputError(f"`content` must be a text or a list of dicts with a `type`, got {shown(content)}.")
        for part in [] if isinstance(content, str) else content:
            if not isinstance(part, dict) or "type" not in part:
                raise InputError(f"`content` must be a text or a list of dicts with a `type`, got {shown(content)}.")
            kind = part["type"]
            if kind == "text" and not isinstance(part.get("text"), str):
                raise InputError(f"`content` has a part of type text whose `text` is {shown(part.get('text'))}.")
            if kind == "image_url":  # OpenAI's way of writing it
                part = part[kind] if isinstance(part.get(kind), dict) else {"url": part.get(kind)}
                kind = "image"
            if kind not in ("image", "video"):
                continue
            source = next((part[key] for key in (kind, "url", "path", "base64") if part.get(key) is not None), None)
            if source is None:
                raise InputError(f"`inputs` has a part of type {kind} without a source. {HOW_TO}")
            if message["role"] != "user":
                raise InputError(
                    f"`inputs` shows something in a message of role {shown(message['role'])}: only users may."
                )
            found.append((source, kind == "video"))
    if not found:
        raise InputError(f"`inputs` shows nothing. {HOW_TO}")
    return found
