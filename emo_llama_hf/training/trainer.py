"""A `Trainer` for EmoLlama: learning rates by part, sample order by epoch, UAR at each evaluation."""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils import gather_object
from peft import PeftModel
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput

from ..closed_set import check_finite
from ..data.sample import Sample
from ..evaluation.metrics import emotion_metrics
from ..input_error import InputError
from ..whole_file import write_text
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
        emotion_labels (`list[str]`, *optional*):
            Label set of the closed question that is asked at each evaluation; `config.emotion_labels` by default.
        origin ([`RunOrigin`], *optional*): what an adapter and the model card are to say about base and data.
        stored (`torch.dtype`, *optional*):
            Type of the weights in the output folder, where they are no adapter; by default that which they learn in.
        args, kwargs:
            Of `Trainer`; its `args` is an [`EmoLlamaTrainingArguments`], `train_dataset` and `eval_dataset` are
            [`EmotionDataset`]s and `data_collator` is an [`EmoLlamaDataCollator`].
    """

    def __init__(
        self,
        *args: Any,
        emotion_labels: list[str] | None = None,
        origin: RunOrigin | None = None,
        stored: torch.dtype | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.origin, self.stored = origin or RunOrigin(), stored
        self.emotion_labels: list[str] = emotion_labels or self.model.config.emotion_labels
        self.train_sampler: EpochSampler | None = None
        if self.train_dataset is not None:
            self.train_sampler = EpochSampler(
                self.train_dataset.emotions, self.args.class_balance, self.args.data_seed or self.args.seed
            )
            self.add_callback(EpochCallback(self.train_sampler, self.train_dataset))

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler | None:
        return self.train_sampler

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

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """As the base class. Checkpoints keep the type that weights learn in, so that a run goes on exactly."""
        folder = Path(output_dir or self.args.output_dir)
        adapter = isinstance(self.model, PeftModel)
        dtype = self.stored if not adapter and folder == Path(self.args.output_dir) else None
        with nullcontext() if dtype is None else weights_in(self.model, dtype):
            super()._save(output_dir, state_dict)
        if self.args.should_save:
            if adapter and self.origin.base is not None:
                self.origin.base.record(folder, self.model.get_base_model(), self.hub_model_id)
            write_text(folder / "README.md", str(run_card(self, self.origin)))  # PEFT writes one of its own

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write the run's card, with the newest figures; what the base class would write into it is not asked for."""
        if self.args.should_save:
            write_text(Path(self.args.output_dir) / "README.md", str(run_card(self, self.origin)))

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

        Args:
            dataset ([`EmotionDataset`])

        Raises:
            `InputError`: an emotion is not in the label set.
        """
        emotions = {index: emotion for index, emotion in enumerate(dataset.emotions) if emotion is not None}
        known = list(emotions)
        if not known:
            return {}
        strange = sorted(set(emotions.values()) - set(self.emotion_labels))
        if strange:
            raise InputError(f"`emotion` is {', '.join(strange)}, which is none of {', '.join(self.emotion_labels)}.")
        size, processes = self.args.eval_batch_size, self.accelerator.num_processes
        mine = known[self.accelerator.process_index :: processes]
        rounds = math.ceil(len(known) / processes / size)  # sharded weights need every process in every forward
        predicted: list[tuple[int, int]] = []
        self.model.eval()
        for batch in range(rounds):
            indices = mine[batch * size : (batch + 1) * size] or known[:1]
            scores = closed_set_scores(
                self.model, self.data_collator, [dataset[index] for index in indices], self.emotion_labels
            )
            check_finite(scores.flatten().tolist(), self.model.dtype)
            predicted += zip(indices, scores.argmax(1).tolist(), strict=True)
        if processes > 1:
            predicted = gather_object(predicted)
        best = dict(predicted)
        metrics = emotion_metrics(
            list(emotions.values()),
            [self.emotion_labels[best[index]] for index in known],
            self.emotion_labels,
        )
        return {"uar": metrics["uar"], "war": metrics["war"]}
