"""Texts by a model on this machine: any image-text-to-text model of transformers, an EmoLlama too."""

import threading
from typing import Any

import torch
from transformers import pipeline

from ..input_error import InputError
from ..load_model import first_accelerator, load_model
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .writer import Reply, Request


class TransformersWriter:
    """
    A model of `AutoModelForImageTextToText` writes, one text at a time; nothing is billed. Frames of a clip are shown
    to an EmoLlama as a clip, to others as one picture after the other, since many models know no videos.

    Args:
        model (`str`): folder or hub id, see [`load_model`].
        device (`str` or `torch.device`, *optional*): where it computes; the first accelerator by default.
        temperature (`float`, *optional*, defaults to 0.9): of the sampling; 0 takes the likeliest words.
        max_new_tokens (`int`, *optional*, defaults to 256): longest text.

    Raises:
        `InputError`: see [`load_model`]; or its processor has no chat template.
    """

    def __init__(
        self,
        model: str,
        device: str | torch.device | None = None,
        temperature: float = 0.9,
        max_new_tokens: int = 256,
    ) -> None:
        network, processor = load_model(model, device=device or first_accelerator(), any_type=True)
        if getattr(processor, "chat_template", None) is None:
            raise InputError(f"`model`: {model!r} has no chat template, so there is no telling how to ask it.")
        self.name = f"transformers:{model}"
        self._shows_clips = isinstance(processor, EmoLlamaProcessor)
        self._pipeline = pipeline("image-text-to-text", model=network, processor=processor, device=network.device)
        self._settings: dict[str, Any] = {"max_new_tokens": max_new_tokens, "do_sample": temperature > 0}
        if temperature > 0:
            self._settings["temperature"] = temperature
        self._lock = threading.Lock()

    def write(self, request: Request) -> Reply:
        """
        Write once, see [`Writer.write`]; a `schema` is not enforced.

        Args:
            request ([`Request`])
        """
        shown: list[dict[str, Any]] = [{"type": "image", "image": frame} for frame in request.frames]
        if request.is_video and self._shows_clips:
            shown = [{"type": "video", "video": request.frames}]
        message = {"role": "user", "content": [*shown, {"type": "text", "text": request.prompt}]}
        with self._lock, torch.random.fork_rng():
            torch.manual_seed(request.seed)
            (result,) = self._pipeline(text=[message], return_full_text=False, generate_kwargs=self._settings)
        return Reply(result["generated_text"].strip())
