"""What the model is asked about: one person in what a chat shows."""

from dataclasses import dataclass

import torch

from ..processing.prompts import Attributes
from ..processing.visual import Visual
from .result import Perceived


@dataclass
class Subject:
    """
    One answer to give.

    Args:
        visuals (`list[Visual]`): of a chat, the last one with the face that the answer is about.
        pixels (`list[dict[str, torch.Tensor]]`): of each visual, from [`EmoLlamaProcessor.visual_inputs`].
        prompt (`str`): what is asked.
        questions (`list[str]`): what guides the Q-Former on each visual.
        closed_prompt (`str`): asks which of the labels it is, about the last visual.
        closed_question (`str`): guides the Q-Former there.
        labels (`list[str]`): the label set.
        attributes (`dict` or `bool`, *optional*): the user's for the last visual, `False` for none.
        perceived (`list[dict | None]`): of each visual age, gender and race, label and probability.
        perceived_frames (`list[dict | None]`): the same of each frame of the last visual.
    """

    visuals: list[Visual]
    pixels: list[dict[str, torch.Tensor]]
    prompt: str
    questions: list[str]
    closed_prompt: str
    closed_question: str
    labels: list[str]
    attributes: Attributes | bool | None
    perceived: list[Perceived | None]
    perceived_frames: list[Perceived | None]

    @property
    def asks_closed(self) -> bool:
        """Whether what is asked is the closed question itself."""
        return self.prompt == self.closed_prompt
