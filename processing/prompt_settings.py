"""What of a prompt is chosen: which question guides a visual, how the closed one is put, how attributes are told."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .prompts import (
    ATTRIBUTE_PHRASES,
    ATTRIBUTE_TEMPLATE,
    EMOTION,
    Attributes,
    attribute_sentence,
    chat_questions,
    check_wording,
    turn_of,
)
from .setting_checks import check_choice, check_flag, check_mapping, check_number, check_text

QuestionGuide: TypeAlias = Literal["turn", "latest", "default", "none"]
QUESTION_GUIDES: tuple[QuestionGuide, ...] = ("turn", "latest", "default", "none")


@dataclass(frozen=True)
class PromptSettings:
    """
    How prompts are read and written.

    Args:
        user_prefix (`str`, *optional*, defaults to `"USER:"`): what begins a user's turn in the chat template.
        assistant_prefix (`str`, *optional*, defaults to `"ASSISTANT:"`):
            What begins the assistant's turn. Both stay text where people say them, so in a text that is no chat any
            more, the question that guides a visual lies between the two.
        question_guide (`str`, *optional*, defaults to `"turn"`):
            `"turn"` (the question of the turn that shows a visual guides it), `"latest"`, or one that makes visual
            tokens the same whatever is asked: `"default"` (`default_question`) or `"none"` (no question).
        default_question (`str`, *optional*, defaults to `"What is the emotion of the person?"`):
            What guides a visual that a text shows without asking anything, or with `question_guide="default"` all.
        closed_question (`str`, *optional*):
            How it is asked which of the labels it is: a text with `{labels}`, and `{kind}` for image or video. By
            default what is asked is left to whoever asks.
        use_attributes (`bool`, *optional*, defaults to `True`):
            Whether perceived age, gender and race may be written into a prompt at all.
        attribute_template (`str`, *optional*), attribute_phrases (`dict[str, str]`, *optional*),
        attribute_threshold (`float`, *optional*, defaults to 0.6):
            See [`attribute_sentence`]. A phrase of `emotion` is for models that learned to answer by it: then the
            pipeline tells in a prompt which emotions the closed question found.

    Raises:
        `ValueError`: a setting is none of its choices, or a wording has no place for what it is about.
    """

    user_prefix: str = "USER:"
    assistant_prefix: str = "ASSISTANT:"
    question_guide: QuestionGuide = "turn"
    default_question: str = "What is the emotion of the person?"
    closed_question: str | None = None
    use_attributes: bool = True
    attribute_template: str = ATTRIBUTE_TEMPLATE
    attribute_phrases: dict[str, str] = field(default_factory=lambda: dict(ATTRIBUTE_PHRASES))
    attribute_threshold: float = 0.6

    def __post_init__(self) -> None:
        check_choice("question_guide", self.question_guide, QUESTION_GUIDES)
        check_text("user_prefix", self.user_prefix)
        check_text("assistant_prefix", self.assistant_prefix)
        check_text("default_question", self.default_question)
        if self.closed_question is not None:
            check_text("closed_question", self.closed_question)
            if "{labels}" not in self.closed_question:
                raise ValueError(
                    f"`closed_question` must have {{labels}}, where the label set goes, got {self.closed_question!r}."
                )
        check_flag("use_attributes", self.use_attributes)
        check_mapping("attribute_phrases", self.attribute_phrases)
        check_wording(self.attribute_template, self.attribute_phrases)
        check_number("attribute_threshold", self.attribute_threshold, 0, math.inf)

    @property
    def tells_emotion(self) -> bool:
        """Whether prompts tell which emotions the closed question found."""
        return EMOTION in self.attribute_phrases

    def questions_in(self, text: str, placeholders: Sequence[str]) -> list[str]:
        """
        The question that guides each visual of a rendered chat, for whoever has no messages any more.

        Args:
            text (`str`): the chat, with a placeholder for each visual.
            placeholders (`list[str]`): what stands for a visual.

        Returns:
            `list[str]`: one question for each placeholder in the text, in order; empty where nothing is asked.
        """
        pattern = "|".join(map(re.escape, placeholders))
        positions = [match.start() for match in re.finditer(pattern, text)]
        if self.question_guide == "latest":
            last = text.rfind(self.user_prefix)
            positions = [0 if last < 0 else last + len(self.user_prefix)] * len(positions)
        turns = [turn_of(text, position, self.user_prefix, self.assistant_prefix) for position in positions]
        return [re.sub(pattern, " ", turn).strip() for turn in turns]

    def questions_of(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """The question that guides each visual of a chat, see [`chat_questions`]."""
        return chat_questions(messages, latest=self.question_guide == "latest")

    def sentence(self, attributes: Attributes | None) -> str:
        """The [`attribute_sentence`] in these settings' wording; without `use_attributes` of the emotion alone."""
        if not self.use_attributes:
            attributes = {name: value for name, value in (attributes or {}).items() if name == EMOTION}
        return attribute_sentence(
            attributes, self.attribute_template, self.attribute_phrases, self.attribute_threshold
        )
