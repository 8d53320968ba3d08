"""The options that say which model answers, and where; shared by every command that asks one."""

from dataclasses import dataclass

from transformers import pipeline
from transformers.utils import logging

from ..chat.pipeline import EmotionChatPipeline
from ..load_model import first_accelerator, load_model
from .options import Base, Device, Dtype, Model


@dataclass(frozen=True)
class ModelOptions:
    """--model, --base, --device and --dtype."""

    model: Model = None
    base: Base = None
    device: Device = None
    dtype: Dtype = "auto"

    def pipeline(self) -> EmotionChatPipeline:
        """
        The pipeline that answers.

        Raises:
            `InputError`: see [`load_model`].
        """
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        device = self.device or first_accelerator()
        model, processor = load_model(self.model, base=self.base, dtype=self.dtype, device=device)
        pipe: EmotionChatPipeline = pipeline("emotion-chat", model=model, processor=processor, device=model.device)
        return pipe
