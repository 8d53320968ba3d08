"""How a fine-tuning run begins and ends, whichever way it learns."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from transformers import TrainingArguments, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import find_adapter_config_file

from ..data.reading import Reading
from ..data.sample import Sample
from ..data.samples import check_faces
from ..export import is_export
from ..input_error import InputError
from ..load_model import load_model
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..whole_file import remove_unfinished, whole_file, write_text
from .checkpoints import is_whole, last_whole_checkpoint
from .precision import prepare_precision
from .run_trainer import RunTrainer
from .trainable_parts import make_trainable
from .tuning_arguments import TuningArguments


@dataclass
class Start:
    """
    What a run begins with.

    Args:
        base ([`EmoLlamaForConditionalGeneration`]), processor ([`EmoLlamaProcessor`])
        checkpoint (`str`, *optional*): where it goes on.
        stored (`torch.dtype`): type of the base's weights.
    """

    base: EmoLlamaForConditionalGeneration
    processor: EmoLlamaProcessor
    checkpoint: str | bool | None
    stored: torch.dtype

    def trainable(self, arguments: TrainingArguments, tuning: TuningArguments) -> nn.Module:
        """The base, or its adapter, of which only what is to learn does, in the types that it learns in."""
        model = make_trainable(
            self.base, tuning.parts, tuning.lora_rank, tuning.lora_alpha, tuning.lora_dropout, tuning.lora_targets
        )
        computed_in = torch.bfloat16 if arguments.bf16 else torch.float16 if arguments.fp16 else None
        prepare_precision(model, computed_in, saved=not tuning.lora_rank)
        return model


def begin(arguments: TrainingArguments, tuning: TuningArguments, samples: Sequence[Sample]) -> Start:
    """
    Open what is to be trained.

    Args:
        arguments (`TrainingArguments`)
        tuning ([`TuningArguments`])
        samples (`Sequence[Sample]`): all that the run reads.

    Raises:
        `InputError`: choices that do not go together, or no such checkpoint.
    """
    checkpoint = arguments.resume_from_checkpoint
    if checkpoint == "last":
        checkpoint = last_whole_checkpoint(arguments.output_dir)
    elif isinstance(checkpoint, str) and not is_whole(checkpoint):
        raise InputError(f"`resume_from_checkpoint` {checkpoint} is no whole checkpoint: name another, or `last`.")
    set_seed(arguments.seed)
    if tuning.lora_rank and tuning.model and find_adapter_config_file(tuning.model) is not None:
        raise InputError(
            f"`model` {tuning.model!r} is an adapter, which a new adapter would not know: `emo-llama merge` it first, "
            "or set `lora_rank` to 0, and it is merged into what is trained."
        )
    if tuning.model and is_export(tuning.model):
        raise InputError(f"`model` {tuning.model!r} is an export, which cannot learn: name what it was made of.")
    base, processor = load_model(
        tuning.model,
        base=tuning.base,
        dtype=tuning.dtype,
        device=arguments.device if tuning.load_in_4bit else None,
        load_in_4bit=tuning.load_in_4bit,
    )
    Reading(tuning.missing_face, tuning.num_frames, tuning.full_frame_below).set_in(processor)
    check_faces(samples, processor)
    if tuning.emotion_labels:
        base.config.emotion_labels = tuning.emotion_labels  # what it learns to be asked, it is asked by default
    if tuning.closed_question is not None:
        processor.prompt = replace(processor.prompt, closed_question=tuning.closed_question)
    return Start(base, processor, checkpoint, base.dtype)


def finish(trainer: RunTrainer, checkpoint: str | bool | None) -> None:
    """
    Train, and save the model, its figures and its card.

    Args:
        trainer ([`RunTrainer`]): evaluates in the end where it has an `eval_dataset`.
        checkpoint (`str`, *optional*): where it goes on.
    """
    if trainer.is_world_process_zero():
        remove_unfinished(Path(trainer.args.output_dir))
    metrics = {"train": trainer.train(checkpoint).metrics}
    trainer.save_model(_internal_call=True)  # pushed in the end, with the figures
    if trainer.eval_dataset is not None:
        metrics["eval"] = trainer.evaluate()
    if trainer.is_world_process_zero():
        _save_figures(trainer, metrics)
    trainer.create_model_card()
    if trainer.args.push_to_hub:
        trainer.push_to_hub()


def _save_figures(trainer: RunTrainer, metrics: dict[str, dict[str, float]]) -> None:
    """As `Trainer.save_state` and `Trainer.save_metrics` do; these write in place, and fail where a file is torn."""
    folder = Path(trainer.args.output_dir)
    with whole_file(folder / TRAINER_STATE_NAME) as unfinished:
        trainer.state.save_to_json(str(unfinished))
    metrics["all"] = {name: value for split in metrics.values() for name, value in split.items()}
    for split, values in metrics.items():
        write_text(folder / f"{split}_results.json", json.dumps(values, indent=4, sort_keys=True))
