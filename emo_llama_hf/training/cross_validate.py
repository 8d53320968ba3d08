"""A cross-validation: each fold is trained, then evaluated, and the figures are those of all folds."""

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState

from ..data.folds import Fold
from ..data.record import Record
from ..data.sample import Sample
from ..evaluation.evaluation_report import EvaluationReport, make_report, save_report
from ..evaluation.result_journal import ADVICE, SETTINGS_FILE, Journal
from ..json_text import read_object
from ..seeds import seed_of
from .train_and_evaluate import EVALUATION, same_settings, train_and_evaluate
from .training_arguments import EmoLlamaTrainingArguments
from .tuning_arguments import TuningArguments


def cross_validate(
    arguments: EmoLlamaTrainingArguments,
    tuning: TuningArguments,
    folds: Sequence[Fold],
    samples_of: Callable[[list[Record]], list[Sample]],
    settings: dict[str, Any] | None = None,
    max_new_tokens: int = 64,
) -> EvaluationReport:
    """
    Train and evaluate fold by fold, in folders `fold-NAME` of `arguments.output_dir`, which gets `report.json` and the
    confusion matrices of all answers. The same call goes on where an earlier one was stopped.

    No fold's test data choose among its checkpoints: there is no evaluation while it is trained.

    Args:
        arguments ([`EmoLlamaTrainingArguments`]): of each fold.
        tuning ([`TuningArguments`])
        folds (`list[Fold]`): that [`check_folds`] has passed.
        samples_of (`Callable`): samples of records, to train or to test on.
        settings (`dict`, *optional*): what the results depend on besides, such as options of the command line.
        max_new_tokens (`int`, *optional*, defaults to 64): longest answer.

    Returns:
        [`EvaluationReport`]: with `folds`, and `over_folds`, their mean and standard deviation.

    Raises:
        `InputError`: the folder was begun with other data or settings; see [`train_and_evaluate`].
    """
    output = Path(arguments.output_dir)
    same_settings(output, {**(settings or {}), "folds": {fold.name: _digest(fold) for fold in folds}})
    label_sets: dict[str, list[str]] = {}
    results = []
    for fold in folds:
        run = copy(arguments)
        run.output_dir = str(output / f"fold-{fold.name}")
        tested: list[Sample] = [{**sample, "fold": fold.name} for sample in samples_of(fold.test)]
        for sample in tested:
            label_sets[sample["dataset"]] = list(sample["emotion_labels"] or ())
        train_and_evaluate(run, tuning, partial(samples_of, fold.train), tested, max_new_tokens)
        file = Path(run.output_dir) / EVALUATION / SETTINGS_FILE
        found = Journal(file.parent, read_object(file.read_bytes(), str(file), ADVICE)).read()
        results += [found[sample["id"]] for sample in tested]
    report = make_report(results, label_sets)
    if PartialState().is_main_process:
        save_report(report, output)
    return report


def _digest(fold: Fold) -> list[int]:
    """What changes with the records of a fold: of training and of test data a number."""
    return [seed_of(*(part for r in rows for part in (r.id, r.emotion))) for rows in (fold.train, fold.test)]
