"""The command line `emo-llama`: what its commands are, and the one place where an error becomes a line.

It lies outside the package, whose import brings torch and transformers: what needs no model comes at once.
"""

import re
import sys
import traceback
from dataclasses import dataclass, field
from importlib import import_module
from typing import Annotated, Any, TypeAlias, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

INTERRUPTED = 130
SETTINGS = {"help_option_names": ["-h", "--help"]}

# In the help's order. Each is the function of its name in emo_llama_hf/command_line, and what that begins to say.
COMMANDS = {
    "analyze": "Tell the perceived emotion in photos and videos.",
    "timeline": "Tell when the perceived emotion of each person in a video changes.",
    "annotate": "Annotate many photos and videos into Parquet; goes on where it was stopped.",
    "chat": "Talk about a photo or video.",
    "demo": "Show a page in the browser: photos, the webcam, videos and chats about them.",
    "serve": "Answer over HTTP, as OpenAI's API does.",
    "info": "Describe a model.",
    "prepare": "Find the faces of a data set once, before training.",
    "instruct": "Write instruction data about labelled pictures and clips.",
    "plan": "Estimate what training would cost: memory, steps and hours.",
    "train": "Fine-tune a model on a data set.",
    "evaluate": "Measure a model on a data set: WAR, UAR, confusion matrix.",
    "cross-validate": "Train and evaluate on each fold of a data set.",
    "merge": "Write the adapter that `train` makes and its base as one model, which needs no PEFT.",
    "convert": "Make a model folder of original checkpoints, or write one back.",
    "export": "Write a model as graphs: torch.export, ONNX or OpenVINO.",
}


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


class Commands(TyperGroup):
    """A group that knows its commands by their names; the one that is used is imported."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else command, rest


app = typer.Typer(cls=Commands, rich_markup_mode=None, context_settings=SETTINGS)
for _name, _help in COMMANDS.items():
    app.command(_name, short_help=_help)(lambda: None)


def load(name: str) -> TyperCommand:
    """
    A command with its options.

    Args:
        name (`str`): one of `COMMANDS`.
    """
    from emo_llama_hf.command_line.command import command
    from emo_llama_hf.command_line.train import TrainCommand

    function = name.replace("-", "_")
    alone = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
    kind = TrainCommand if name in ("train", "cross-validate") else None
    alone.command(name, cls=kind)(command(getattr(import_module(f"emo_llama_hf.command_line.{function}"), function)))
    return cast(TyperCommand, get_command(alone))


def _show_version(asked: bool) -> None:
    if asked:
        from emo_llama_hf import __version__

        print(f"emo-llama {__version__}")
        raise typer.Exit


@app.callback()
def emo_llama(
    debug: Debug = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="show the version and exit")
    ] = False,
) -> None:
    """Ask a multimodal LLM about the perceived emotion in photos and videos."""


def main(arguments: list[str] | None = None) -> int:
    """
    Run the command line.

    Args:
        arguments (`list[str]`, *optional*): what stands behind `emo-llama`; the process's own by default.

    Returns:
        `int`: the exit code: 0, 1 when something failed, 2 for wrong usage, 130 when it was interrupted.
    """
    run = Run()
    try:
        get_command(app).main(arguments, prog_name="emo-llama", obj=run)
    except SystemExit as end:  # how typer ends, with the code that the command returned
        if end.code == INTERRUPTED:
            print("Interrupted.", file=sys.stderr)
        return int(end.code or 0)
    except Exception as error:
        if not _is_expected(error):
            raise
        if run.debug:
            traceback.print_exc()
        print(f"emo-llama: {_in_options(error, run)}", file=sys.stderr)
        return 1
    return 0


def _is_expected(error: Exception) -> bool:
    """Whether users can do something about it; anything else is a mistake of ours, and keeps its traceback."""
    from emo_llama_hf.input_error import InputError
    from emo_llama_hf.missing_package import MissingPackageError
    from emo_llama_hf.processing.media_source import UnreadableMediaError
    from emo_llama_hf.writers import WriterError

    return isinstance(error, InputError | UnreadableMediaError | MissingPackageError | WriterError | OSError)


def _in_options(error: Exception, run: Run) -> str:
    """The error in one line, with options of the command line where it names arguments."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"`(\w+)`", lambda found: run.options.get(found[1], found[0]), text)
