"""The options that say which model answers, and where; shared by every command that asks one."""

from dataclasses import dataclass
from typing import Any

from transformers.utils import logging

from ..chat.open_pipeline import open_pipeline
from ..chat.pipeline import EmotionChatPipeline
from .options import Base, Device, DeviceMap, Dtype, LoadIn4Bit, LoadIn8Bit, Model, TrustExport


@dataclass(frozen=True)
class ModelOptions:
    """--model, and how it is opened."""

    model: Model = None
    base: Base = None
    device: Device = None
    dtype: Dtype = "auto"
    device_map: DeviceMap = None
    load_in_4bit: LoadIn4Bit = False
    load_in_8bit: LoadIn8Bit = False
    trust_export: TrustExport = False

    @property
    def loading(self) -> dict[str, Any]:
        """What [`load_model`] is told beside the model's name."""
        return {name: value for name, value in vars(self).items() if name != "model"}

    def pipeline(self) -> EmotionChatPipeline:
        """
        The pipeline that answers.

        Raises:
            `InputError`: see [`load_model`].
        """
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        return open_pipeline(self.model, **self.loading)
