"""Answers of an EmoLlama, as users get them."""

from copy import copy
from dataclasses import replace

from transformers import pipeline

from ..processing.face_finder import FaceFinder
from ..processing.visual import Visual


class EmoLlamaPredictor:
    """
    The `emotion-chat` pipeline asked the closed question: its answer, and the probability of each label.

    Args:
        model: an EmoLlama, or a PEFT model of one.
        processor ([`EmoLlamaProcessor`])
        labels (`list[str]`): the label set.
        device (*optional*): as of `pipeline`.
        attributes (`bool`): whether perceived age, gender and race may be written into the prompt.
        max_new_tokens (`int`): longest answer.
    """

    def __init__(self, model, processor, labels: list[str], device=None, attributes: bool = True, max_new_tokens=64):
        if processor.faces.settings.face_choice == "all":  # a sample has one label: one person is asked about
            processor = copy(processor)
            one = replace(processor.faces.settings, face_choice="largest")
            processor.faces = FaceFinder(processor.faces.detector, one)
        self.pipeline = pipeline("emotion-chat", model=model, processor=processor, device=device)
        self.device = self.pipeline.device
        self.labels = labels
        self.attributes = attributes
        self.settings = {"labels": labels, "max_new_tokens": max_new_tokens, "do_sample": False}
        self.settings |= {"on_error": "return", "return_perceived": True}

    def __call__(self, visuals: list[Visual], attributes: list[dict | None]) -> list[dict]:
        """
        Args:
            visuals (`list[Visual]`): B pictures and clips.
            attributes (`list[dict | None]`): what is known of the person in each, instead of what is perceived.

        Returns:
            `list[dict]`: for each `answer`, `scores` and `perceived`, or an `error`.
        """
        inputs = [
            {"video" if visual.is_video else "image": visual, **({"attributes": known} if known else {})}
            for visual, known in zip(visuals, attributes, strict=True)
        ]
        if not self.attributes:
            inputs = [{**row, "attributes": False} for row in inputs]
        results = self.pipeline(inputs, batch_size=len(inputs), **self.settings)
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
