"""Answers of any image-text-to-text model of transformers, zero-shot."""

from collections.abc import Sequence
from copy import copy, deepcopy

import torch
from transformers import BatchFeature, PreTrainedModel, ProcessorMixin

from ..chat_message import VisualKind
from ..closed_set import check_finite, closed_message
from ..input_error import InputError
from ..processing.prompts import Attributes
from ..processing.visual import Visual
from .predictor import Answer


class ChatModelPredictor:
    """
    Asks a model of `AutoModelForImageTextToText` the closed question in its own chat format. A clip is shown as its
    sampled frames, one picture after the other, since many models know no videos.

    Args:
        model (`PreTrainedModel`): on its device.
        processor (`ProcessorMixin`): the model's, with a chat template.
        labels (`list[str]`): the label set where data have none of their own.
        max_new_tokens (`int`, *optional*, defaults to 64): longest answer.

    Raises:
        `InputError`: the processor has no chat template.
    """

    def __init__(
        self, model: PreTrainedModel, processor: ProcessorMixin, labels: list[str], max_new_tokens: int = 64
    ) -> None:
        if getattr(processor, "chat_template", None) is None:
            raise InputError(
                "`processor` has no `chat_template`, so there is no telling how the model wants to be asked: set one."
            )
        if processor.tokenizer.pad_token is None:
            processor = copy(processor)
            processor.tokenizer = deepcopy(processor.tokenizer)
            processor.tokenizer.pad_token = processor.tokenizer.eos_token
        self.model = model.eval()
        self.device: torch.device = model.device
        self.processor = processor
        self.labels = labels
        self.max_new_tokens = max_new_tokens

    @torch.inference_mode()
    def __call__(
        self, visuals: list[Visual], attributes: Sequence[Attributes | None], labels: list[str] | None = None
    ) -> list[Answer]:
        """
        Ask the closed question about each.

        Args:
            visuals (`list[Visual]`): B pictures and clips.
            attributes (`list[dict | None]`): not asked about: other models know no attribute prompt.
            labels (`list[str]`, *optional*): the label set of this question; the predictor's by default.

        Returns:
            `list[Answer]`, one for each visual; nothing is perceived. One whose scores are no numbers is an error.
        """
        labels = labels or self.labels
        prompts = [self.prompt(visual, labels) for visual in visuals]
        inputs = self._inputs(prompts, visuals, padding_side="left")
        generated = self.model.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        answers = self.processor.batch_decode(generated[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        results: list[Answer] = []
        for answer, prompt, visual in zip(answers, prompts, visuals, strict=True):
            try:
                scores = self.scores(prompt, visual, labels)
                results.append({"answer": answer.strip(), "scores": scores, "perceived": {}})
            except FloatingPointError as error:
                results.append({"error": str(error)})
        return results

    def prompt(self, visual: Visual, labels: list[str]) -> str:
        """
        The closed question in the model's chat format, up to where the answer begins.

        Args:
            visual ([`Visual`]): asked about.
            labels (`list[str]`): the label set.
        """
        kind: VisualKind = "video" if visual.is_video else "image"
        message = closed_message(kind, labels, visuals=len(visual.frames), shown_as="image")
        prompt: str = self.processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        return prompt

    def scores(self, prompt: str, visual: Visual, labels: list[str]) -> dict[str, float]:
        """
        Probability of each label as the whole answer.

        Args:
            prompt (`str`): from [`~ChatModelPredictor.prompt`].
            visual ([`Visual`]): of the prompt.
            labels (`list[str]`): the label set.

        Raises:
            `FloatingPointError`: a score is no number.
        """
        space = "" if prompt[-1:].isspace() else " "
        end = self.processor.tokenizer.eos_token or ""
        texts = [prompt + space + label + end for label in labels]
        start = self._answer_start(prompt, texts, visual)
        inputs = self._inputs(texts, [visual] * len(texts), padding_side="right")
        logits = self.model(**inputs).logits[:, :-1].float()
        answer = inputs["input_ids"][:, 1:].clamp(max=logits.shape[-1] - 1)  # placeholders may lie beyond
        likelihood = logits.log_softmax(-1).gather(-1, answer.unsqueeze(-1)).squeeze(-1)
        answered = inputs["attention_mask"][:, 1:].bool()
        answered &= torch.arange(1, answered.shape[1] + 1, device=answered.device) >= start
        # Not times the mask: elsewhere a model may give a token no chance at all, and 0 times that is no number.
        probabilities = likelihood.masked_fill(~answered, 0).sum(1).softmax(-1).tolist()
        check_finite(probabilities, self.model.dtype)
        return dict(zip(labels, probabilities, strict=True))

    def _answer_start(self, prompt: str, texts: list[str], visual: Visual) -> int:
        """How many tokens of the texts are the prompt's: the last may have grown together with the answer."""
        rows = [self._inputs([text], [visual], "right")["input_ids"][0].tolist() for text in (prompt, *texts)]
        return next((at for at, tokens in enumerate(zip(*rows, strict=False)) if len(set(tokens)) > 1), len(rows[0]))

    def _inputs(self, texts: list[str], visuals: list[Visual], padding_side: str) -> BatchFeature:
        tokenizer = self.processor.tokenizer
        inputs = self.processor(
            images=[visual.frames for visual in visuals],
            text=list(texts),
            padding=True,
            padding_side=padding_side,
            return_tensors="pt",
            # A chat template writes the tokens that begin a text itself.
            add_special_tokens=not (tokenizer.bos_token and texts[0].startswith(tokenizer.bos_token)),
        )
        return inputs.to(self.model.device, self.model.dtype)
