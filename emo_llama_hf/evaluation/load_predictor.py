"""What answers: an EmoLlama, one with an adapter, or any other image-text-to-text model."""

import torch
from accelerate import PartialState
from peft import PeftConfig, PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import find_adapter_config_file

from ..data.label_map import canonical_labels
from ..labels import check_labels
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..registration import default_model
from .chat_model_predictor import ChatModelPredictor
from .emo_llama_predictor import EmoLlamaPredictor


def load_predictor(
    model: str | None = None,
    labels: list[str] | None = None,
    device: str | torch.device | None = None,
    dtype: str = "auto",
    attributes: bool = True,
    max_new_tokens: int = 64,
) -> tuple[EmoLlamaPredictor | ChatModelPredictor, EmoLlamaProcessor]:
    """
    Args:
        model (`str`, *optional*): folder or hub id of a model or a PEFT adapter; the package's own by default.
        labels (`list[str]`, *optional*): label set; an EmoLlama's own, or the seven canonical ones, by default.
        device (*optional*): this process's accelerator by default.
        dtype (`str`): `"auto"`, as stored, or the name of a torch type.
        attributes (`bool`), max_new_tokens (`int`): see [`EmoLlamaPredictor`].

    Returns:
        What answers, and the processor that reads visuals.
    """
    model = model or default_model()
    cpu = not torch.accelerator.is_available() if device is None else torch.device(device).type == "cpu"
    state = PartialState(cpu=cpu)
    device = state.device if device is None else torch.device(device)
    network = load_network(model, dtype).to(device).eval()
    processor = AutoProcessor.from_pretrained(model)
    if isinstance(processor, EmoLlamaProcessor):
        labels = check_labels(labels or network.config.emotion_labels)
        return EmoLlamaPredictor(network, processor, labels, device, attributes, max_new_tokens), processor
    reader = AutoProcessor.from_pretrained(default_model())
    reader.face_detector = None  # other models look at whole pictures
    labels = check_labels(labels or canonical_labels()[:7])
    return ChatModelPredictor(network, processor, labels, max_new_tokens), reader


def load_network(model: str, dtype: str = "auto"):
    """
    A model, or the merged one of a folder or hub id that holds a PEFT adapter.

    `from_pretrained` would load an adapter too, but transformers 5.17 then forgets the parts saved as a whole.
    """
    if find_adapter_config_file(model) is None:
        return AutoModelForImageTextToText.from_pretrained(model, dtype=dtype)
    base = PeftConfig.from_pretrained(model).base_model_name_or_path
    network = AutoModelForImageTextToText.from_pretrained(base, dtype=dtype)
    return PeftModel.from_pretrained(network, model).merge_and_unload()
