"""The command `emo-llama prepare`."""

import argparse
import sys

from .data_options import add_data_options, records_of
from .user_error import UserError


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add `prepare` to the command line's subparsers; the parsed arguments' `run` runs it."""
    parser = subparsers.add_parser("prepare", help="find the faces of a data set once, before training")
    add_data_options(parser)
    add = parser.add_argument
    add("--model", metavar="M", help="folder or hub id (default: the one that comes with the package)")
    add("--device", metavar="D", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")
    add("--cache", metavar="DIR", help="folder for the result (default: DATA.faces beside DATA)")
    add(
        "--num-workers",
        type=int,
        default=1,
        metavar="N",
        help="processes (default: 1)",
    )
    add("--shard-size", type=int, default=256, metavar="N", help="records a file (default: 256)")
    add("--no-attributes", action="store_true", help="perceive no age, gender and race")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Prepare; returns the exit code: 1 when records were skipped."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from ..data.face_cache import default_cache
    from ..data.prepare import prepare
    from ..data.record import RecordError
    from ..default_model import default_model

    name = options.model or default_model()
    try:
        records = records_of(options)
        processor = AutoProcessor.from_pretrained(name)
        if processor.faces.detector is not None:
            processor.faces.detector.to(options.device)
        model = None
        if not options.no_attributes:
            model = AutoModelForImageTextToText.from_pretrained(name).to(options.device)
        cache = options.cache or default_cache(options.data)
        report = prepare(
            records,
            processor,
            model,
            cache,
            num_workers=options.num_workers,
            shard_size=options.shard_size,
            on_error=options.on_error,
        )
    except (RecordError, ValueError, OSError, RuntimeError, ImportError) as error:
        raise UserError(str(error)) from error
    skipped = [*records.skipped, *report.skipped]
    for problem in skipped:
        print(f"skipped {problem}", file=sys.stderr)
    print(
        f"{report.prepared} prepared ({report.without_face} without a face), {report.known} known already, "
        f"{records.without_emotion} marked as no emotion, {len(skipped)} skipped. Faces are in {cache}."
    )
    return 1 if skipped else 0
