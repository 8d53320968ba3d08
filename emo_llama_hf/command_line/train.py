"""The command `emo-llama train`."""

import argparse
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields, make_dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer
from transformers import HfArgumentParser
from typer.core import TyperCommand

from ..input_error import InputError
from ..load_model import load_config, load_processor
from .data_options import DataOptions, ReadingOptions
from .options import CommaList, Dtype, Faces, Labels, Model, Output, Temperature, comma_list

if TYPE_CHECKING:
    from ..training.run_trainer import RunTrainer
    from ..training.training_arguments import EmoLlamaTrainingArguments
    from ..training.tuning_arguments import TuningArguments

# What has an option of its own here, or is `--debug`.
READING = {field.name for field in fields(ReadingOptions)}
OURS = {"model", "dtype", "emotion_labels", "output_dir", "debug"} | READING
LISTS = {"parts", "lora_targets", "learning_rates"}  # written a,b as all lists of ours; transformers' are written a b
REST = "emo_llama_hf.command_line.train"


@dataclass(frozen=True)
class MethodOptions:
    """By what a model learns."""

    method: Annotated[
        Literal["supervised", "grpo"],
        typer.Option(help="learn the answers of the data, or by rewards of the model's own (TRL's GRPO)"),
    ] = "supervised"
    rewards: Annotated[
        CommaList | None,
        typer.Option(
            parser=comma_list, metavar="a,b", help="of grpo: label, format, agreement (default: all), module:function"
        ),
    ] = None
    num_generations: Annotated[int, typer.Option(metavar="N", help="of grpo: answers to each question")] = 8
    temperature: Temperature = 1.0
    beta: Annotated[float, typer.Option(metavar="B", help="of grpo: weight of the divergence from the base")] = 0.0
    max_completion_length: Annotated[int, typer.Option(metavar="N", help="of grpo: tokens of an answer")] = 64


class TrainCommand(TyperCommand):
    """The command with the options of [`TuningArguments`] and of all of transformers' `TrainingArguments`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:  # a shell is completing, and should not wait for the trainer's imports
            known, args = _parser().parse_known_args(args)
            known.report_to, after = _reporters(known.report_to)
            args = [*after, *args]
            ctx.meta[REST] = vars(known)
            ctx.obj.options |= {name: f"--{name.replace('_', '-')}" for name in vars(known)}
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        formatter.write("\n" + _parser().format_help().replace("options:", "Options of the training:", 1))


class _Parser(HfArgumentParser):
    """Shows --max-steps alone where `--max_steps` would do as well; takes several of what may be a text or a list."""

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        if "--report_to" in args:  # the base class takes `str | list[str]` for a text
            kwargs["nargs"] = "+"
        action: argparse.Action = super().add_argument(*args, **kwargs)
        action.option_strings = [name for name in action.option_strings if "_" not in name] or action.option_strings
        return action


def _reporters(words: str | list[str]) -> tuple[str | list[str], list[str]]:
    """The values of `--report-to`, and what comes after them: DATA may stand there."""
    if isinstance(words, str):  # the default
        return words, []
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    reporters = [words[0], *takewhile(INTEGRATION_TO_CALLBACK.__contains__, words[1:])]
    return reporters, words[len(reporters) :]


def _parser() -> argparse.ArgumentParser:
    """Of all fields that are not `OURS`."""
    # Their options take a second to import: they are read when this command is the one.
    from ..training.training_arguments import EmoLlamaTrainingArguments
    from ..training.tuning_arguments import TuningArguments

    kinds = []
    for kind in (TuningArguments, EmoLlamaTrainingArguments):
        types = get_type_hints(kind)
        rest = [(field.name, types[field.name], copy(field)) for field in fields(kind) if field.name not in OURS]
        kinds.append(make_dataclass(kind.__name__, rest, kw_only=True))
    return _Parser(kinds, prog="emo-llama train", usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False)


def chosen(
    context: typer.Context, output: Path, reading: ReadingOptions, **ours: Any
) -> tuple["EmoLlamaTrainingArguments", "TuningArguments"]:
    """
    The arguments of a run as the command line gives them.

    Args:
        context (`typer.Context`): of a [`TrainCommand`].
        output (`Path`): the run's folder.
        reading ([`ReadingOptions`])
        ours: of [`TuningArguments`], what has an option of its own.

    Raises:
        `InputError`: options that do not go together.
    """
    from ..training.training_arguments import EmoLlamaTrainingArguments
    from ..training.tuning_arguments import TuningArguments

    def given(kind: type) -> dict[str, Any]:
        """What was given, or is the default, of the fields of `kind` that are not `OURS`."""
        names = {field.name for field in fields(kind)} & context.meta[REST].keys()
        values = {name: context.meta[REST][name] for name in names}
        return {name: _words(value) if name in LISTS else value for name, value in values.items()}

    tuning = TuningArguments(**ours, **vars(reading), **given(TuningArguments))
    try:
        return EmoLlamaTrainingArguments(str(output), **given(EmoLlamaTrainingArguments)), tuning
    except ValueError as error:  # transformers' own, about options that do not go together
        raise InputError(str(error)) from error


def train(
    context: typer.Context,
    data: DataOptions,
    reading: ReadingOptions,
    method: MethodOptions,
    output: Output,
    model: Model = None,
    dtype: Dtype = "auto",
    labels: Labels = None,
    faces: Faces = None,
    eval_data: Annotated[
        list[Path] | None,
        typer.Option(metavar="DATA", help="data to evaluate on, may be repeated (default: DATA, with --eval-split)"),
    ] = None,
    eval_split: Annotated[str | None, typer.Option(metavar="S", help="split of it")] = None,
    eval_faces: Annotated[
        Path | None, typer.Option(metavar="DIR", help="folder of its prepared faces (default: beside it)")
    ] = None,
) -> int:
    """Fine-tune a model on a data set."""
    from ..training.end_training import end_training
    from ..training.train import train as supervised

    fine_tune: Callable[..., RunTrainer] = supervised
    given = {name: value for name, value in vars(method).items() if value is not None}
    if given.pop("method") == "grpo":
        from ..training.grpo import GRPOArguments
        from ..training.grpo.train_grpo import train_grpo

        fine_tune = partial(train_grpo, grpo=GRPOArguments(**given))
    elif changed := [f.name for f in fields(method) if f.name in given and given[f.name] != f.default]:
        raise InputError(f"--{changed[0].replace('_', '-')} is of --method grpo: give both, or neither.")

    arguments, tuning = chosen(context, output, reading, model=model, dtype=dtype, emotion_labels=labels)
    default_labels = load_config(model, base=tuning.base).emotion_labels
    phrasing = tuning.closed_question or load_processor(model).prompt.closed_question
    train_samples, eval_samples, eval_name = data.samples(labels, default_labels, faces, phrasing), None, None
    if eval_data or eval_split is not None:
        evaluated = replace(data, path=eval_data or data.path, split=eval_split)
        eval_faces = eval_faces or (None if eval_data else faces)
        eval_samples = evaluated.samples(labels, default_labels, eval_faces, phrasing)
        eval_name = evaluated.name
    trainer = fine_tune(
        arguments,
        tuning,
        train_samples=train_samples,
        eval_samples=eval_samples,
        train_data=data.name,
        eval_data=eval_name,
    )
    if trainer.is_world_process_zero():
        print(f"Saved in {output}.")
    del trainer
    end_training()
    return 0


def _words(texts: list[str] | None) -> list[str] | None:
    return None if texts is None else [word for text in texts for word in comma_list(text)]
