"""What a function of this folder becomes as a command: its groups of options are flat, and it knows `--debug`."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

import typer

from emo_llama_command import Debug


def command(function: Callable[..., int]) -> Callable[..., None]:
    """
    The function as typer takes it.

    Args:
        function (`Callable`):
            Parameters that are dataclasses stand for their fields, as options of the same names; it returns the
            command's exit code.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            inner = get_type_hints(groups[name], include_extras=True)
            parameters += [_parameter(option, inner[option.name]) for option in fields(groups[name])]
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
    parameters.append(inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug))

    @wraps(function)
    def flat(**options: Any) -> None:
        options.pop("debug")
        for name, group in groups.items():
            options[name] = group(**{option.name: options.pop(option.name) for option in fields(group)})
        raise typer.Exit(function(**options))

    del flat.__wrapped__
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _parameter(option: Field[Any], annotation: Any) -> inspect.Parameter:
    default = option.default if option.default_factory is MISSING else option.default_factory()
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=annotation,
    )
