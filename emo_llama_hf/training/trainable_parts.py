"""Which parts of an EmoLlama learn, and how fast."""

import re
from collections.abc import Sequence
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from ..adapter_base import quiet_peft
from ..input_error import InputError
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..modeling.modeling_face_prior import EmoLlamaFourierPosition

# What users call a part, and the module of `EmoLlamaModel` that it is.
PARTS = {
    "language_model": "language_model",
    "face_info_mining": "face_info_mining",
    "projector": "visual_tokens",
    "vision": "vision_model",
    "qformer": "qformer",
    "face_prior": "face_prior",
}
DEFAULT_PARTS = ("face_info_mining", "projector")


def make_trainable(
    model: EmoLlamaForConditionalGeneration,
    parts: Sequence[str] = DEFAULT_PARTS,
    lora_rank: int = 16,
    lora_alpha: int | None = None,
    lora_dropout: float = 0.05,
    lora_targets: list[str] | None = None,
) -> EmoLlamaForConditionalGeneration | PeftModel:
    """
    Freeze a model but for the chosen parts, and give its language model LoRA weights.

    Args:
        model ([`EmoLlamaForConditionalGeneration`]): changed in place.
        parts (`Sequence[str]`, *optional*):
            Names of `PARTS` that learn as a whole. With LoRA they are saved with the adapter (PEFT's
            `modules_to_save`); the Q-Former's learned queries, no module, then stay as they are.
        lora_rank (`int`, *optional*, defaults to 16): rank of the adapter; 0 for none.
        lora_alpha (`int`, *optional*): its scale is `lora_alpha / lora_rank`; twice the rank by default.
        lora_dropout (`float`, *optional*, defaults to 0.05)
        lora_targets (`list[str]`, *optional*): names of linear layers of the language model; all by default.

    Returns:
        `EmoLlamaForConditionalGeneration`, or with LoRA the `PeftModel` around it.

    Raises:
        `InputError`: an unknown part, a part that the model lacks, an unknown target, or nothing left to learn.
    """
    for part in parts:
        if part not in PARTS:
            raise InputError(f"`parts` has {part!r}, which must be one of {', '.join(PARTS)}.")
    # A model without a face prior has no Face Info Mining to train either; asking for it by default is no mistake.
    present = [part for part in parts if getattr(model.model, PARTS[part]) is not None]
    missing = sorted(set(parts) - set(present) - set(DEFAULT_PARTS))
    if missing:
        raise InputError(f"`parts` has {', '.join(missing)}, but this checkpoint has no face prior.")
    model.requires_grad_(False)
    for part, module in PARTS.items():
        if part not in present and part != "language_model" and getattr(model.model, module) is not None:
            getattr(model.model, module).register_forward_pre_hook(stay_in_eval)
    if lora_rank:
        if "language_model" in present:
            raise InputError(
                "`parts` has 'language_model', which learns by LoRA: set `lora_rank` to 0, or leave it out."
            )
        config = LoraConfig(
            r=lora_rank,
            lora_alpha=2 * lora_rank if lora_alpha is None else lora_alpha,
            lora_dropout=lora_dropout,
            target_modules=_targets(model, lora_targets),
            modules_to_save=[PARTS[part] for part in present] or None,
            task_type="CAUSAL_LM",
        )
        with quiet_peft():
            return get_peft_model(model, config)
    for part in present:
        getattr(model.model, PARTS[part]).requires_grad_(True)
    if "qformer" in present:
        model.model.query_tokens.requires_grad_(True)
    if "language_model" in present:
        model.lm_head.requires_grad_(True)
    for module in model.modules():
        if isinstance(module, EmoLlamaFourierPosition):  # its frequencies are drawn once, not learned
            module.frequencies.requires_grad_(False)
    if not present:
        raise InputError("`parts` is empty and `lora_rank` is 0: nothing would learn.")
    return model


def stay_in_eval(module: nn.Module, args: tuple[Any, ...]) -> None:
    """
    A forward pre-hook: `model.train()` would let frozen batch norms count on and frozen dropouts blur what others
    learn from.

    Args:
        module (`nn.Module`): a frozen part.
        args (`tuple`): of its forward.
    """
    module.eval()


def part_of(parameter: str) -> str:
    """
    The part that a parameter belongs to.

    Args:
        parameter (`str`): its name in the model or in a `PeftModel` around it.
    """
    for part, module in PARTS.items():
        if f".{module}." in parameter:
            return part
    return "qformer" if parameter.endswith("query_tokens") else "language_model"


def _targets(model: EmoLlamaForConditionalGeneration, targets: list[str] | None) -> str:
    """A pattern of the language model's linear layers: their names alone occur in other parts too."""
    names = {
        name.rpartition(".")[2]
        for name, module in model.model.language_model.named_modules()
        if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"  # GPT-2's linear layer
    }
    unknown = sorted(set(targets or ()) - names)
    if unknown:
        raise InputError(
            f"`lora_targets` has {', '.join(unknown)}, but the language model's linear layers are "
            f"{', '.join(sorted(names))}."
        )
    return rf"(.*\.)?language_model\..*\b({'|'.join(re.escape(name) for name in sorted(targets or names))})"
