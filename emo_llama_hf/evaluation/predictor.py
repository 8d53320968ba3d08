"""What an evaluation asks: anything that answers the closed question."""

from collections.abc import Sequence
from typing import Protocol, TypedDict

import torch

from ..processing.prompts import Attributes
from ..processing.visual import Visual


class Answer(TypedDict, total=False):
    """
    What a predictor says of one visual: either `error`, or all of the others.

    Args:
        answer (`str`): in words.
        scores (`dict[str, float]`): probability of each label; empty where the predictor only writes.
        perceived (`dict[str, str]`): perceived age, gender and race, where the predictor perceives them.
        refusal (`str`, *optional*): why the model would not answer; the answer then counts as wrong.
        error (`str`): why there is no answer.
    """

    answer: str
    scores: dict[str, float]
    perceived: dict[str, str]
    refusal: str
    error: str


class Predictor(Protocol):
    """
    Anything that answers the closed question about pictures and clips.

    Attributes:
        device (`torch.device`): where it computes.
        labels (`list[str]`): the label set where data have none of their own.
    """

    device: torch.device
    labels: list[str]

    def __call__(
        self, visuals: list[Visual], attributes: Sequence[Attributes | None], labels: list[str] | None = None
    ) -> list[Answer]:
        """
        Ask the closed question about each.

        Args:
            visuals (`list[Visual]`): B pictures and clips.
            attributes (`list[dict | None]`): what is known of the person in each.
            labels (`list[str]`, *optional*): the label set of this question; its own by default.

        Returns:
            `list[Answer]`, one for each visual.
        """
        ...
