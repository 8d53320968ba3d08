"""Answers of an EmoLlama, as users get them."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel, pipeline

from ..processing.face_finder import FaceFinder
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.prompts import Attributes
from ..processing.visual import Visual
from .predictor import Answer

if TYPE_CHECKING:
    from peft import PeftModel


class EmoLlamaPredictor:
    """
    The `emotion-chat` pipeline asked the closed question: its answer, and the probability of each label.

    Args:
        model ([`EmoLlamaForConditionalGeneration`]): or a PEFT model of one.
        processor ([`EmoLlamaProcessor`])
        labels (`list[str]`): the label set where data have none of their own.
        device (`str`, `int` or `torch.device`, *optional*): as of `pipeline`.
        attributes (`bool`, *optional*, defaults to `True`):
            Whether perceived age, gender and race may be written into the prompt.
        max_new_tokens (`int`, *optional*, defaults to 64): longest answer.
    """

    def __init__(
        self,
        model: "PreTrainedModel | PeftModel",
        processor: EmoLlamaProcessor,
        labels: list[str],
        device: str | int | torch.device | None = None,
        attributes: bool = True,
        max_new_tokens: int = 64,
    ) -> None:
        if processor.faces.settings.face_choice == "all":  # a sample has one label: one person is asked about
            processor = copy(processor)
            one = replace(processor.faces.settings, face_choice="largest")
            processor.faces = FaceFinder(processor.faces.detector, one)
        self.pipeline = pipeline("emotion-chat", model=model, processor=processor, device=device)
        self.device: torch.device = self.pipeline.device
        self.labels = labels
        self.attributes = attributes
        self.settings: dict[str, Any] = {"max_new_tokens": max_new_tokens, "do_sample": False}
        self.settings |= {"on_error": "return", "return_perceived": True}

    def __call__(
        self, visuals: list[Visual], attributes: Sequence[Attributes | None], labels: list[str] | None = None
    ) -> list[Answer]:
        """
        Ask the closed question about each.

        Args:
            visuals (`list[Visual]`): B pictures and clips.
            attributes (`list[dict | None]`): what is known of the person in each, instead of what is perceived.
            labels (`list[str]`, *optional*): the label set of this question; the predictor's by default.

        Returns:
            `list[Answer]`, one for each visual.
        """
        inputs: list[dict[str, Any]] = [
            {"video" if visual.is_video else "image": visual, **({"attributes": known} if known else {})}
            for visual, known in zip(visuals, attributes, strict=True)
        ]
        if not self.attributes:
            inputs = [{**row, "attributes": False} for row in inputs]
        results = self.pipeline(inputs, batch_size=len(inputs), labels=labels or self.labels, **self.settings)
        return [
            result
            if "error" in result
            else {
                "answer": result["generated_text"],
                "scores": result["scores"],
                "perceived": {name: value["label"] for name, value in result["perceived"].items()},
            }
            for result in results
        ]
