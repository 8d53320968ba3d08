"""The options that say what is asked of each photo and video, and within which limits."""

from dataclasses import dataclass
from typing import Any

from ..processing.media_limits import MediaLimits
from .options import AllowPrivate, Labels, MaxNewTokens, NoAttributes, Question


@dataclass(frozen=True)
class AskingOptions:
    """--labels, --question and what goes with them."""

    labels: Labels = None
    question: Question = None
    max_new_tokens: MaxNewTokens = None
    no_attributes: NoAttributes = False
    allow_private: AllowPrivate = False

    @property
    def settings(self) -> dict[str, Any]:
        """What the pipeline is told."""
        told = {"labels": self.labels, "question": self.question, "max_new_tokens": self.max_new_tokens}
        settings: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
        settings["limits"] = MediaLimits(allow_private=self.allow_private)
        if self.no_attributes:
            settings["attributes"] = False
        return settings
