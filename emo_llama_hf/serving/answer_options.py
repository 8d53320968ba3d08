"""How an answer is to be written, in OpenAI's names, for the pipeline and `generate`."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from transformers import GenerationConfig

from ..closed_set import check_labels
from ..input_error import InputError
from ..processing.setting_checks import check_flag, check_integer, check_number, check_texts, shown
from .api_error import ApiError
from .limits import ServingLimits

MOST_STOPS = 4  # as OpenAI
SEEDS = 2**63
COLDEST = 0.01  # below this temperature the likeliest token is taken: in half precision logits would overflow
# What says what is so anyway; some clients always write it. Any other value is not supported.
WITHOUT_EFFECT: dict[str, Any] = {
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "metadata": {},
    "modalities": ["text"],
    "parallel_tool_calls": True,
    "response_format": {"type": "text"},
    "service_tier": "auto",
    "store": False,
    "tool_choice": "none",
    "tools": [],
}


@dataclass(frozen=True)
class AnswerOptions:
    """
    What a request says of its answer.

    Args:
        max_tokens (`int`): the longest.
        stops (`tuple[str, ...]`): texts that end it, and are not in it.
        choices (`int`): how many are written.
        sampling (`tuple`): arguments of `generate`, name and value.
        seed (`int`, *optional*): of the sampling.
        labels (`tuple[str, ...]`, *optional*): label set; the model's own by default.
        attributes (`Any`): of the pipeline, unchecked.
        num_frames (`int`, *optional*): of a clip.
    """

    max_tokens: int
    stops: tuple[str, ...]
    choices: int
    sampling: tuple[tuple[str, Any], ...]
    seed: int | None
    labels: tuple[str, ...] | None
    attributes: Any
    num_frames: int | None

    @property
    def generation(self) -> dict[str, Any]:
        """Arguments of `generate`; beams could not be told apart while they are written, so there are none."""
        return {**dict(self.sampling), "num_return_sequences": self.choices, "num_beams": 1}

    @property
    def alike(self) -> Hashable:
        """What requests must have in common to be answered in one batch."""
        return self.sampling, self.choices, self.seed, self.labels

    @property
    def preparing(self) -> dict[str, Any]:
        """Arguments of the pipeline's `preprocess`."""
        given = {"attributes": self.attributes, "num_frames": self.num_frames}
        given["labels"] = None if self.labels is None else list(self.labels)
        return {name: value for name, value in given.items() if value is not None}


def take_options(
    body: dict[str, Any], limits: ServingLimits, default: GenerationConfig, infer_attributes: bool
) -> AnswerOptions:
    """
    Take the options out of a request's body, and whatever has no effect.

    Args:
        body (`dict`): of the request.
        limits ([`ServingLimits`])
        default (`GenerationConfig`): of the model.
        infer_attributes (`bool`): whether perceived age, gender and race may be written.

    Raises:
        [`ApiError`]: one is out of range or not supported.
    """
    for name, value in WITHOUT_EFFECT.items():
        if name in body and body.pop(name) != value:
            raise _not_supported(name)
    temperature = _take(body, "temperature", check_number, 0, 2)
    top_p = _take(body, "top_p", check_number, 1e-6, 1)
    cold = temperature is not None and temperature < COLDEST
    sampled = bool(default.do_sample) if temperature is None and top_p is None else not cold
    sampling: dict[str, Any] = {} if temperature is None and top_p is None else {"do_sample": sampled}
    if sampled:
        given = {"temperature": temperature, "top_p": top_p}
        sampling |= {name: float(value) for name, value in given.items() if value is not None}
    choices = _take(body, "n", check_integer, 1, limits.max_choices) or 1
    if choices > 1 and not sampled:
        raise ApiError(400, "`n` answers would all be the same: give a `temperature` above 0 too.", "n")
    seed = _take(body, "seed", check_integer, -SEEDS, SEEDS - 1)
    attributes = body.pop("attributes", None)
    if not infer_attributes:
        if attributes not in (None, False):
            raise ApiError(400, "`attributes` are switched off on this server: leave them out.", "attributes")
        attributes = False
    return AnswerOptions(
        max_tokens=_max_tokens(body, limits, default),
        stops=_stops(body),
        choices=choices,
        sampling=tuple(sampling.items()),
        seed=seed if sampled else None,
        labels=_labels(body),
        attributes=attributes,
        num_frames=_take(body, "num_frames", check_integer, 1, limits.max_frames),
    )


def take_flag(body: dict[str, Any], name: str) -> bool:
    """Take a `true` or `false` out of a request's body; it is `False` where there is none."""
    return bool(_take(body, name, check_flag))


def check_all_taken(body: dict[str, Any]) -> None:
    """
    Look whether anything is left that nothing here knows.

    Args:
        body (`dict`): of a request, from which all that is known was taken.

    Raises:
        [`ApiError`]: something is.
    """
    for name in body:
        raise _not_supported(shown(name)[1:-1])


def _not_supported(name: str) -> ApiError:
    return ApiError(400, f"`{name}` is not supported: leave it out.", name)


def _take(body: dict[str, Any], name: str, check: Callable[..., None], *bounds: float) -> Any:
    value = body.pop(name, None)
    if value is not None:
        try:
            check(name, value, *bounds)
        except ValueError as error:
            raise ApiError(400, str(error), name) from None
    return value


def _max_tokens(body: dict[str, Any], limits: ServingLimits, default: GenerationConfig) -> int:
    old = _take(body, "max_tokens", check_integer, 1, limits.max_tokens)
    new = _take(body, "max_completion_tokens", check_integer, 1, limits.max_tokens)
    if None not in (old, new) and old != new:
        raise ApiError(400, "`max_tokens` and `max_completion_tokens` differ: give one of them.", "max_tokens")
    return int(old or new or min(default.max_new_tokens or limits.max_tokens, limits.max_tokens))


def _stops(body: dict[str, Any]) -> tuple[str, ...]:
    if isinstance(body.get("stop"), str):
        body["stop"] = [body["stop"]]
    stops = _take(body, "stop", check_texts) or ()
    if len(stops) > MOST_STOPS:
        raise ApiError(400, f"`stop` has {len(stops)} texts, this server takes {MOST_STOPS}.", "stop")
    return tuple(stops)


def _labels(body: dict[str, Any]) -> tuple[str, ...] | None:
    if "labels" not in body:
        return None
    try:
        return tuple(check_labels(body.pop("labels")))
    except InputError as error:
        raise ApiError(400, str(error), "labels") from None
