"""The command `emo-llama instruct`."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..closed_set.question import preset as find_preset
from ..data.label_map import LabelMap
from ..data.record import Record
from ..input_error import InputError
from ..instruct.category import CategoryQuestions
from ..instruct.conversation import Conversations
from ..instruct.instruct import instruct as write_instructions
from ..instruct.sampling import sample_ids
from ..instruct.template_writer import TemplateWriter
from ..modeling.configuration_emo_llama import EmoLlamaConfig
from ..whole_file import remove_unfinished, write_text
from ..writers import TransformersWriter, Writer, provider_of
from .data_options import DataOptions, with_unique_ids
from .endpoint_options import EndpointOptions
from .options import CommaList, Labels, NumFrames, Output, Temperature, comma_list

KINDS = ("category", "conversation")
SHOWN_FRAMES = 4  # of a clip, to whoever writes conversations


@dataclass(frozen=True)
class WriterOptions:
    """Who writes conversations."""

    writer: Annotated[Literal["template", "gemini", "openai"], typer.Option(help="who writes conversations")] = (
        "template"
    )
    writer_model: Annotated[str | None, typer.Option(metavar="M", help="the provider's name of the model")] = None
    temperature: Temperature = 0.9
    describe: Annotated[
        str | None,
        typer.Option(
            metavar="M",
            help="who describes clips, so that the writer sees the description and the centre frame: folder or hub id "
            "of a model, gemini:NAME or openai:NAME",
        ),
    ] = None
    describe_url: Annotated[str | None, typer.Option(metavar="URL", help="its endpoint")] = None

    def make(self, endpoint: EndpointOptions) -> Writer:
        """
        The writer.

        Args:
            endpoint ([`EndpointOptions`]): where it is, unless it is templates.

        Raises:
            `InputError`: the model's name is missing; or see [`EndpointOptions.writer`].
        """
        if self.writer == "template":
            return TemplateWriter()
        if not self.writer_model:
            raise InputError(f"`writer` {self.writer} needs `writer_model`, the provider's name of a model.")
        return endpoint.writer(f"{self.writer}:{self.writer_model}", self.temperature)

    def make_describer(self, endpoint: EndpointOptions) -> Writer | None:
        """
        Who describes clips, if somebody does.

        Args:
            endpoint ([`EndpointOptions`]): the writer's, of which the describer has the time to reply.

        Raises:
            `InputError`: see [`TransformersWriter`]; or the writer reads no descriptions.
            `MissingPackageError`: the provider's package is not installed.
            `WriterError`: see the writers.
        """
        if self.describe is None:
            return None
        if self.writer == "template":
            raise InputError("`describe` is for writers that read descriptions: set `writer` to gemini or openai.")
        if provider_of(self.describe):
            return replace(endpoint, base_url=self.describe_url, api_key_env=None).writer(
                self.describe, self.temperature
            )
        return TransformersWriter(self.describe, temperature=self.temperature)


def instruct(
    data: DataOptions,
    output: Output,
    writer: WriterOptions,
    endpoint: EndpointOptions,
    labels: Labels = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="P", help="ask for categories in the words of a preset: paper (default: in many of our own)"
        ),
    ] = None,
    kinds: Annotated[
        CommaList | None,
        typer.Option(parser=comma_list, metavar="a,b", help="category, conversation or both (default: both)"),
    ] = None,
    questions_per_record: Annotated[int, typer.Option(metavar="N", help="category instructions each")] = 1,
    turns: Annotated[int, typer.Option(metavar="N", help="questions of a conversation")] = 3,
    prompt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="what to tell the model, with {shown}, {emotion} and {turns}"),
    ] = None,
    num_frames: NumFrames = None,
    max_attempts: Annotated[int, typer.Option(metavar="N", help="replies until one is usable")] = 4,
    concurrency: Annotated[int, typer.Option(metavar="N", help="requests at a time")] = 4,
    prices: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="IN OUT", help="price of a million input and output tokens"),
    ] = None,
    max_cost: Annotated[float | None, typer.Option(metavar="C", help="begin no further record at this cost")] = None,
    per_emotion: Annotated[
        int | None, typer.Option(metavar="N", help="only so many random records of each emotion")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="of all choices")] = 0,
) -> int:
    """Write instruction data about labelled pictures and clips. A run that was stopped goes on where it was."""
    wanted = kinds or KINDS
    if not set(wanted) <= set(KINDS):
        raise typer.BadParameter(f"must be some of {', '.join(KINDS)}, got {','.join(wanted)!r}", param_hint="--kinds")
    asked = None if preset is None else find_preset(preset)
    questions = None if asked is None else [asked.question]
    records = data.records(labels or asked, EmoLlamaConfig().emotion_labels)
    chosen: Iterable[Record] = chain.from_iterable(with_unique_ids(records))
    if per_emotion is not None:
        ids = sample_ids(chosen, seed, per_emotion)
        chosen = (record for record in chain.from_iterable(with_unique_ids(records)) if record.id in ids)
    conversation = None
    if "conversation" in wanted:
        conversation = Conversations(
            writer.make(endpoint),
            turns=turns,
            num_frames=num_frames or SHOWN_FRAMES,
            prompt=_text(prompt) if prompt is not None else None,
            label_map=LabelMap.from_file("common"),
            max_attempts=max_attempts,
            max_retries=endpoint.max_retries,
            requests_per_minute=endpoint.requests_per_minute,
            describer=writer.make_describer(endpoint),
        )
    report = write_instructions(
        chosen,
        output,
        category=CategoryQuestions(questions_per_record, questions) if "category" in wanted else None,
        conversation=conversation,
        labels=labels,
        seed=seed,
        concurrency=concurrency,
        prices=prices,
        max_cost=max_cost,
        on_error=data.on_error,
    )
    remove_unfinished(output.parent, f"{output.name}.report.json")
    write_text(Path(f"{output}.report.json"), json.dumps(report.to_dict(), indent=2) + "\n")
    skipped = [problem for part in records for problem in part.skipped]
    for problem in [*skipped, *report.failed.values()]:
        print(f"skipped {problem}", file=sys.stderr)
    print(f"{report}\nInstructions are in {output}.")
    return 1 if skipped or report.failed else 0


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeError as error:
        raise InputError(f"`--prompt`: {file} is no text in UTF-8: {error}.") from error
