"""Questions about samples, to be answered by the model itself."""

from typing import Any

from datasets import Dataset

from ...chat_message import ChatMessage
from ...data.sample import Sample
from ...data.samples import visual_parts
from ...input_error import InputError
from ..emotion_dataset import EmotionDataset


class PromptDataset(EmotionDataset):
    """
    As [`EmotionDataset`], of which the chats before their last answers are used.

    Raises:
        `InputError`: a sample shows nothing, asks nothing or has no label set.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for index, (sample, labels) in enumerate(zip(self.samples, self.label_sets, strict=True)):
            if not visual_parts(sample["messages"]) or labels is None or not self.asked(index)["messages"]:
                raise InputError(f"Sample {index} must show something, ask something and have a label set.")

    def asked(self, index: int) -> Sample:
        """The sample without its last answer and what follows it; no messages where nothing is asked."""
        sample = self.samples[index]
        messages = sample["messages"]
        answers = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
        before = messages[: answers[-1]] if answers else messages
        if not before or before[-1]["role"] != "user":
            return {"messages": []}
        return {**sample, "messages": before}

    def table(self) -> Dataset:
        """
        What TRL reads and rewards ask for: `prompt`, the question alone, `emotion`, `emotion_labels`, and `index`, a
        sample's place, by which the trainer finds the whole chat and what it shows.
        """
        return Dataset.from_list(
            [
                {
                    "prompt": [{"role": "user", "content": _said(self.asked(index)["messages"][-1])}],
                    "index": index,
                    "emotion": sample.get("emotion"),
                    "emotion_labels": list(labels or ()),
                }
                for index, (sample, labels) in enumerate(zip(self.samples, self.label_sets, strict=True))
            ]
        )


def _said(message: ChatMessage) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")
