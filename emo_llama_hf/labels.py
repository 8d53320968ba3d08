"""Probability of each label of a closed set, from the language model's likelihood of its words."""

import torch

from .processing.processing_emo_llama import EmoLlamaProcessor
from .processing.visual import Visual


def check_labels(labels: list[str]) -> list[str]:
    """The labels, stripped. Raises `ValueError` when there is none, one is empty or one occurs twice."""
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"`labels` must be a list of words, got {labels!r}.")
    labels = [label.strip() for label in labels]
    if not labels or not all(labels):
        raise ValueError(f"`labels` must name at least one label and none may be empty, got {labels!r}.")
    if len(set(labels)) < len(labels):
        raise ValueError(f"`labels` has the same label more than once: {labels!r}.")
    return labels


@torch.inference_mode()
def label_scores(
    model,
    processor: EmoLlamaProcessor,
    prompts: list[str],
    visuals: list[list[Visual]],
    visual_embeds: list[torch.Tensor],
    labels: list[str],
    attributes: list[list[dict | None]],
) -> torch.Tensor:
    """
    How probable the model finds each label as the whole answer.

    Args:
        model ([`EmoLlamaForConditionalGeneration`])
        processor ([`EmoLlamaProcessor`])
        prompts (`list[str]`): B rendered prompts that end where the answer begins.
        visuals (`list[list[Visual]]`): the visuals of each prompt.
        visual_embeds (`list[torch.Tensor]`): their visual tokens, (tokens, E) a prompt.
        labels (`list[str]`): L labels.
        attributes (`list[list[dict | None]]`): perceived attributes of each visual, written into the prompt.

    Returns:
        `torch.FloatTensor` of shape `(B, L)`, float32 on the CPU: each row sums to 1.
    """
    ends = [" " + processor.defuse(label) + processor.tokenizer.eos_token for label in labels]

    def tokens(endings: list[str]) -> dict:
        return processor.text_inputs(
            [prompt + ending for prompt in prompts for ending in endings],
            [visual for row in visuals for _ in endings for visual in row],
            attributes=[values for row in attributes for _ in endings for values in row],
            return_tensors="pt",
            padding=True,
            padding_side="right",
        )

    starts = tokens([""])["attention_mask"].sum(1).repeat_interleave(len(labels))  # where each answer begins
    answers = tokens(ends)
    input_ids, mask = answers["input_ids"], answers["attention_mask"]
    embeds = [part for part in visual_embeds for _ in labels]
    logits = model(
        input_ids=input_ids.to(model.device),
        attention_mask=mask.to(model.device),
        visual_embeds=torch.cat(embeds) if any(visuals) else None,
        use_cache=False,
    ).logits
    logp = logits[:, :-1].float().log_softmax(-1).cpu()
    likelihood = logp.gather(-1, input_ids[:, 1:].clamp(max=logp.shape[-1] - 1).unsqueeze(-1)).squeeze(-1)
    positions = torch.arange(1, input_ids.shape[1])
    answered = (positions >= starts[:, None]) & mask[:, 1:].bool()
    return (likelihood * answered).sum(1).unflatten(0, (len(prompts), len(labels))).softmax(-1)
