"""What answers: an EmoLlama, one with an adapter, any other image-text-to-text model, or one that only writes."""

from typing import Any

import torch
from accelerate import PartialState

from ..closed_set.label_set import check_labels
from ..data.label_map import canonical_labels
from ..data.reading import Reading
from ..input_error import InputError
from ..load_model import load_model, load_processor, pipeline_device
from ..processing.face_finder import FaceFinder
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..writers import Patience
from .chat_model_predictor import ChatModelPredictor
from .emo_llama_predictor import EmoLlamaPredictor
from .writer_predictor import WriterPredictor


def load_predictor(
    model: str | None = None,
    labels: list[str] | None = None,
    device: str | torch.device | None = None,
    device_map: str | dict[str, Any] | None = None,
    attributes: bool = True,
    max_new_tokens: int = 64,
    reading: Reading | None = None,
    **loading: Any,
) -> tuple[EmoLlamaPredictor | ChatModelPredictor, EmoLlamaProcessor]:
    """
    Whatever model it is, made ready to answer the closed question.

    Args:
        model (`str`, *optional*): folder or hub id of a model or a PEFT adapter; the package's own by default.
        labels (`list[str]`, *optional*): label set; an EmoLlama's own, or the seven canonical ones, by default.
        device (`str` or `torch.device`, *optional*): this process's accelerator by default.
        device_map (`str` or `dict`, *optional*): instead of `device`, how one process spreads it over devices.
        attributes (`bool`, *optional*), max_new_tokens (`int`, *optional*): see [`EmoLlamaPredictor`].
        reading ([`Reading`], *optional*): how pictures and clips are read, beside the processor's settings.
        loading (`Any`, *optional*): what else [`load_model`] takes: `base`, `dtype`, `load_in_4bit`, `load_in_8bit`.

    Returns:
        `tuple[Predictor, EmoLlamaProcessor]`: what answers, and the processor that reads visuals.

    Raises:
        `InputError`: see [`load_model`] and [`check_labels`]; or several processes would share their devices.
    """
    cpu = not torch.accelerator.is_available() if device is None else torch.device(device).type == "cpu"
    state = PartialState(cpu=cpu)
    if device_map is not None and state.num_processes > 1:
        raise InputError(
            "`device_map` is for one process: leave it out, and each has the model on a device of its own."
        )
    if device is None and device_map is None:
        device = state.device
    network, processor = load_model(model, device=device, device_map=device_map, any_type=True, **loading)
    if isinstance(processor, EmoLlamaProcessor):
        (reading or Reading()).set_in(processor)
        labels = check_labels(labels or network.config.emotion_labels)
        at = pipeline_device(network)
        return EmoLlamaPredictor(network, processor, labels, at, attributes, max_new_tokens), processor
    labels = check_labels(labels or canonical_labels()[:7])
    return ChatModelPredictor(network, processor, labels, max_new_tokens), _reader(reading)


def writer_predictor(
    patience: Patience, labels: list[str] | None = None, reading: Reading | None = None
) -> tuple[WriterPredictor, EmoLlamaProcessor]:
    """
    A model that only writes, made ready to answer the closed question.

    Args:
        patience ([`Patience`]): asks it.
        labels (`list[str]`, *optional*), reading ([`Reading`], *optional*): see [`load_predictor`], which returns the
            same and raises the same of them.
    """
    return WriterPredictor(patience, check_labels(labels or canonical_labels()[:7])), _reader(reading)


def _reader(reading: Reading | None) -> EmoLlamaProcessor:
    """What reads visuals for other models, which look at whole pictures."""
    reader: EmoLlamaProcessor = load_processor()
    (reading or Reading()).set_in(reader)
    reader.faces = FaceFinder(settings=reader.faces.settings)
    return reader
