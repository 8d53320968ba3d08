"""What a function of this folder becomes as a command: its groups of options are flat, and it knows `--debug`."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, TypeAlias, get_type_hints

import typer


@dataclass
class Run:
    """
    What [`main`] has to know of the command line it parses.

    Attributes:
        debug (`bool`): whether an error shows its traceback.
        options (`dict[str, str]`): how an argument of Python is written there: `model` as --model, `path` as DATA.
    """

    debug: bool = False
    options: dict[str, str] = field(default_factory=dict)


def _note(context: typer.Context, debug: bool) -> bool:
    if isinstance(context.obj, Run):  # a shell that completes a command has none
        context.obj.debug |= debug
        for parameter in context.command.params:
            word = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
            context.obj.options[str(parameter.name)] = word or str(parameter.name)
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
