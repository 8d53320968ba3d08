"""What answers: an EmoLlama, one with an adapter, or any other image-text-to-text model."""

import torch
from accelerate import PartialState
from transformers import AutoProcessor

from ..closed_set.label_set import check_labels
from ..data.label_map import canonical_labels
from ..data.reading import Reading
from ..default_model import default_model
from ..load_model import load_model
from ..processing.face_finder import FaceFinder
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .chat_model_predictor import ChatModelPredictor
from .emo_llama_predictor import EmoLlamaPredictor


def load_predictor(
    model: str | None = None,
    labels: list[str] | None = None,
    device: str | torch.device | None = None,
    dtype: str = "auto",
    attributes: bool = True,
    max_new_tokens: int = 64,
    reading: Reading | None = None,
    base: str | None = None,
) -> tuple[EmoLlamaPredictor | ChatModelPredictor, EmoLlamaProcessor]:
    """
    Whatever model it is, made ready to answer the closed question.

    Args:
        model (`str`, *optional*): folder or hub id of a model or a PEFT adapter; the package's own by default.
        labels (`list[str]`, *optional*): label set; an EmoLlama's own, or the seven canonical ones, by default.
        device (`str` or `torch.device`, *optional*): this process's accelerator by default.
        dtype (`str`, *optional*, defaults to `"auto"`): as stored, or the name of a torch type.
        attributes (`bool`, *optional*), max_new_tokens (`int`, *optional*): see [`EmoLlamaPredictor`].
        reading ([`Reading`], *optional*): how pictures and clips are read, beside the processor's settings.
        base (`str`, *optional*): see [`load_model`].

    Returns:
        `tuple[Predictor, EmoLlamaProcessor]`: what answers, and the processor that reads visuals.

    Raises:
        `InputError`: see [`load_model`] and [`check_labels`].
    """
    cpu = not torch.accelerator.is_available() if device is None else torch.device(device).type == "cpu"
    state = PartialState(cpu=cpu)
    device = state.device if device is None else torch.device(device)
    network, processor = load_model(model, dtype=dtype, device=device, any_type=True, base=base)
    reader = processor if isinstance(processor, EmoLlamaProcessor) else AutoProcessor.from_pretrained(default_model())
    (reading or Reading()).set_in(reader)
    if isinstance(processor, EmoLlamaProcessor):
        labels = check_labels(labels or network.config.emotion_labels)
        return EmoLlamaPredictor(network, processor, labels, device, attributes, max_new_tokens), processor
    reader.faces = FaceFinder(settings=reader.faces.settings)  # other models look at whole pictures
    labels = check_labels(labels or canonical_labels()[:7])
    return ChatModelPredictor(network, processor, labels, max_new_tokens), reader
