"""A fine-tuning run from samples to a saved, evaluated model."""

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import torch
from tqdm.auto import tqdm
from transformers import EarlyStoppingCallback, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import find_adapter_config_file

from ..adapter_base import AdapterBase
from ..data.reading import Reading
from ..data.sample import Sample
from ..data.samples import check_faces, load_visuals, visual_parts
from ..input_error import InputError
from ..load_model import load_model
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..whole_file import whole_file, write_text
from .augmentation import Augmentation
from .checkpoints import is_whole, last_whole_checkpoint
from .closed_set_loss import ClosedSetLoss, answer_tokens
from .data_collator import EmoLlamaDataCollator
from .emotion_dataset import EmotionDataset
from .feature_cache import FeatureCache, fill_cache
from .loss_curve import LossCurveCallback
from .precision import prepare_precision
from .run_card import RunOrigin
from .trainable_parts import make_trainable
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
    checkpoint = arguments.resume_from_checkpoint
    if checkpoint == "last":
        checkpoint = last_whole_checkpoint(arguments.output_dir)
    elif isinstance(checkpoint, str) and not is_whole(checkpoint):
        raise InputError(f"`resume_from_checkpoint` {checkpoint} is no whole checkpoint: name another, or `last`.")
    arguments = copy(arguments)  # they follow the data below, and a `Trainer` writes into its own
    set_seed(arguments.seed)
    if tuning.lora_rank and tuning.model and find_adapter_config_file(tuning.model) is not None:
        raise InputError(
            f"`model` {tuning.model!r} is an adapter, which a new adapter would not know: `emo-llama merge` it first, "
            "or set `lora_rank` to 0, and it is merged into what is trained."
        )
    base, processor = load_model(
        tuning.model,
        base=tuning.base,
        dtype=tuning.dtype,
        device=arguments.device if tuning.load_in_4bit else None,
        load_in_4bit=tuning.load_in_4bit,
    )
    Reading(tuning.missing_face, tuning.num_frames, tuning.full_frame_below).set_in(processor)
    check_faces([*train_samples, *(eval_samples or ())], processor)
    labels = tuning.emotion_labels or base.config.emotion_labels
    base.config.emotion_labels = labels  # what it learns to be asked, it is asked by default
    if tuning.closed_question is not None:
        processor.prompt = replace(processor.prompt, closed_question=tuning.closed_question)
    augmentation, seed = Augmentation() if tuning.augment else None, arguments.data_seed or arguments.seed
    dataset = EmotionDataset(train_samples, processor, augmentation, seed, emotion_labels=labels)
    eval_dataset = None if not eval_samples else EmotionDataset(eval_samples, processor, emotion_labels=labels)
    if not len(dataset):
        raise InputError("`train_samples` is empty: there is nothing to learn from.")
    _check_visuals(arguments, dataset, eval_dataset)
    collator = EmoLlamaDataCollator(
        processor, max_length=tuning.max_length, use_faces=base.config.face_config is not None
    )
    loss = None
    if arguments.closed_set_weight:
        known = dataset.label_sets + ([] if eval_dataset is None else eval_dataset.label_sets)
        collator.label_sets = list(dict.fromkeys(filter(None, known)))
        answer_sets = [answer_tokens(collator, list(label_set)) for label_set in collator.label_sets]
        loss = ClosedSetLoss(answer_sets, arguments.closed_set_weight)
    stored = base.dtype
    model = make_trainable(
        base, tuning.parts, tuning.lora_rank, tuning.lora_alpha, tuning.lora_dropout, tuning.lora_targets
    )
    computed_in = torch.bfloat16 if arguments.bf16 else torch.float16 if arguments.fp16 else None
    prepare_precision(model, computed_in, saved=not tuning.lora_rank)
    if tuning.feature_cache:
        _cache_features(tuning.feature_cache, base, collator, arguments, dataset, eval_dataset)
    callbacks = [LossCurveCallback()]
    if eval_dataset is None:
        arguments.eval_strategy, arguments.load_best_model_at_end = "no", False
    elif arguments.early_stopping_patience:
        callbacks.append(EarlyStoppingCallback(arguments.early_stopping_patience))
    trainer = EmoLlamaTrainer(
        model,
        arguments,
        data_collator=collator,
        train_dataset=dataset,
        eval_dataset=eval_dataset,
        processing_class=processor,
        compute_loss_func=loss,
        callbacks=callbacks,
        origin=RunOrigin(AdapterBase.of(tuning.model), train_data, eval_data),
        stored=stored,
    )
    metrics = {"train": trainer.train(checkpoint).metrics}
    trainer.save_model(_internal_call=True)  # pushed in the end, with the figures
    if eval_dataset is not None:
        metrics["eval"] = trainer.evaluate()
    if trainer.is_world_process_zero():
        _save_figures(trainer, metrics)
    trainer.create_model_card()
    if arguments.push_to_hub:
        trainer.push_to_hub()
    return trainer


def _save_figures(trainer: EmoLlamaTrainer, metrics: dict[str, dict[str, float]]) -> None:
    """As `Trainer.save_state` and `Trainer.save_metrics` do; these write in place, and fail where a file is torn."""
    folder = Path(trainer.args.output_dir)
    with whole_file(folder / TRAINER_STATE_NAME) as unfinished:
        trainer.state.save_to_json(str(unfinished))
    metrics["all"] = {name: value for split in metrics.values() for name, value in split.items()}
    for split, values in metrics.items():
        write_text(folder / f"{split}_results.json", json.dumps(values, indent=4, sort_keys=True))


def _check_visuals(arguments: EmoLlamaTrainingArguments, *datasets: EmotionDataset | None) -> None:
    """Sharded weights are gathered by all processes together: a batch that shows nothing would leave one waiting."""
    if not arguments.fsdp:
        return
    for dataset in datasets:
        for sample in dataset.samples if dataset is not None else ():
            if not visual_parts(sample["messages"]):
                raise InputError("With `fsdp` every sample must show a picture or clip: train on text with DDP.")


def _cache_features(
    folder: str,
    model: EmoLlamaForConditionalGeneration,
    collator: EmoLlamaDataCollator,
    arguments: EmoLlamaTrainingArguments,
    *datasets: EmotionDataset | None,
) -> None:
    """Compute the vision features of all samples, shared among the processes, and let the collator read them."""
    cache = FeatureCache(folder, model.model.vision_model)
    state = arguments.distributed_state
    model.to(arguments.device)
    for dataset in datasets:
        samples = dataset.samples[state.process_index :: state.num_processes] if dataset is not None else ()
        visuals = (load_visuals(collator.processor, sample) for sample in samples)
        progress = tqdm(visuals, "vision features", len(samples), disable=arguments.disable_tqdm)
        fill_cache(cache, model, (collator.visual_inputs(row) for row in progress))
    torch.cuda.empty_cache()
    state.wait_for_everyone()
    collator.feature_cache = cache
