"""A `Trainer` for EmoLlama: sample order by epoch, UAR at each evaluation."""

import math
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import Any, cast

from accelerate.utils import gather_object
from torch import nn
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput

from ..closed_set import check_finite
from ..data.sample import Sample
from ..evaluation.metrics import emotion_metrics
from .closed_set_scores import closed_set_scores
from .emotion_dataset import EmotionDataset
from .epoch_sampler import EpochSampler
from .learned_places import learned_tokens
from .run_trainer import RunTrainer


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


class EmoLlamaTrainer(RunTrainer):
    """
    Trains an EmoLlama on answers.

    Args:
        packing (`bool`, *optional*, defaults to `False`):
            Samples that it learns from share rows, see [`EmoLlamaDataCollator`]. Those that it is evaluated on do not:
            processes would have losses of different numbers of rows to gather.
        args, kwargs:
            Of [`RunTrainer`]; its `args` is an [`EmoLlamaTrainingArguments`], `train_dataset` and `eval_dataset` are
            [`EmotionDataset`]s and `data_collator` is an [`EmoLlamaDataCollator`].
    """

    data_collator: Any

    def __init__(self, *args: Any, packing: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.packing = packing
        self._loss: Any = self.compute_loss_func
        self.train_sampler: EpochSampler | None = None
        if self.train_dataset is not None:
            self.train_sampler = EpochSampler(
                self.train_dataset.emotions, self.args.class_balance, self.args.data_seed or self.args.seed
            )
            self.add_callback(EpochCallback(self.train_sampler, self.train_dataset))

    def card_settings(self) -> dict[str, object]:
        """What the model card is to say of this way to train."""
        return {"class balance": self.args.class_balance, "closed-set weight": self.args.closed_set_weight}

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler | None:
        return self.train_sampler

    def get_train_dataloader(self) -> DataLoader[Sample]:
        """As the base class, with samples that share rows where that was asked for."""
        collator = self.data_collator
        if self.packing:
            self.data_collator = replace(collator, packing=True)
        try:
            return cast(DataLoader[Sample], super().get_train_dataloader())
        finally:
            self.data_collator = collator

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As the base class; whatever computes the loss is told what the model does not give back."""
        known = {"label_sets": inputs.pop("label_sets", None), "places": inputs.get("logits_to_keep")}
        known = {name: value for name, value in known.items() if value is not None}
        if self._loss is not None:
            self.compute_loss_func = partial(self._loss, **known)
        elif self.label_smoother is not None and "places" in known:
            inputs["labels"] = learned_tokens(inputs["labels"], known["places"])
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
