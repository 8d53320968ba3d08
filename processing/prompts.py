"""What the processor writes into a prompt, and what it keeps users from writing."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from numbers import Real
from string import Formatter
from typing import Any, TypeAlias

from .setting_checks import shown

Attributes: TypeAlias = Mapping[str, str | tuple[str, float]]
"""What attributes are perceived to be: each a value of the user's, or a value and its probability."""

VISUAL_PARTS = ("image", "video", "image_url")  # the last is OpenAI's way of writing the first
LONGEST_TOKEN = 1000  # characters; no tokenizer's special token or role word comes near

# The prompt of Vicuna v1, which LLaMA-VID was trained with; visuals come before the text of their turn.
CHAT_TEMPLATE = """\
{%- macro text(content) -%}
    {%- if content is string -%}
        {{ content }}
    {%- else -%}
        {{ content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join('\\n') }}
    {%- endif -%}
{%- endmacro -%}
{%- if tools -%}
    {{ raise_exception('The model calls no tools: leave `tools` out.') }}
{%- endif -%}
{%- if messages and messages[0]['role'] == 'system' -%}
    {{ text(messages[0]['content']) + ' ' }}
    {%- set messages = messages[1:] -%}
{%- else -%}
    {{ "A chat between a curious user and an artificial intelligence assistant. " }}
    {{- "The assistant gives helpful, detailed, and polite answers to the user's questions. " }}
{%- endif -%}
{%- for message in messages -%}
    {%- if message['role'] == 'user' -%}
        {{ 'USER: ' }}
        {%- if message['content'] is not string -%}
            {%- for part in message['content'] if part['type'] in ('image', 'video') -%}
                {{ '<' + part['type'] + '>\\n' }}
            {%- endfor -%}
        {%- endif -%}
        {{ text(message['content']) + ' ' }}
    {%- elif message['role'] == 'assistant' -%}
        {{ 'ASSISTANT:' }}{% generation %}{{ ' ' + text(message['content']) + eos_token }}{% endgeneration %}
    {%- else -%}
        {{ raise_exception('Only system (first), user and assistant messages are supported.') }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ 'ASSISTANT:' }}
{%- endif -%}
"""

ATTRIBUTE_TEMPLATE = "Perceived attributes of the face: {attributes}."
ATTRIBUTE_PHRASES = {"age": "age {value}", "gender": "gender {value}", "race": "race {value}"}
EMOTION = "emotion"
"""The phrase with which a processor has the perceived emotion told, which is no attribute that may be switched off."""


def attribute_sentence(
    attributes: Attributes | None,
    template: str = ATTRIBUTE_TEMPLATE,
    phrases: Mapping[str, str] = ATTRIBUTE_PHRASES,
    threshold: float = 0.0,
) -> str:
    """
    The handcrafted sentence about perceived age, gender and race (EMO-LLaMA's attribute prompt; the wording is ours).

    Args:
        attributes (`dict[str, str | tuple[str, float]]`, *optional*):
            What each attribute is perceived to be: a value of the user's, or a value and its probability.
        template (`str`, *optional*): the sentence, with `{attributes}` where the phrases go.
        phrases (`dict[str, str]`, *optional*): the phrase of each attribute, with `{value}`.
        threshold (`float`, *optional*, defaults to 0.0): an attribute with a lower probability is left out.

    Returns:
        `str`: the sentence, empty when no attribute is left.

    Raises:
        `ValueError`: an attribute that `phrases` does not know, or a value that is not text.
    """
    written: dict[str, str] = {}
    for name, value in (attributes or {}).items():
        if name not in phrases:
            raise ValueError(f"`attributes` has {shown(name)}, but only {', '.join(phrases)} can be described.")
        text, probability = value if isinstance(value, (list, tuple)) and len(value) == 2 else (value, 1.0)
        if not isinstance(text, str) or not isinstance(probability, Real):
            raise ValueError(f"`attributes[{name!r}]` must be text or (text, probability), got {shown(value)}.")
        if probability >= threshold and text.strip():
            written[name] = phrases[name].format(value=text.strip())
    described = ", ".join(written[name] for name in phrases if name in written)
    return template.format(attributes=described) if described else ""


