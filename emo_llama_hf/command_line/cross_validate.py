"""The command `emo-llama cross-validate`."""

from typing import Annotated

import typer
from accelerate import PartialState

from ..data.face_cache import FaceCache, default_cache
from ..data.folds import Fold, check_folds, grouped_folds, official_fold
from ..data.record import Record
from ..data.record_stream import LAYOUTS
from ..data.sample import Sample
from ..data.samples import samples_of
from ..input_error import InputError
from ..load_model import load_config, load_processor
from .data_options import DataOptions, ReadingOptions
from .evaluate import LONGEST_ANSWER, summary
from .options import CommaList, Dtype, Faces, Labels, Model, Output
from .train import REST, chosen

DEFAULT_FOLDS = 5


def cross_validate(
    context: typer.Context,
    data: DataOptions,
    reading: ReadingOptions,
    output: Output,
    model: Model = None,
    dtype: Dtype = "auto",
    labels: Labels = None,
    faces: Faces = None,
    num_folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            help="split anew into so many folds, by person and clip (default: the official folds, or 5)",
        ),
    ] = None,
) -> int:
    """Train and evaluate on each fold of a data set. A run that was stopped goes on where it was.

    Options are those of `train`; nobody and nothing that is tested on may be in a fold's training data.
    """
    from ..training.cross_validate import cross_validate as run
    from ..training.end_training import end_training

    arguments, tuning = chosen(context, output, reading, model=model, dtype=dtype, emotion_labels=labels)
    default_labels = load_config(model, base=tuning.base).emotion_labels
    folds = _folds(data, labels, default_labels, num_folds, arguments.seed)
    check_folds(folds)
    folder = faces or default_cache(data.path[0])
    cache = FaceCache(folder) if faces or folder.is_dir() else None

    phrasing = tuning.closed_question or load_processor(model).prompt.closed_question

    def samples(records: list[Record]) -> list[Sample]:
        return samples_of(records, faces=cache, phrasing=phrasing)

    changing = {"resume_from_checkpoint", "logging_dir", "run_name"}
    options = {name: value for name, value in context.meta[REST].items() if name not in changing}
    settings = {"model": model, "dtype": dtype, "labels": labels, **vars(reading), "options": options}
    report = run(arguments, tuning, folds, samples, settings, LONGEST_ANSWER)
    if PartialState().is_main_process:
        print(summary(report))
        print(f"Report and confusion matrices are in {output}, the folds' models in its folders.")
    end_training()
    return 1 if report["errors"] else 0


def _folds(
    data: DataOptions, labels: CommaList | None, default_labels: list[str], num_folds: int | None, seed: int
) -> list[Fold]:
    """The data set's own folds, or new ones."""
    if len(data.path) > 1:
        raise InputError("`path` names several data sets: cross-validate each on its own.")
    (records,) = data.records(labels, default_labels)
    official = LAYOUTS[records.layout].folds
    if num_folds is not None or not official:
        return grouped_folds(list(records), num_folds or DEFAULT_FOLDS, seed)
    if data.split is not None:
        raise InputError("`split` is the folds' own: leave it out, or split anew with `num_folds`.")
    if official == 1:
        return [official_fold("1", list(records))]
    numbers = range(1, official + 1)
    return [official_fold(str(n), list(data.records(labels, default_labels, fold=n)[0])) for n in numbers]
