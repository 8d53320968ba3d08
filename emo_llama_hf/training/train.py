"""A fine-tuning run from samples to a saved, evaluated model."""

from collections.abc import Sequence
from copy import copy

from transformers import EarlyStoppingCallback

from ..adapter_base import AdapterBase
from ..data.sample import Sample
from ..data.samples import visual_parts
from ..input_error import InputError
from .augmentation import Augmentation
from .cached_features import cached_features
from .closed_set_loss import ClosedSetLoss, answer_tokens
from .data_collator import EmoLlamaDataCollator
from .emotion_dataset import EmotionDataset
from .loss_curve import LossCurveCallback
from .packing import keeps_apart
from .run import begin, finish
from .run_card import RunOrigin
from .trainer import EmoLlamaTrainer
from .training_arguments import EmoLlamaTrainingArguments
from .tuning_arguments import TuningArguments


def train(
    arguments: EmoLlamaTrainingArguments,
    tuning: TuningArguments,
    train_samples: Sequence[Sample],
    eval_samples: Sequence[Sample] | None = None,
    train_data: str | None = None,
    eval_data: str | None = None,
) -> EmoLlamaTrainer:
    """
    Fine-tune a model and save it, or its adapter, with the processor, the metrics, the loss curve and a model card;
    with `push_to_hub` all of it goes to the hub too.

    Args:
        arguments ([`EmoLlamaTrainingArguments`]): with `resume_from_checkpoint="last"` a run that was stopped goes on.
        tuning ([`TuningArguments`])
        train_samples (`Sequence[Sample]`): at least one.
        eval_samples (`Sequence[Sample]`, *optional*): without them nothing is evaluated.
        train_data, eval_data (`str`, *optional*): what the samples are called in the model card.

    Returns:
        [`EmoLlamaTrainer`] after the run, with the best weights if there was an evaluation.

    Raises:
        `InputError`: choices that do not go together, no samples, or samples that cannot be learned from.
    """
    arguments = copy(arguments)  # they follow the data below, and a `Trainer` writes into its own
    start = begin(arguments, tuning, [*train_samples, *(eval_samples or ())])
    base, processor, labels = start.base, start.processor, start.base.config.emotion_labels
    augmentation, seed = Augmentation() if tuning.augment else None, arguments.data_seed or arguments.seed
    dataset = EmotionDataset(train_samples, processor, augmentation, seed, emotion_labels=labels)
    eval_dataset = None if not eval_samples else EmotionDataset(eval_samples, processor, emotion_labels=labels)
    if not len(dataset):
        raise InputError("`train_samples` is empty: there is nothing to learn from.")
    _check_visuals(arguments, dataset, eval_dataset)
    collator = EmoLlamaDataCollator(
        processor,
        max_length=tuning.max_length,
        use_faces=base.model.face_info_mining is not None,  # nothing else of what is learned looks at faces
        answers_only=True,
    )
    loss = None
    if arguments.closed_set_weight:
        known = dataset.label_sets + ([] if eval_dataset is None else eval_dataset.label_sets)
        collator.label_sets = list(dict.fromkeys(filter(None, known)))
        answer_sets = [answer_tokens(collator, list(label_set)) for label_set in collator.label_sets]
        loss = ClosedSetLoss(answer_sets, arguments.closed_set_weight)
    packing = tuning.packing and keeps_apart(base.model.language_model)
    model = start.trainable(arguments, tuning)
    callbacks = [LossCurveCallback()]
    if eval_dataset is None:
        arguments.eval_strategy, arguments.load_best_model_at_end = "no", False
    elif arguments.early_stopping_patience:
        callbacks.append(EarlyStoppingCallback(arguments.early_stopping_patience))
    with cached_features(tuning, arguments, base, collator, dataset, eval_dataset):
        trainer = EmoLlamaTrainer(
            model,
            arguments,
            data_collator=collator,
            packing=packing,
            train_dataset=dataset,
            eval_dataset=eval_dataset,
            processing_class=processor,
            compute_loss_func=loss,
            callbacks=callbacks,
            origin=RunOrigin(AdapterBase.of(tuning.model), train_data, eval_data),
            stored=start.stored,
        )
        finish(trainer, start.checkpoint)
    return trainer


def _check_visuals(arguments: EmoLlamaTrainingArguments, *datasets: EmotionDataset | None) -> None:
    """Sharded weights are gathered by all processes together: a batch that shows nothing would leave one waiting."""
    if not arguments.fsdp:
        return
    for dataset in datasets:
        for sample in dataset.samples if dataset is not None else ():
            if not visual_parts(sample["messages"]):
                raise InputError("With `fsdp` every sample must show a picture or clip: train on text with DDP.")