def check_wording(template: str, phrases: Mapping[str, str]) -> None:
    """Raise `ValueError` unless the template says where the phrases go, and each phrase where its value goes."""
    wordings = [("attribute_template", template, "attributes")]
    wordings += [(f"attribute_phrases[{name!r}]", phrase, "value") for name, phrase in phrases.items()]
    for argument, wording, field in wordings:
        try:
            places = {tuple(place) for _, *place in Formatter().parse(wording) if place[0] is not None}
        except (ValueError, TypeError):
            places = set()
        if places != {(field, "", None)}:  # a width, say, could make a sentence of any length
            raise ValueError(
                f"`{argument}` must be a text with {{{field}}} in it and no other braces, got {wording!r}."
            )


def defuse(text: str, tokens: list[str]) -> str:
    """
    Put a space into every one of `tokens` that `text` spells, beside its mark, so that it stays text: `<image>` ->
    `< image>`, `USER:` -> `USER :`.
    """
    pattern = _any_of(frozenset(tokens))

    def apart(match: re.Match[str]) -> str:
        word = match[0]
        at = len(word) - 1 if word[0].isalnum() else 1
        return f"{word[:at]} {word[at:]}"

    while (safe := pattern.sub(apart, text)) != text:  # a space may spell another token, which has one in it
        text = safe
    return text


@lru_cache
def _any_of(tokens: frozenset[str]) -> re.Pattern[str]:
    """A pattern of these tokens, the longest first."""
    words = sorted({token.strip() for token in tokens}, key=len, reverse=True)
    return re.compile("|".join(re.escape(word) for word in words if len(word) > 1) or "(?!)")


def defuse_chat(conversation: Any, defuse_text: Callable[[str], str]) -> Any:
    """A copy of a chat, or of a list of chats, in which everything said went through `defuse_text`."""
    if isinstance(conversation, (list, tuple)):
        return [defuse_chat(part, defuse_text) for part in conversation]
    if not isinstance(conversation, Mapping) or "content" not in conversation:
        return conversation
    content = conversation["content"]
    if isinstance(content, str):
        content = defuse_text(content)
    elif isinstance(content, (list, tuple)):
        content = _defuse_parts(content, defuse_text)
    return {**conversation, "content": content}


def _defuse_parts(parts: Sequence[Any], defuse_text: Callable[[str], str]) -> list[Any]:
    """The parts of a message, of which neither one nor several spell a token, however a template joins them."""
    safe, before = [], ""
    for part in parts:
        if isinstance(part, Mapping) and "text" in part:
            text = defuse_text(part["text"])
            while any(defuse_text(joined) != joined for joined in (before + gap + text for gap in ("", " ", "\n"))):
                text = f" {text}"
            before = (before + text)[-LONGEST_TOKEN:]
            part = {**part, "text": text}
        safe.append(part)
    return safe


def chat_questions(messages: Sequence[Mapping[str, Any]], latest: bool = False) -> list[str]:
    """
    The question that guides each visual of a chat.

    Args:
        messages (`list[dict]`): the chat, as a chat template reads it.
        latest (`bool`, *optional*, defaults to `False`): whether the last user message guides all of them.

    Returns:
        `list[str]`:
            For each visual, in order, the text of the message that shows it, or where that has none what else is said
            before the other side speaks; empty where nothing is.
    """
    questions = []
    for _, turn in groupby(messages, key=lambda message: message.get("role")):
        texts, shown = zip(*map(_said_and_shown, turn), strict=True)
        whole = "\n".join(filter(None, texts))
        questions += [text or whole for text, count in zip(texts, shown, strict=True) for _ in range(count)]
    if latest:
        said = [_said_and_shown(message)[0] for message in messages if message.get("role") == "user"]
        questions = (said[-1:] or [""]) * len(questions)
    return questions


def _said_and_shown(message: Mapping[str, Any]) -> tuple[str, int]:
    """What a message says, and how many visuals it shows."""
    content = message.get("content")
    if isinstance(content, str):
        return content.strip(), 0
    content = content if isinstance(content, (list, tuple)) else []
    parts = [(part.get("type"), part.get("text")) for part in content if isinstance(part, Mapping)]
    said = "\n".join(text for kind, text in parts if kind == "text" and isinstance(text, str))
    return said.strip(), sum(kind in VISUAL_PARTS for kind, _ in parts)


def turn_of(text: str, position: int, user_prefix: str, assistant_prefix: str) -> str:
    """The user's turn around character `position` of a rendered chat; the whole text where no prefix is found."""
    start = text.rfind(user_prefix, 0, position)
    start = 0 if start < 0 else start + len(user_prefix)
    end = text.find(assistant_prefix, position)
    return text[start : len(text) if end < 0 else end]
