"""The command `emo-llama instruct`."""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from .data_options import add_data_options, records_of
from .user_error import UserError

WRITERS = ("template", "gemini", "openai")
KINDS = ("category", "conversation")


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add `instruct` to the command line's subparsers; the parsed arguments' `run` runs it."""
    parser = subparsers.add_parser("instruct", help="write instruction data about labelled pictures and clips")
    add_data_options(parser)
    add = parser.add_argument
    add("output", metavar="OUTPUT", help="file to write: LLaVA-style JSON lines")
    add("--kinds", type=_kinds, default=KINDS, metavar="a,b", help="category, conversation or both (default: both)")
    add("--emotions", metavar="a,b", help="label set of the questions (default: the package's seven)")
    add("--questions-per-record", type=int, default=1, metavar="N", help="category instructions each (default: 1)")
    add("--turns", type=int, default=3, metavar="N", help="questions of a conversation (default: 3)")
    add("--writer", choices=WRITERS, default="template", help="who writes conversations (default: template)")
    add("--writer-model", metavar="M", help="the provider's name of the model")
    add("--base-url", metavar="URL", help="endpoint (default: the provider's)")
    add("--api-key-env", metavar="VAR", help="environment variable with the key (default: the provider's usual one)")
    add("--prompt", type=Path, metavar="FILE", help="what to tell the model, with {shown}, {emotion} and {turns}")
    add("--num-frames", type=int, default=4, metavar="N", help="frames of a clip that the model sees (default: 4)")
    add("--temperature", type=float, default=0.9, metavar="T", help="of the model's sampling (default: 0.9)")
    add("--timeout", type=float, default=120, metavar="S", help="seconds to wait for a reply (default: 120)")
    add("--max-attempts", type=int, default=4, metavar="N", help="replies until one is usable (default: 4)")
    add("--max-retries", type=int, default=6, metavar="N", help="retries after a passing fault (default: 6)")
    add("--requests-per-minute", type=float, metavar="N", help="rate limit (default: none)")
    add("--concurrency", type=int, default=4, metavar="N", help="requests at a time (default: 4)")
    add("--prices", type=float, nargs=2, metavar=("IN", "OUT"), help="price of a million input and output tokens")
    add("--max-cost", type=float, metavar="C", help="begin no further record at this cost")
    add("--per-emotion", type=int, metavar="N", help="only so many random records of each emotion")
    add("--seed", type=int, default=0, metavar="N", help="of all choices (default: 0)")
    parser.set_defaults(run=run)
    return parser


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    if not set(kinds) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"must be some of {', '.join(KINDS)}, got {text!r}")
    return kinds


def run(options: argparse.Namespace) -> int:
    """Write; returns the exit code: 1 when a record failed or was skipped."""
    from ..data.label_map import LabelMap
    from ..data.record import Record, RecordError
    from ..instruct.category import CategoryQuestions
    from ..instruct.conversation import Conversations
    from ..instruct.instruct import instruct
    from ..instruct.sampling import sample_ids
    from ..instruct.writer import WriterError
    from ..whole_file import write_text

    try:
        records = records_of(options)
        chosen: Iterable[Record] = records
        if options.per_emotion is not None:
            ids = sample_ids(records, options.seed, options.per_emotion)
            chosen = (record for record in records if record.id in ids)
        conversation = None
        if "conversation" in options.kinds:
            conversation = Conversations(
                _writer(options),
                turns=options.turns,
                num_frames=options.num_frames,
                prompt=options.prompt.read_text("utf-8") if options.prompt is not None else None,
                label_map=LabelMap.from_file("common"),
                max_attempts=options.max_attempts,
                max_retries=options.max_retries,
                requests_per_minute=options.requests_per_minute,
            )
        report = instruct(
            chosen,
            options.output,
            category=CategoryQuestions(options.questions_per_record) if "category" in options.kinds else None,
            conversation=conversation,
            labels=options.emotions.split(",") if options.emotions else None,
            seed=options.seed,
            concurrency=options.concurrency,
            prices=tuple(options.prices) if options.prices else None,
            max_cost=options.max_cost,
            on_error=options.on_error,
        )
    except (RecordError, WriterError, ValueError, OSError, ImportError) as error:
        raise UserError(str(error)) from error
    write_text(Path(f"{options.output}.report.json"), json.dumps(report.to_dict(), indent=2) + "\n")
    for problem in [*records.skipped, *report.failed.values()]:
        print(f"skipped {problem}", file=sys.stderr)
    print(f"{report}\nInstructions are in {options.output}.")
    return 1 if records.skipped or report.failed else 0


def _writer(options: argparse.Namespace):

    if options.writer == "template":
        from ..instruct.template_writer import TemplateWriter

        return TemplateWriter()
    if not options.writer_model:
        raise UserError(f"--writer {options.writer} needs --writer-model, the provider's name of a model.")
    key = None
    if options.api_key_env:
        key = os.environ.get(options.api_key_env)
        if not key:
            raise UserError(f"--api-key-env: the environment variable {options.api_key_env} is not set.")
    from ..instruct.gemini_writer import GeminiWriter
    from ..instruct.openai_writer import OpenAIWriter

    kind = GeminiWriter if options.writer == "gemini" else OpenAIWriter
    return kind(
        options.writer_model,
        base_url=options.base_url,
        api_key=key,
        temperature=options.temperature,
        timeout=options.timeout,
    )
