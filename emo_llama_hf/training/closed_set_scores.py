"""Closed questions to a model while it trains: only its `forward` is called, so it may be wrapped or sharded."""

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from ..closed_set.label_scores import label_scores
from ..closed_set.question import closed_prompt
from ..data.sample import Sample
from ..data.samples import attributes_of, load_visuals
from ..input_error import InputError
from .data_collator import EmoLlamaDataCollator


@torch.no_grad()
def closed_set_scores(
    model: PreTrainedModel | PeftModel, collator: EmoLlamaDataCollator, samples: list[Sample], labels: list[str]
) -> torch.Tensor:
    """
    How probable a model finds each label as the answer to the closed question about the last visual of each sample.

    Args:
        model ([`EmoLlamaForConditionalGeneration`]): or a PEFT model or sharded model of one.
        collator ([`EmoLlamaDataCollator`])
        samples (`list[Sample]`): B samples.
        labels (`list[str]`): L labels.

    Returns:
        `torch.FloatTensor` of shape `(B, L)`, float32 on the CPU: each row sums to 1.

    Raises:
        `InputError`: a sample shows nothing, or has another number of attributes than of visuals.
    """
    processor = collator.processor
    loaded = [load_visuals(processor, sample) for sample in samples]
    lasts = [visuals[-1:] for visuals in loaded]
    if not all(lasts):
        raise InputError("A sample has an `emotion`, but nothing to look at: give it a picture or clip.")
    attributes = [
        attributes_of(processor, sample, len(visuals))[-1:] for sample, visuals in zip(samples, loaded, strict=True)
    ]
    prompts = [closed_prompt(processor, "video" if last.is_video else "image", labels) for (last,) in lasts]
    visuals = [last for (last,) in lasts]
    inputs = processor.text_inputs(
        prompts,
        visuals,
        attributes=[values for (values,) in attributes],
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    inputs |= collator.visual_inputs(visuals)
    outputs = model(
        **{name: value.to(model.device) for name, value in inputs.items()}, use_cache=False, logits_to_keep=1
    )
    embeds = outputs.image_hidden_states.split([len(v.frames) * processor.tokens_per_frame for v in visuals])
    return label_scores(model, processor, prompts, lasts, list(embeds), labels, attributes)
