"""An answer of the pipeline while it is being written."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

from ..chat.pipeline import EmotionChatPipeline
from ..chat_message import ChatMessage


class _Left(StoppingCriteria):
    """Ends an answer that nobody waits for any more."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return torch.full((len(input_ids),), self.event.is_set(), dtype=torch.bool, device=input_ids.device)


def streamed_answer(pipe: EmotionChatPipeline, messages: list[ChatMessage], **settings: Any) -> Iterator[str]:
    """
    The answer to a chat so far, each time that more of it is written, and at last the whole. Whoever stops asking for
    more stops the model.

    Args:
        pipe ([`EmotionChatPipeline`]): whose chat has one person to answer about.
        messages (`list[dict]`): the chat.
        settings: of the pipeline.

    Raises:
        Whatever the pipeline raises.
    """
    streamer = TextIteratorStreamer(pipe.processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
    left = _Left()

    def answer() -> Any:
        try:
            return pipe(messages, streamer=streamer, stopping_criteria=StoppingCriteriaList([left]), **settings)
        finally:
            streamer.end()  # after an error too, for whoever waits

    with ThreadPoolExecutor(1, "emo-llama-answer") as pool:
        future = pool.submit(answer)
        try:
            text = ""
            for piece in streamer:
                text += piece
                if text.strip():
                    yield text.strip()
            yield future.result()["generated_text"]
        finally:
            left.event.set()
