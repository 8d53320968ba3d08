"""The command line `emo-llama`: its commands put together, and the one place where an error becomes a line."""

import re
import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer
from typer.main import get_command

from .. import __version__
from ..input_error import InputError
from ..missing_package import MissingPackageError
from ..processing.media_source import UnreadableMediaError
from ..writers import WriterError
from .analyze import analyze
from .annotate import annotate
from .chat import chat
from .command import Debug, Run, command
from .convert import convert
from .cross_validate import cross_validate
from .demo import demo
from .evaluate import evaluate
from .info import info
from .instruct import instruct
from .merge import merge
from .plan import plan
from .prepare import prepare
from .serve import serve
from .timeline import timeline
from .train import TrainCommand, train

# What users can do something about; anything else is a mistake of ours, and keeps its traceback.
EXPECTED = (InputError, UnreadableMediaError, MissingPackageError, WriterError, OSError)
INTERRUPTED = 130

app = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
COMMANDS: tuple[Callable[..., int], ...] = (
    analyze,
    timeline,
    annotate,
    chat,
    demo,
    serve,
    info,
    prepare,
    instruct,
    plan,
    train,
    evaluate,
    cross_validate,
    merge,
    convert,
)
for function in COMMANDS:
    app.command(cls=TrainCommand if function in (train, cross_validate) else None)(command(function))


def _show_version(asked: bool) -> None:
    if asked:
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
    except EXPECTED as error:
        if run.debug:
            traceback.print_exc()
        print(f"emo-llama: {_in_options(error, run)}", file=sys.stderr)
        return 1
    return 0


def _in_options(error: Exception, run: Run) -> str:
    """The error in one line, with options of the command line where it names arguments."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"`(\w+)`", lambda found: run.options.get(found[1], found[0]), text)
