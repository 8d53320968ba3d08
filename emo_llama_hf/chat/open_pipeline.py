"""The pipeline of any model that `load_model` opens."""

from typing import Any

from transformers import pipeline

from ..default_model import default_model
from ..export import is_export
from ..load_model import first_accelerator, load_model, pipeline_device
from .pipeline import EmotionChatPipeline


def open_pipeline(model: str | None = None, **loading: Any) -> EmotionChatPipeline:
    """
    Open a model to ask it, on the first accelerator where no device is named; an export, which may have been made for
    CPUs, on the CPU.

    Args:
        model (`str`, *optional*): its folder or hub id; the package's own by default.
        loading (`Any`): what else [`load_model`] takes.

    Raises:
        `InputError`: see [`load_model`].
    """
    if loading.get("device_map") is None:
        anywhere = "cpu" if is_export(model or default_model()) else first_accelerator()
        loading["device"] = loading.get("device") or anywhere
    network, processor = load_model(model, **loading)
    device = pipeline_device(network)
    pipe: EmotionChatPipeline = pipeline("emotion-chat", model=network, processor=processor, device=device)
    return pipe
