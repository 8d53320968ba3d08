"""The arguments of `generate` that come through the pipeline."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from transformers import GenerationConfig, GenerationMixin, PreTrainedModel

from ..input_error import InputError
from ..processing.setting_checks import shown

NAMES = {name for name in vars(GenerationConfig()) if not name.startswith("_")}
NAMES |= {*inspect.signature(GenerationMixin.generate).parameters} - {"self", "inputs", "kwargs"}


def _are_callable(values: Any) -> bool:
    return isinstance(values, (list, tuple)) and all(map(callable, values))


# What objects must be, which `generate` finds out by whatever they lack.
OBJECTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "assistant_model": (lambda value: isinstance(value, PreTrainedModel), "a model of transformers"),
    "streamer": (lambda value: hasattr(value, "put") and hasattr(value, "end"), "a streamer, such as `TextStreamer`"),
    "logits_processor": (_are_callable, "a list of functions, such as `LogitsProcessorList`"),
    "stopping_criteria": (_are_callable, "a list of functions, such as `StoppingCriteriaList`"),
    "prefix_allowed_tokens_fn": (callable, "a function"),
}


def check_generation_arguments(arguments: Mapping[str, Any]) -> None:
    """
    Look whether `generate` knows the arguments, and whether those that are objects are of their kind.

    Args:
        arguments (`dict[str, Any]`)

    Raises:
        `InputError`: one is unknown, or of another kind.
    """
    unknown = [f"`{name}`" for name in arguments if name not in NAMES]
    if unknown:
        raise InputError(f"The pipeline and `generate` know no argument {', '.join(unknown)}.")
    for name, (fits, wanted) in OBJECTS.items():
        if arguments.get(name) is not None and not fits(arguments[name]):
            raise InputError(f"`{name}` must be {wanted}, got {shown(arguments[name])}.")
