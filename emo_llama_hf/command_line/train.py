"""The command `emo-llama train`."""

import argparse
from pathlib import Path

from .user_error import UserError


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add `train` to the command line's subparsers; the parsed arguments' `run` runs it."""
    # Its options are all of `TrainingArguments`, which take seconds to import: they are read when it runs.
    parser = subparsers.add_parser("train", help="fine-tune a model on a data set", add_help=False, prefix_chars="\0")
    parser.add_argument("arguments", nargs="*")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    from accelerate import PartialState
    from transformers import AutoConfig, HfArgumentParser

    from ..data.face_cache import FaceCache, default_cache
    from ..data.samples import samples_of
    from ..default_model import default_model
    from ..training.train import train
    from ..training.training_arguments import EmoLlamaTrainingArguments
    from ..training.tuning_arguments import TuningArguments
    from .data_options import add_data_options, records_of

    parser = HfArgumentParser((TuningArguments, EmoLlamaTrainingArguments), prog="emo-llama train")
    add_data_options(parser)
    parser.add_argument("--eval-data", metavar="DATA", help="data to evaluate on (default: DATA, with --eval-split)")
    parser.add_argument("--eval-split", metavar="S", help="split of it")
    parser.add_argument(
        "--faces", metavar="DIR", help="what `emo-llama prepare` found (default: DATA.faces, if there)"
    )
    parser.add_argument("--eval-faces", metavar="DIR", help="the same of the data to evaluate on")
    try:
        tuning, arguments, data = parser.parse_args_into_dataclasses(options.arguments)
        labels = tuning.emotion_labels
        if labels is None:
            labels = AutoConfig.from_pretrained(tuning.model or default_model()).emotion_labels

        def samples(faces: str | None) -> list[dict]:
            folder = Path(faces) if faces else default_cache(data.data)
            prepared = FaceCache(folder) if faces or folder.is_dir() else None
            return samples_of(records_of(data), labels, prepared)

        train_samples, eval_samples = samples(data.faces), None
        if data.eval_data or data.eval_split:
            data.data, data.split = data.eval_data or data.data, data.eval_split
            eval_samples = samples(data.eval_faces or (None if data.eval_data else data.faces))
        trainer = train(arguments, tuning, train_samples, eval_samples)
    except (ValueError, OSError, ImportError, KeyError) as error:
        raise UserError(str(error)) from error
    if trainer.is_world_process_zero():
        print(f"Saved in {arguments.output_dir}.")
    PartialState().destroy_process_group()
    return 0
