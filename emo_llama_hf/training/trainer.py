"""A `Trainer` for EmoLlama: learning rates by part, sample order by epoch, UAR at each evaluation."""

import math
import shutil
from collections import defaultdict
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils import gather_object
from peft import PeftModel
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, EvalLoopOutput
from transformers.utils import ADAPTER_CONFIG_NAME, CONFIG_NAME

from ..closed_set import check_finite
from ..data.sample import Sample
from ..evaluation.metrics import emotion_metrics
from ..input_error import InputError
from ..whole_file import named_errors, whole_files, write_text
from .checkpoints import is_whole, readable_checkpoint
from .closed_set_scores import closed_set_scores
from .emotion_dataset import EmotionDataset
from .epoch_sampler import EpochSampler
from .precision import weights_in
from .run_card import RunOrigin, run_card
from .trainable_parts import part_of


class EpochCallback(TrainerCallback):
    """
    Tells the sampler and the dataset which epoch begins, which accelerate forgets after a resume.

    Args:
        listeners (`Any`): of which those that have `set_epoch` are told.
    """

    def __init__(self, *listeners: Any) -> None:
        self.listeners = [listener for listener in listeners if hasattr(listener, "set_epoch")]

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell them."""
        for listener in self.listeners:
            listener.set_epoch(math.floor(state.epoch + 1e-6))


class EmoLlamaTrainer(Trainer):
    """
    Trains an EmoLlama.

    Args:
        origin ([`RunOrigin`], *optional*): what an adapter and the model card are to say about base and data.
        stored (`torch.dtype`, *optional*):
            Type of the weights in the output folder, where they are no adapter; by default that which they learn in.
        args, kwargs:
            Of `Trainer`; its `args` is an [`EmoLlamaTrainingArguments`], `train_dataset` and `eval_dataset` are
            [`EmotionDataset`]s and `data_collator` is an [`EmoLlamaDataCollator`].
    """

    def __init__(
        self, *args: Any, origin: RunOrigin | None = None, stored: torch.dtype | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.origin, self.stored = origin or RunOrigin(), stored
        self._loss: Any = self.compute_loss_func
        self.train_sampler: EpochSampler | None = None
        if self.train_dataset is not None:
            self.train_sampler = EpochSampler(
                self.train_dataset.emotions, self.args.class_balance, self.args.data_seed or self.args.seed
            )
            self.add_callback(EpochCallback(self.train_sampler, self.train_dataset))

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler | None:
        return self.train_sampler

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """As the base class, but nothing more where a resumed run had made all its steps: that would do one more."""
        if self.state.global_step >= self.state.max_steps:
            return [], None
        return super().get_batch_samples(*args, **kwargs)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As the base class; it is known to be whole by the trainer's state, which comes last."""
        folder = Path(self._get_output_dir(trial), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
        if self.args.should_save:
            (folder / TRAINER_STATE_NAME).unlink(missing_ok=True)  # of an earlier run
        try:
            with named_errors(folder):
                super()._save_checkpoint(model, trial)
        except BaseException:
            if self.args.should_save and not is_whole(folder):
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()  # the state, which comes next, is to say that all have saved theirs

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """
        As the base class, with a model card; all files appear when the last one is there. Checkpoints keep the type
        that weights learn in, so that a run goes on exactly.
        """
        if not self.args.should_save:
            super()._save(output_dir, state_dict)
            return
        output = output_dir or self.args.output_dir
        adapter = isinstance(self.model, PeftModel)
        dtype = self.stored if not adapter and Path(output) == Path(self.args.output_dir) else None
        with whole_files(output, last=(CONFIG_NAME, ADAPTER_CONFIG_NAME)) as unfinished:
            with nullcontext() if dtype is None else weights_in(self.model, dtype):
                super()._save(str(unfinished), state_dict)
            if adapter and self.origin.base is not None:
                self.origin.base.record(unfinished, self.model.get_base_model(), self.hub_model_id)
            write_text(unfinished / "README.md", str(run_card(self, self.origin)))  # PEFT writes one of its own

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        with readable_checkpoint(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with readable_checkpoint(checkpoint or ""):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with readable_checkpoint(checkpoint or ""):
            super()._load_rng_state(checkpoint)

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """As the base class, with the groups split by part where parts have learning rates of their own."""
        made = self.optimizer is None
        optimizer: Optimizer = super().create_optimizer(*(() if model is None else (model,)))
        if not made or not self.args.rates:
            return optimizer
        parts = {id(p): part_of(name) for name, p in (self.model if model is None else model).named_parameters()}
        unused = sorted(set(self.args.rates) - {parts[id(p)] for g in optimizer.param_groups for p in g["params"]})
        if unused:
            raise InputError(f"`learning_rates` names {', '.join(unused)}, which does not learn.")
        groups = []
        for group in optimizer.param_groups:
            for part in dict.fromkeys(parts[id(p)] for p in group["params"]):
                members = [p for p in group["params"] if parts[id(p)] == part]
                groups.append({**group, "params": members, "lr": self.args.rates.get(part, group["lr"])})
        optimizer.param_groups = groups
        return optimizer

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write the run's card, with the newest figures; what the base class would write into it is not asked for."""
        if self.args.should_save:
            write_text(Path(self.args.output_dir) / "README.md", str(run_card(self, self.origin)))

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As the base class; the loss function is told the label set of each row, which the model knows nothing of."""
        label_sets = inputs.pop("label_sets", None)
        if label_sets is not None:
            self.compute_loss_func = partial(self._loss, label_sets=label_sets)
        return super().compute_loss(model, inputs, *args, **kwargs)

    def evaluation_loop(
        self, dataloader: DataLoader[Sample], *args: Any, metric_key_prefix: str = "eval", **kwargs: Any
    ) -> EvalLoopOutput:
        """As the base class, with the closed question's UAR and WAR beside the loss."""
        output: EvalLoopOutput = super().evaluation_loop(
            dataloader, *args, metric_key_prefix=metric_key_prefix, **kwargs
        )
        metrics = self.closed_set_metrics(cast(EmotionDataset, dataloader.dataset))
        output.metrics.update({f"{metric_key_prefix}_{name}": value for name, value in metrics.items()})
        return output

    def closed_set_metrics(self, dataset: EmotionDataset) -> dict[str, float]:
        """
        UAR and WAR of the likeliest label over all samples with an emotion; the processes share the work.

        Where data sets have different label sets, each has `uar_DATASET` and `war_DATASET`; `uar` and `war` are the
        means of these.

        Args:
            dataset ([`EmotionDataset`])
        """
        parts: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index, (emotion, labels) in enumerate(zip(dataset.emotions, dataset.label_sets, strict=True)):
            if emotion is not None:
                parts[labels or tuple(self.model.config.emotion_labels)].append(index)
        figures = [self._metrics_of(dataset, indices, list(labels)) for labels, indices in parts.items()]
        if len(figures) < 2:
            return figures[0] if figures else {}
        metrics = {name: sum(one[name] for one in figures) / len(figures) for name in ("uar", "war")}
        for one, indices in zip(figures, parts.values(), strict=True):
            names = dict.fromkeys(dataset.samples[index].get("dataset") or "other" for index in indices)
            metrics |= {f"{figure}_{'+'.join(names)}": value for figure, value in one.items()}
        return metrics

    def _metrics_of(self, dataset: EmotionDataset, known: list[int], labels: list[str]) -> dict[str, float]:
        """UAR and WAR of the samples with these places, which have one label set."""
        size, processes = self.args.eval_batch_size, self.accelerator.num_processes
        mine = known[self.accelerator.process_index :: processes]
        rounds = math.ceil(len(known) / processes / size)  # sharded weights need every process in every forward
        predicted: list[tuple[int, int]] = []
        self.model.eval()
        for batch in range(rounds):
            indices = mine[batch * size : (batch + 1) * size] or known[:1]
            samples = [dataset[index] for index in indices]
            scores = closed_set_scores(self.model, self.data_collator, samples, labels)
            check_finite(scores.flatten().tolist(), self.model.dtype)
            predicted += zip(indices, scores.argmax(1).tolist(), strict=True)
        if processes > 1:
            predicted = gather_object(predicted)
        best = dict(predicted)
        emotions = [dataset.samples[index].get("emotion") or "" for index in known]
        metrics = emotion_metrics(emotions, [labels[best[index]] for index in known], labels)
        return {"uar": metrics["uar"], "war": metrics["war"]}
