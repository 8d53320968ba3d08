"""A run that ends with its figures: trained, then evaluated, each once."""

import gc
import json
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from ..data.sample import Sample
from ..evaluation.evaluate import evaluate
from ..evaluation.load_predictor import load_predictor
from ..evaluation.result_journal import changed_settings
from ..input_error import InputError
from .train import train
from .training_arguments import EmoLlamaTrainingArguments
from .tuning_arguments import TuningArguments

EVALUATION = "evaluation"  # folder of the answers and figures
TRAINED_FILE = "train_results.json"  # what a training run writes last of all


def train_and_evaluate(
    arguments: EmoLlamaTrainingArguments,
    tuning: TuningArguments,
    train_samples: Callable[[], list[Sample]],
    tested: list[Sample],
    max_new_tokens: int = 64,
) -> None:
    """
    Train a model and evaluate it, with answers and figures in folder `evaluation` of `arguments.output_dir`. The same
    call goes on where an earlier one was stopped, and does nothing where that was finished.

    What is tested on does not choose among checkpoints: there is no evaluation while it is trained.

    Args:
        arguments ([`EmoLlamaTrainingArguments`])
        tuning ([`TuningArguments`])
        train_samples (`Callable`): gives the samples to train on, if they are needed.
        tested (`list[Sample]`): samples to test on.
        max_new_tokens (`int`, *optional*, defaults to 64): longest answer.

    Raises:
        `InputError`: see [`train`] and [`evaluate`].
    """
    folder = Path(arguments.output_dir)
    if (folder / EVALUATION / "report.json").is_file():
        return
    if not (folder / TRAINED_FILE).is_file():
        run = copy(arguments)
        run.resume_from_checkpoint = "last"
        train(run, tuning, train_samples())
        _free()
    cpu = arguments.device.type == "cpu"
    predictor, processor = load_predictor(
        str(folder), device="cpu" if cpu else None, dtype=tuning.dtype, max_new_tokens=max_new_tokens
    )
    evaluate(predictor, tested, processor, folder / EVALUATION, batch_size=arguments.per_device_eval_batch_size)
    del predictor
    _free()


def same_settings(folder: str | Path, settings: dict[str, Any]) -> None:
    """
    Keep what the results of a folder depend on in it, and look whether it was begun so.

    Args:
        folder (`str` or `Path`): made where it is missing.
        settings (`dict`): what is no JSON is kept as text.

    Raises:
        `InputError`: it was begun with other settings.
    """
    folder, settings = Path(folder), json.loads(json.dumps(settings, default=str))
    folder.mkdir(parents=True, exist_ok=True)
    if changed := changed_settings(folder, settings, keep=PartialState().is_main_process):
        raise InputError(f"{folder} was begun with other {changed}: use the same, or name another folder.")


def _free() -> None:
    """Give back the memory of one model before the next is loaded."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
