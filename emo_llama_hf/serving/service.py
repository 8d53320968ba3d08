"""What every route of a server needs."""

from dataclasses import dataclass
from typing import Any

from ..chat.pipeline import EmotionChatPipeline
from .answer_options import AnswerOptions, take_options
from .api_error import ApiError
from .limits import ServingLimits
from .metrics import Metrics
from .visit import Visits


@dataclass(frozen=True)
class Service:
    """
    A model, and how it is served.

    Args:
        pipe ([`EmotionChatPipeline`])
        name (`str`): what clients call the model.
        limits ([`ServingLimits`])
        metrics ([`Metrics`])
        visits ([`Visits`])
        allow_urls (`bool`): whether pictures and clips are fetched from http(s) URLs.
        infer_attributes (`bool`): whether perceived age, gender and race may be written and told.
    """

    pipe: EmotionChatPipeline
    name: str
    limits: ServingLimits
    metrics: Metrics
    visits: Visits
    allow_urls: bool
    infer_attributes: bool

    def check_model(self, name: Any) -> None:
        """
        Look whether a request means this model.

        Args:
            name (`Any`): what it calls it.

        Raises:
            [`ApiError`]: it does not.
        """
        if name != self.name:
            raise ApiError(404, f"`model` must be {self.name}, the one that is here.", "model", "model_not_found")

    def take_options(self, body: dict[str, Any]) -> AnswerOptions:
        """
        Take the [`AnswerOptions`] out of a request's body.

        Args:
            body (`dict`)

        Raises:
            [`ApiError`]: one is out of range or not supported.
        """
        return take_options(body, self.limits, self.pipe.model.generation_config, self.infer_attributes)
