"""What the processor writes into a prompt, and what it keeps users from writing."""

import re
from collections.abc import Callable, Mapping
from numbers import Real
from string import Formatter
from typing import Any, TypeAlias

from .setting_checks import shown

Attributes: TypeAlias = Mapping[str, str | tuple[str, float]]
"""What attributes are perceived to be: each a value of the user's, or a value and its probability."""

# The prompt of Vicuna v1, which LLaMA-VID was trained with; visuals come before the text of their turn.
CHAT_TEMPLATE = """\
{%- macro text(content) -%}
    {%- if content is string -%}
        {{ content }}
    {%- else -%}
        {{ content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join('\\n') }}
    {%- endif -%}
{%- endmacro -%}
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
    """Put a space into every one of `tokens` that `text` spells, so that it stays text: `<image>` -> `< image>`."""
    pattern = "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True) if len(token) > 1)
    return re.sub(pattern, lambda match: f"{match[0][0]} {match[0][1:]}", text) if pattern else text


def defuse_chat(conversation: Any, defuse_text: Callable[[str], str]) -> Any:
    """A copy of a chat, or of a list of chats, in which everything said went through `defuse_text`."""
    if isinstance(conversation, (list, tuple)):
        return [defuse_chat(part, defuse_text) for part in conversation]
    if not isinstance(conversation, dict) or "content" not in conversation:
        return conversation
    content = conversation["content"]
    if isinstance(content, str):
        content = defuse_text(content)
    elif isinstance(content, (list, tuple)):
        content = [
            {**part, "text": defuse_text(part["text"])} if isinstance(part, dict) and "text" in part else part
            for part in content
        ]
    return {**conversation, "content": content}


def turn_of(text: str, position: int, user_prefix: str, assistant_prefix: str) -> str:
    """The user's turn around character `position` of a rendered chat; the whole text where no prefix is found."""
    start = text.rfind(user_prefix, 0, position)
    start = 0 if start < 0 else start + len(user_prefix)
    end = text.find(assistant_prefix, position)
    return text[start : len(text) if end < 0 else end]
