"""Training of a face prior from labelled face crops, before an EmoLlama is built around it."""

import math
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput, EvalPrediction, get_last_checkpoint

from ...modeling.modeling_face_prior import EmoLlamaFacePriorModel
from ..loss_curve import LossCurveCallback
from ..trainable_parts import stay_in_eval
from .batches import FaceBatches
from .crops import FaceCrop, FaceCrops

AVERAGE_FILE = "average.safetensors"


class FaceMapForTraining(nn.Module):
    """
    First stage: the face embedding map learns to tell classes apart, by linear heads on its mean. The heads only show
    the map what matters, for Face Info Mining and the decoder to find; they are thrown away.

    Args:
        face_prior ([`EmoLlamaFacePriorModel`])
        classes (`dict[str, int]`): number of classes of each task.
        weights (`dict[str, float]`, *optional*): how much each task's loss counts; 1 if it is not there.
        dropout (`float`, *optional*, defaults to 0.3): of the heads' input.
        label_smoothing (`float`, *optional*, defaults to 0.1)
        consistency (`float`, *optional*, defaults to 0):
            How much it counts in training that two views of a crop ([`FaceBatches`] with `views=2`) look the same:
            the mean KL divergence of what is believed of each from their mean.
    """

    def __init__(
        self,
        face_prior: EmoLlamaFacePriorModel,
        classes: dict[str, int],
        weights: dict[str, float] | None = None,
        dropout: float = 0.3,
        label_smoothing: float = 0.1,
        consistency: float = 0.0,
    ) -> None:
        super().__init__()
        self.face_prior = face_prior
        self.tasks = list(classes)
        self.heads = nn.ModuleDict(
            {
                task: nn.Sequential(nn.Dropout(dropout), nn.Linear(face_prior.config.hidden_size, count))
                for task, count in classes.items()
            }
        )
        self.weights = weights or {}
        self.label_smoothing = label_smoothing
        self.consistency = consistency

    def forward(
        self, pixel_values: torch.Tensor, landmarks: torch.Tensor | None = None, **targets: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """
        Look at F crops.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(F, 3, h, w)`)
            landmarks (`torch.FloatTensor`, *optional*): not learned in this stage.
            targets (`torch.FloatTensor` of shape `(F, classes)`):
                Of each task a distribution over its classes, all zero where the class is unknown.

        Returns:
            `dict`: `loss`, and the logits of each task (F, classes).
        """
        prior = self.face_prior
        # The mean of the fused map: fusing is linear, and enlarging a map by a whole factor keeps its mean.
        means = [feature.mean((2, 3)) for feature in prior.backbone(pixel_values).feature_maps]
        means = [projection(mean) for projection, mean in zip(prior.projections, means, strict=True)]
        pooled = prior.fuse(torch.cat(means[::-1], dim=1)[..., None, None]).flatten(1)
        logits = {task: self.heads[task](pooled).float() for task in targets}
        loss = weighted_loss(logits, targets, self.weights, self.label_smoothing)
        if self.training and self.consistency:
            apart = [self.weights.get(task, 1) * views_apart(values) for task, values in logits.items()]
            loss = loss + self.consistency * torch.stack(apart).sum()
        return {"loss": loss, **logits}


class FaceTasksForTraining(nn.Module):
    """
    Second stage: the decoder and the heads learn to read the map, which stays as it is.

    Args:
        face_prior ([`EmoLlamaFacePriorModel`])
        weights (`dict[str, float]`, *optional*):
            How much each task's loss counts; 1 if it is not there, but 20 for the landmarks.
        label_smoothing (`float`, *optional*, defaults to 0)
    """

    def __init__(
        self,
        face_prior: EmoLlamaFacePriorModel,
        weights: dict[str, float] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.face_prior = face_prior
        self.weights = {"landmarks": 20.0, **(weights or {})}
        self.label_smoothing = label_smoothing
        self.tasks = list(face_prior.config.perceived_labels)
        face_prior.requires_grad_(True)
        face_prior.position.frequencies.requires_grad_(False)  # drawn once, not learned
        for module in (face_prior.backbone, face_prior.projections, face_prior.fuse):
            module.requires_grad_(False)
        face_prior.backbone.register_forward_pre_hook(stay_in_eval)

    def forward(
        self, pixel_values: torch.Tensor, landmarks: torch.Tensor, **targets: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """
        Look at F crops.

        Args:
            pixel_values, targets: see [`FaceMapForTraining`]; targets of tasks that the face prior has no head for
                (the emotion) are passed over.
            landmarks (`torch.FloatTensor` of shape `(F, L, 2)`): NaN where they are unknown.

        Returns:
            `dict`: `loss`, and the logits of each task (F, classes).
        """
        outputs = self.face_prior(pixel_values, return_dict=True)
        logits = {task: outputs[f"{task}_logits"].float() for task in targets if task in self.tasks}
        loss = weighted_loss(logits, targets, self.weights, self.label_smoothing)
        known = landmarks.isfinite().all(-1)
        error = nn.functional.smooth_l1_loss(
            outputs.landmarks.float()[known], landmarks[known], reduction="sum", beta=0.05
        )
        return {"loss": loss + self.weights["landmarks"] * error / known.numel(), **logits}


def weighted_loss(
    logits: dict[str, torch.Tensor],
    targets: dict[str, torch.Tensor],
    weights: dict[str, float],
    label_smoothing: float,
) -> torch.Tensor:
    """
    Sum of the [`class_loss`] of each task that has logits, times the task's weight.

    Args:
        logits (`dict[str, torch.FloatTensor]` of shapes `(F, classes)`)
        targets (`dict[str, torch.FloatTensor]` of shapes `(F, classes)`): see [`FaceMapForTraining`].
        weights (`dict[str, float]`): 1 for a task that is not there.
        label_smoothing (`float`)
    """
    losses = [
        weights.get(task, 1) * class_loss(values, targets[task], label_smoothing) for task, values in logits.items()
    ]
    return torch.stack(losses).sum()


def class_loss(logits: torch.Tensor, target: torch.Tensor, label_smoothing: float) -> torch.Tensor:
    """
    Cross-entropy over the rows whose class is known, as a mean over all rows.

    Args:
        logits (`torch.FloatTensor` of shape `(F, classes)`)
        target (`torch.FloatTensor` of shape `(F, classes)`): distributions, all zero where the class is unknown.
        label_smoothing (`float`)
    """
    weight = target.sum(1, keepdim=True)
    target = (1 - label_smoothing) * target + label_smoothing * weight / target.shape[1]
    return -(target * logits.log_softmax(-1)).sum() / len(logits)


def views_apart(logits: torch.Tensor) -> torch.Tensor:
    """
    How differently two views of crops look: the Jensen-Shannon divergence in nats, as a mean over the crops.

    Args:
        logits (`torch.FloatTensor` of shape `(2 F, classes)`): of the first views, then of the second ones.
    """
    views = torch.stack(logits.log_softmax(-1).chunk(2))
    mean = views.exp().mean(0, keepdim=True).log()
    return (views.exp() * (views - mean)).sum(-1).mean()


class FacePriorTrainer(Trainer):
    """
    A `Trainer` of a stage of the face prior's training that keeps, and evaluates, a moving average of its weights.

    Args:
        average_decay (`float`): share of the average that stays at each step.
        eval_batches ([`FaceBatches`]): makes the batches of an evaluation.
        args, kwargs (`Any`): of `Trainer`.
    """

    def __init__(self, *args: Any, average_decay: float, eval_batches: FaceBatches, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(average_decay), use_buffers=True)
        self.eval_batches = eval_batches
        self.add_callback(_AverageCallback(self))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[FaceCrop]:
        """As the base class, with batches in which nothing is changed."""
        train_batches, self.data_collator = self.data_collator, self.eval_batches  # type: ignore[has-type]
        try:
            loader: DataLoader[FaceCrop] = super().get_eval_dataloader(eval_dataset)
            return loader
        finally:
            self.data_collator = train_batches

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """As the base class, of the averaged weights."""
        trained = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average.module.state_dict())
        try:
            return super().evaluation_loop(*args, **kwargs)
        finally:
            self.model.load_state_dict(trained)


class _AverageCallback(TrainerCallback):
    """Moves the average along, and keeps it with the checkpoints for a resume."""

    def __init__(self, trainer: FacePriorTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            load_model(self.trainer.average, checkpoint / AVERAGE_FILE)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.trainer.average.update_parameters(self.trainer.model)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and checkpoint.is_dir():
            save_model(self.trainer.average, str(checkpoint / AVERAGE_FILE))


def train_face_prior(
    stage: FaceMapForTraining | FaceTasksForTraining,
    arguments: TrainingArguments,
    train_crops: FaceCrops,
    eval_crops: FaceCrops,
    batches: FaceBatches,
    average_decay: float = 0.998,
) -> Trainer:
    """
    Run one stage of a face prior's training; afterwards it has the averaged weights.

    Args:
        stage ([`FaceMapForTraining`] or [`FaceTasksForTraining`]): changed in place.
        arguments (`TrainingArguments`): with `resume_from_checkpoint` a run that was stopped goes on.
        train_crops, eval_crops ([`FaceCrops`])
        batches ([`FaceBatches`]): how training crops are changed at random.
        average_decay (`float`, *optional*, defaults to 0.998): of the moving average of the weights.

    Returns:
        The trainer, whose `evaluate()` gives each task's accuracy.
    """
    arguments = copy(arguments)  # a `Trainer` writes into its own
    arguments.label_names = [task for task in train_crops.targets if task in stage.tasks]
    arguments.remove_unused_columns = False
    trainer = FacePriorTrainer(
        stage,
        arguments,
        data_collator=batches,
        train_dataset=train_crops,
        eval_dataset=eval_crops,
        compute_metrics=lambda prediction: _accuracies(prediction, arguments.label_names),
        callbacks=[LossCurveCallback()],
        average_decay=average_decay,
        eval_batches=batches.plain(),
    )
    last = get_last_checkpoint(arguments.output_dir) if Path(arguments.output_dir).is_dir() else None
    trainer.train(last if arguments.resume_from_checkpoint else None)
    stage.load_state_dict(trainer.average.module.state_dict())
    return trainer


@torch.no_grad()
def taught(
    crops: FaceCrops, teachers: list[FaceMapForTraining], batches: FaceBatches, share: float, batch_size: int = 256
) -> FaceCrops:
    """
    Crops from which a student learns what its teachers believe of them, besides their labels (self-training, arXiv
    1911.04252): a class that nobody labelled, the gender of a face with an emotion, say, becomes a lesson too.

    Args:
        crops ([`FaceCrops`])
        teachers (`list[FaceMapForTraining]`):
            Trained stages, on one device; what they believe of a crop and of its mirror image is averaged.
        batches ([`FaceBatches`]): has the normalization of the pixels; the teachers see crops as they are.
        share (`float`): weight of the teachers' belief; that of a label is 1 - `share`.
        batch_size (`int`, *optional*, defaults to 256): crops looked at in one go.

    Returns:
        [`FaceCrops`], with other targets.
    """
    believed: dict[str, list[torch.Tensor]] = {task: [] for task in crops.targets}
    loader = DataLoader(crops, batch_size, collate_fn=batches.plain())
    device = next(teachers[0].parameters()).device
    for batch in tqdm(loader, "teachers", unit=" batches"):
        seen = {name: values.to(device) for name, values in batch.items()}
        mirrored = {**seen, "pixel_values": seen["pixel_values"].flip(-1)}
        views = [teacher.eval()(**view) for teacher in teachers for view in (seen, mirrored)]
        for task, rows in believed.items():
            rows.append(torch.stack([view[task].softmax(-1) for view in views]).mean(0).cpu())
            _check_finite(task, rows[-1].isfinite().all())
    targets = {task: (1 - share) * crops.targets[task] + share * torch.cat(rows) for task, rows in believed.items()}
    return replace(crops, targets=targets)


def _accuracies(prediction: EvalPrediction, tasks: list[str]) -> dict[str, float]:
    """Accuracy of each task over the crops whose class is known."""
    found = {}
    for task, logits, target in zip(tasks, prediction.predictions, prediction.label_ids, strict=True):
        _check_finite(task, np.isfinite(logits).all())
        known = target.sum(1) > 0
        right = (logits.argmax(1) == target.argmax(1))[known]
        found[f"{task}_accuracy"] = float(right.mean()) if len(right) else math.nan
    return found


def _check_finite(task: str, finite: Any) -> None:
    """What is no number has a largest class all the same, and would count as a prediction."""
    if not finite:
        raise FloatingPointError(
            f"What is perceived of the {task} is not finite: the weights have diverged. Train anew with a lower "
            "`learning_rate`."
        )
