"""Closed questions to a model while it trains: only its `forward` is called, so it may be wrapped or sharded."""

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from ..chat_message import VisualKind
from ..closed_set.label_scores import label_scores
from ..closed_set.question import closed_prompt, closed_question
from ..data.sample import Sample
from ..data.samples import last_visual
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
    shown = [last_visual(processor, sample) for sample in samples]
    visuals, attributes = [visual for visual, _ in shown], [values for _, values in shown]
    kinds: list[VisualKind] = ["video" if visual.is_video else "image" for visual in visuals]
    prompts = [closed_prompt(processor, kind, labels) for kind in kinds]
    inputs = processor.text_inputs(
        prompts,
        visuals,
        questions=[closed_question(kind, labels, processor.prompt.closed_question) for kind in kinds],
        attributes=attributes,
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    inputs |= collator.visual_inputs(visuals)
    outputs = model(
        **{name: value.to(model.device) for name, value in inputs.items()}, use_cache=False, logits_to_keep=1
    )
    embeds = outputs.image_hidden_states.split([len(v.frames) * processor.tokens_per_frame for v in visuals])
    rows = [[visual] for visual in visuals]
    known = [[values] for values in attributes]
    return label_scores(model, processor, prompts, rows, list(embeds), labels, known).scores
