"""A fine-tuning run from samples to a saved, evaluated model."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import EarlyStoppingCallback, set_seed
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import find_adapter_config_file

from ..data.sample import Sample
from ..data.samples import load_visuals, visual_parts
from ..input_error import InputError
from ..load_model import load_model
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from .augmentation import Augmentation
from .closed_set_loss import ClosedSetLoss, answer_tokens
from .data_collator import EmoLlamaDataCollator
from .emotion_dataset import EmotionDataset
from .feature_cache import FeatureCache, fill_cache
from .loss_curve import LossCurveCallback
from .trainable_parts import make_trainable
from .trainer import EmoLlamaTrainer
from .training_arguments import EmoLlamaTrainingArguments
from .tuning_arguments import TuningArguments


def train(
    arguments: EmoLlamaTrainingArguments,
    tuning: TuningArguments,
    train_samples: Sequence[Sample],
    eval_samples: Sequence[Sample] | None = None,
) -> EmoLlamaTrainer:
    """
    Fine-tune a model and save it, or its adapter, with the processor, the metrics and the loss curve.

    Args:
        arguments ([`EmoLlamaTrainingArguments`]): with `resume_from_checkpoint="last"` a run that was stopped goes on.
        tuning ([`TuningArguments`])
        train_samples (`Sequence[Sample]`): at least one.
        eval_samples (`Sequence[Sample]`, *optional*): without them nothing is evaluated.

    Returns:
        [`EmoLlamaTrainer`] after the run, with the best weights if there was an evaluation.

    Raises:
        `InputError`: choices that do not go together, no samples, or samples that cannot be learned from.
    """
    arguments = copy(arguments)  # they follow the data below, and a `Trainer` writes into its own
    set_seed(arguments.seed)
    if tuning.lora_rank and tuning.model and find_adapter_config_file(tuning.model) is not None:
        raise InputError(
            f"`model` {tuning.model!r} is an adapter, which a new adapter would not know: set `lora_rank` to 0, and "
            "it is merged into what is trained."
        )
    base, processor = load_model(
        tuning.model,
        dtype=tuning.dtype,
        device=arguments.device if tuning.load_in_4bit else None,
        load_in_4bit=tuning.load_in_4bit,
    )
    labels = tuning.emotion_labels or base.config.emotion_labels
    base.config.emotion_labels = labels  # what it learns to be asked, it is asked by default
    if tuning.closed_question is not None:
        processor.prompt = replace(processor.prompt, closed_question=tuning.closed_question)
    dataset = EmotionDataset(
        train_samples, processor, Augmentation() if tuning.augment else None, arguments.data_seed or arguments.seed
    )
    eval_dataset = None if not eval_samples else EmotionDataset(eval_samples, processor)
    if not len(dataset):
        raise InputError("`train_samples` is empty: there is nothing to learn from.")
    _check_visuals(arguments, dataset, eval_dataset)
    collator = EmoLlamaDataCollator(
        processor, max_length=tuning.max_length, use_faces=base.config.face_config is not None
    )
    loss = None
    if arguments.closed_set_weight:
        loss = ClosedSetLoss(answer_tokens(collator, labels), arguments.closed_set_weight)
    model = make_trainable(
        base, tuning.parts, tuning.lora_rank, tuning.lora_alpha, tuning.lora_dropout, tuning.lora_targets
    )
    _learn_in_single_precision(model, arguments)
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
        emotion_labels=labels,
    )
    checkpoint = arguments.resume_from_checkpoint
    result = trainer.train(get_last_checkpoint(arguments.output_dir) if checkpoint == "last" else checkpoint)
    trainer.save_model()
    trainer.save_state()
    trainer.save_metrics("train", result.metrics)
    if eval_dataset is not None:
        trainer.save_metrics("eval", trainer.evaluate())
    return trainer


def _learn_in_single_precision(model: nn.Module, arguments: EmoLlamaTrainingArguments) -> None:
    """Small updates vanish in half precision; autocast computes in it anyway."""
    half = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter.itemsize < 4]
    if half and not (arguments.bf16 or arguments.fp16):
        raise InputError(
            f"`dtype`: weights that are to learn are stored as {half[0].dtype}, in which small updates vanish. Add "
            "`--bf16` (or `--fp16`) to compute in half precision, or `--dtype float32`."
        )
    for parameter in half:
        parameter.data = parameter.data.float()


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
