"""The model card of a training run: its base, data, figures and settings."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from huggingface_hub import EvalResult, ModelCard
from peft import PeftModel
from transformers import Trainer
from transformers.utils import cached_file

from ..adapter_base import BESIDE, AdapterBase
from ..default_model import default_model
from ..model_card import model_card
from .trainable_parts import part_of

DESCRIPTION = """\
{kind} of {base}, trained with `emo-llama train` to answer questions about *perceived* emotions.
{figures}
## Training

| | |
|---|---|
{settings}
"""

# As the trainer logs it, as the hub calls it, and as people do.
FIGURES = (
    ("eval_war", "accuracy", "WAR: of all samples, how many are right"),
    ("eval_uar", "recall", "UAR: mean recall of the labels"),
    ("eval_loss", "loss", "loss"),
    ("eval_reward", "reward", "mean reward of sampled answers"),
)


@dataclass(frozen=True)
class RunOrigin:
    """
    What a run began with.

    Args:
        base ([`AdapterBase`], *optional*): the model.
        train_data, eval_data (`str`, *optional*): what the samples are called.
    """

    base: AdapterBase | None = None
    train_data: str | None = None
    eval_data: str | None = None


def run_card(trainer: Trainer, origin: RunOrigin) -> ModelCard:
    """
    The card of what a trainer has learned so far.

    Args:
        trainer ([`RunTrainer`])
        origin ([`RunOrigin`])
    """
    adapter = isinstance(trainer.model, PeftModel)
    name = trainer.hub_model_id or Path(trainer.args.output_dir).resolve().name
    base = origin.base
    metadata: dict[str, Any] = {"library_name": "peft" if adapter else "transformers"}
    if base is not None and base.hub_id is not None:
        metadata |= {"base_model": base.hub_id, "base_model_relation": "adapter" if adapter else "finetune"}
    datasets = [data for data in (origin.train_data, origin.eval_data) if data is not None]
    metadata["datasets"] = list(dict.fromkeys(map(_slug, datasets))) or None
    figures: dict[str, float] = next((e for e in reversed(trainer.state.log_history) if "eval_loss" in e), {})
    evaluated = [(key, kind, said) for key, kind, said in FIGURES if key in figures]
    if evaluated:
        data = origin.eval_data or "held-out samples"
        metadata["model_name"] = name.rpartition("/")[2]
        metadata["eval_results"] = [
            EvalResult("image-text-to-text", _slug(data), data, kind, round(figures[key], 4), metric_name=said)
            for key, kind, said in evaluated
        ]
    description = DESCRIPTION.format(
        kind="A LoRA adapter" if adapter else "A fine-tuned copy",
        base=_said(base),
        figures=_figures(trainer, origin.eval_data, [(said, figures[key]) for key, _, said in evaluated]),
        settings="\n".join(f"| {name} | {value} |" for name, value in _settings(trainer).items()),
    )
    return model_card(
        name,
        trainer.model.config,
        description,
        training_data=_training_data(trainer, origin.train_data),
        license=_license(base),
        **metadata,
    )


def _figures(trainer: Trainer, data: str | None, rows: list[tuple[str, float]]) -> str:
    if not rows:
        return "It was not evaluated.\n"
    count = f"{len(trainer.tested)} samples" if trainer.tested is not None else "Samples"
    of_data = f" of {data}" if data else ""
    table = "\n".join(f"| {said} | {value:.3f} |" for said, value in rows)
    label_sets = dict.fromkeys(filter(None, trainer.tested.label_sets)) if trainer.tested else {}
    options = "; or ".join(map(", ".join, label_sets)) or "the labels"
    return (
        f"\n## Figures\n\n{count}{of_data} that were to be kept apart from those to learn from; they may have chosen "
        f"the checkpoint.\n\n| labels: {options} | |\n|---|---|\n{table}\n"
    )


def _settings(trainer: Trainer) -> dict[str, object]:
    """What somebody needs to do it again."""
    args = trainer.args
    learning = {part_of(name) for name, value in trainer.model.named_parameters() if value.requires_grad}
    batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    settings: dict[str, object] = {"what learned": ", ".join(sorted(learning))}
    if isinstance(trainer.model, PeftModel):
        lora = trainer.model.peft_config["default"]
        settings["LoRA"] = f"rank {lora.r}, alpha {lora.lora_alpha}, dropout {lora.lora_dropout}"
    rates = "".join(f", {part} {rate:g}" for part, rate in args.rates.items())
    return settings | {
        "learning rate": f"{args.learning_rate:g}{rates}, {_value(args.lr_scheduler_type)}",
        "optimizer": f"{_value(args.optim)}, weight decay {args.weight_decay:g}",
        "steps": f"{trainer.state.global_step} of {batch} samples, {trainer.state.epoch or 0:.3g} epochs",
        **trainer.card_settings(),
        "precision": "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32",
        "seed": args.seed,
        "versions": f"transformers {transformers.__version__}, torch {torch.__version__}, peft {peft.__version__}",
    }


def _training_data(trainer: Trainer, name: str | None) -> str:
    if trainer.learned is None:
        return "Not stated."
    counts = Counter(emotion or "no label" for emotion in trainer.learned.emotions)
    return (
        f"{name or 'Samples that were not named'}: {len(trainer.learned)} samples, with the perceived emotions "
        f"{', '.join(f'{emotion} ({count})' for emotion, count in counts.most_common())}. "
        "The terms of this data, and of what the base was trained on, are to be kept."
    )


def _said(base: AdapterBase | None) -> str:
    if base is None:
        return "a model that was not named"
    if base.name == BESIDE:
        return "emo-llama-mini, which comes with the package `emo_llama_hf`"
    if base.hub_id is None:
        return f"`{Path(base.name).name}`"  # not its path, which is of one machine
    return f"[{base.hub_id}](https://huggingface.co/{base.hub_id})" + (
        f" (commit `{base.revision[:12]}`)" if base.revision else ""
    )


def _license(base: AdapterBase | None) -> str | None:
    """The base's, as its own card says, if it has one."""
    if base is None:
        return None
    folder = default_model() if base.name == BESIDE else base.name
    card = cached_file(
        folder,
        "README.md",
        revision=base.revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if card is None:
        return None
    license: str | None = ModelCard.load(card, ignore_metadata_errors=True).data.get("license")
    return license


def _slug(data: str) -> str:
    """A name that the hub takes for a data set."""
    return re.sub(r"[^\w-]+", "-", data).strip("-").lower() or "data"


def _value(setting: Any) -> str:
    return str(getattr(setting, "value", setting))
