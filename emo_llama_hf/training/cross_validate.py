"""A cross-validation: each fold is trained, then evaluated, and the figures are those of all folds."""

import gc
import json
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from ..data.folds import Fold
from ..data.record import Record
from ..data.sample import Sample
from ..evaluation.evaluate import evaluate
from ..evaluation.evaluation_report import EvaluationReport, make_report, save_report
from ..evaluation.load_predictor import load_predictor
from ..evaluation.result_journal import ADVICE, Journal
from ..input_error import InputError
from ..json_text import read_object
from ..seeds import seed_of
from ..whole_file import write_text
from .train import train
from .training_arguments import EmoLlamaTrainingArguments
from .tuning_arguments import TuningArguments

SETTINGS_FILE = "settings.json"
TRAINED_FILE = "train_results.json"  # what a training run writes last of all


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
        `InputError`: the folder has a cross-validation of other data or settings; see [`train`] and [`evaluate`].
    """
    output = Path(arguments.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    _check_settings(output, {**(settings or {}), "folds": {fold.name: _digest(fold) for fold in folds}})
    label_sets: dict[str, list[str]] = {}
    results = []
    for fold in folds:
        folder = output / f"fold-{fold.name}"
        tested: list[Sample] = [{**sample, "fold": fold.name} for sample in samples_of(fold.test)]
        for sample in tested:
            label_sets[sample["dataset"]] = list(sample["emotion_labels"] or ())
        if not (folder / "evaluation" / "report.json").is_file():
            if not (folder / TRAINED_FILE).is_file():
                run = copy(arguments)
                run.output_dir, run.resume_from_checkpoint = str(folder), "last"
                train(run, tuning, samples_of(fold.train))
                _free()
            cpu = arguments.device.type == "cpu"
            predictor, processor = load_predictor(
                str(folder), device="cpu" if cpu else None, dtype=tuning.dtype, max_new_tokens=max_new_tokens
            )
            size = arguments.per_device_eval_batch_size
            evaluate(predictor, tested, processor, folder / "evaluation", batch_size=size)
            del predictor
            _free()
        file = folder / "evaluation" / SETTINGS_FILE
        found = Journal(file.parent, read_object(file.read_bytes(), str(file), ADVICE)).read()
        results += [found[sample["id"]] for sample in tested]
    report = make_report(results, label_sets)
    if PartialState().is_main_process:
        save_report(report, output)
    return report


def _check_settings(output: Path, settings: dict[str, Any]) -> None:
    file, settings = output / SETTINGS_FILE, json.loads(json.dumps(settings, default=str))
    if not file.is_file():
        if PartialState().is_main_process:
            write_text(file, json.dumps(settings, indent=2) + "\n")
        return
    old = read_object(file.read_bytes(), str(file), ADVICE)
    changed = sorted(name for name in {*old, *settings} if old.get(name) != settings.get(name))
    if changed:
        names = ", ".join(f"`{name}`" for name in changed)
        raise InputError(f"{output} has a cross-validation with other {names}: use the same, or name another folder.")


def _digest(fold: Fold) -> list[int]:
    """What changes with the records of a fold: of training and of test data a number."""
    return [seed_of(*(part for r in rows for part in (r.id, r.emotion))) for rows in (fold.train, fold.test)]


def _free() -> None:
    """Give back the memory of one fold's model before the next is loaded."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
