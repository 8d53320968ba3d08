"""The model that a fine-tuning run starts from."""

import torch
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig
from transformers.utils import is_bitsandbytes_available

from .trainable_parts import PARTS


def load_base(model: str, dtype: str = "auto", load_in_4bit: bool = False, device: torch.device | None = None):
    """
    Args:
        model (`str`): folder or hub id.
        dtype (`str`): `"auto"`, as stored, or the name of a torch type.
        load_in_4bit (`bool`): quantize the language model (NF4, QLoRA's, arXiv 2305.14314) while it is loaded.
        device (`torch.device`, *optional*): where 4-bit weights go, which cannot be moved later.

    Raises:
        `ValueError`: 4-bit weights without a CUDA device.
        `ImportError`: 4-bit weights without bitsandbytes.
    """
    if not load_in_4bit:
        return AutoModelForImageTextToText.from_pretrained(model, dtype=dtype)
    if not torch.cuda.is_available():
        raise ValueError("`load_in_4bit` needs a CUDA device, and there is none: leave it out.")
    if not is_bitsandbytes_available():
        raise ImportError("`load_in_4bit` needs bitsandbytes: `pip install bitsandbytes`.")
    kept = [module for part, module in PARTS.items() if part != "language_model"]
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=[*kept, "lm_head"],
    )
    return AutoModelForImageTextToText.from_pretrained(
        model, dtype=dtype, quantization_config=quantization, device_map={"": device or "cuda"}
    )
