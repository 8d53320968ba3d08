"""What a function of this folder becomes as a command: its groups of options are flat, and it knows `--debug`."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, TypeAlias, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass
class Run:
    """
    What [`main`] has to know of the command line it parses.

    Attributes:
        debug (`bool`): whether an error shows its traceback.
        command (`TyperCommand`, *optional*): the command that was named.
    """

    debug: bool = False
    command: TyperCommand | TyperGroup | None = None


def _note(context: typer.Context, debug: bool) -> bool:
    if isinstance(context.obj, Run):  # a shell that completes a command has none
        context.obj.debug |= debug
        context.obj.command = context.command  # type: ignore[assignment]  # of typer's own classes, all of them
    return debug


Debug: TypeAlias = Annotated[
    bool, typer.Option("--debug", callback=_note, is_eager=True, help="show the traceback of an error")
]


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
            parameters += [_parameter(field, inner[field.name]) for field in fields(groups[name])]
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
    parameters.append(inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug))

    @wraps(function)
    def flat(**options: Any) -> None:
        options.pop("debug")
        for name, group in groups.items():
            options[name] = group(**{field.name: options.pop(field.name) for field in fields(group)})
        raise typer.Exit(function(**options))

    del flat.__wrapped__
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _parameter(field: Field[Any], annotation: Any) -> inspect.Parameter:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=annotation,
    )
