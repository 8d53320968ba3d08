"""The one way to open a model: a folder, a hub id, an adapter or an export, on any device, in any type, quantized."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.utils import is_bitsandbytes_available

from .adapter_base import find_base, quiet_peft
from .checkpoint_checks import broken_file, check_fit, check_size, is_failure
from .default_model import default_model
from .export import ExportedEmoLlama, is_export
from .input_error import InputError
from .missing_package import MissingPackageError
from .modeling.configuration_emo_llama import EmoLlamaConfig
from .processing.loading_report import loading_problem
from .processing.processing_emo_llama import EmoLlamaProcessor

# Modules of an EmoLlama that are small, or learn, and so are never quantized. Names are matched from their beginning.
PARTS = ("vision_model", "qformer", "visual_tokens", "face_prior", "face_info_mining")
NEVER_QUANTIZED = [*(f"model.{part}" for part in PARTS), "lm_head"]


def load_model(
    name: str | None = None,
    *,
    dtype: str | torch.dtype = "auto",
    device: str | torch.device | None = None,
    device_map: str | dict[str, Any] | None = None,
    load_in_4bit: bool = False,
    load_in_8bit: bool = False,
    any_type: bool = False,
    base: str | None = None,
    trust_export: bool = False,
) -> tuple[PreTrainedModel, ProcessorMixin]:
    """
    A model, ready to answer, and its processor.

    Args:
        name (`str`, *optional*):
            Folder or hub id of a model, or of a PEFT adapter, which is merged into its base; or folder of an export;
            the package's own checkpoint by default.
        dtype (`str` or `torch.dtype`, *optional*, defaults to `"auto"`): of the weights; `"auto"` is as stored.
        device (`str` or `torch.device`, *optional*): where the model goes; it stays on the CPU by default.
        device_map (`str` or `dict`, *optional*): instead of `device`, how it is spread over devices: `"auto"`, say.
        load_in_4bit, load_in_8bit (`bool`, *optional*, defaults to `False`):
            Quantize the language model while it is loaded, with bitsandbytes: NF4 with double quantization as in QLoRA
            (arXiv 2305.14314), or LLM.int8 (arXiv 2208.07339). All else stays whole. It computes in `dtype`, in
            bfloat16 with `"auto"`. An adapter stays beside such weights, since merging would round it away.
        any_type (`bool`, *optional*, defaults to `False`):
            Whether another image-text-to-text model than an EmoLlama will do.
        base (`str`, *optional*): folder or hub id of an adapter's base; by default the one that it names.
        trust_export (`bool`, *optional*, defaults to `False`):
            Open an export; its graphs are programs, so say so only of those whose makers you would let run code.

    Returns:
        `tuple[PreTrainedModel, ProcessorMixin]`: the model, in evaluation mode, and its processor; of an export an
        [`ExportedEmoLlama`].

    Raises:
        `InputError`:
            There is no such model, it cannot be read, is of another type, is an export that is not trusted, its parts
            do not belong together, or the device cannot be used.
        `MissingPackageError`: quantization without bitsandbytes, an export without what runs it.
    """
    name = name or default_model()
    if device is not None and device_map is not None:
        raise InputError("`device` and `device_map` both say where the model goes: give one of them.")
    if device is not None and (load_in_4bit or load_in_8bit):  # quantized weights cannot be moved later
        move(torch.nn.Linear(1, 1), device)  # says whether there is such a device
        device, device_map = None, {"": device}
    with _readable(name):
        if is_export(name):
            if not trust_export:
                raise InputError(
                    f"`model`: {name!r} is an export, whose graphs are programs: set `trust_export` if you would let "
                    "whoever made it run code."
                )
            fixed = {"dtype": dtype != "auto", "device_map": device_map, "base": base}
            _refuse(name, fixed | {"load_in_4bit": load_in_4bit, "load_in_8bit": load_in_8bit})
            model = ExportedEmoLlama.open(name)
        else:
            model = load_weights(
                name,
                dtype=dtype,
                device_map=device_map,
                load_in_4bit=load_in_4bit,
                load_in_8bit=load_in_8bit,
                any_type=any_type,
                base=base,
            )
        processor = load_processor(name, any_type=any_type)
        if isinstance(processor, EmoLlamaProcessor):
            check_fit(model, processor)
    if device is not None:
        move(model, device)
    return model.eval(), processor


def load_processor(name: str | None = None, *, any_type: bool = False) -> ProcessorMixin:
    """
    The processor of [`load_model`] alone.

    Args:
        name (`str`, *optional*), any_type (`bool`, *optional*, defaults to `False`): see [`load_model`].

    Raises:
        `InputError`: there is none, it cannot be read, or is of another type.
    """
    name = name or default_model()
    with _readable(name):
        processor: ProcessorMixin = AutoProcessor.from_pretrained(name, trust_remote_code=_trust(any_type))
    if not any_type and not isinstance(processor, EmoLlamaProcessor):
        raise InputError(f"`model`: the processor of {name!r} is a {type(processor).__name__}: give an EmoLlama.")
    return processor


def load_config(name: str | None = None, *, base: str | None = None) -> PreTrainedConfig:
    """
    The configuration of an EmoLlama, or of the one that an adapter is for.

    Args:
        name (`str`, *optional*), base (`str`, *optional*): see [`load_model`].

    Raises:
        `InputError`: there is no such model, it cannot be read or is of another type.
    """
    name = name or default_model()
    with _readable(name):
        return _checked(name, _config(name, base, trust_remote_code=_trust(any_type=False)))


def move(module: torch.nn.Module, device: str | torch.device) -> None:
    """
    Move a model, or a part of one, to a device.

    Args:
        module (`torch.nn.Module`)
        device (`str` or `torch.device`)

    Raises:
        `InputError`: there is no such device.
    """
    try:
        module.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
        raise InputError(f"`device`: {str(device)!r} cannot be used: {error}") from error


def first_accelerator() -> str:
    """The device to work on where none is named: the first accelerator, or the CPU."""
    return str(torch.accelerator.current_accelerator(check_available=True) or "cpu")


def load_weights(
    name: str,
    *,
    config: PreTrainedConfig | None = None,
    load_in_4bit: bool = False,
    load_in_8bit: bool = False,
    any_type: bool = False,
    base: str | None = None,
    **kwargs: Any,
) -> PreTrainedModel:
    """
    The model of [`load_model`] alone, raising what transformers raises, and `InputError` for weights that are not
    those of its configuration.

    Args:
        name (`str`), load_in_4bit, load_in_8bit, any_type (`bool`, *optional*, default to `False`),
        base (`str`, *optional*): see [`load_model`].
        config (`PreTrainedConfig`, *optional*): of the model, or of an adapter's base.
        kwargs (`Any`, *optional*): of `from_pretrained`, such as `dtype` and `token`.
    """
    if load_in_4bit or load_in_8bit:
        kwargs["quantization_config"] = _quantization(load_in_4bit, load_in_8bit, kwargs.get("dtype") or "auto")
        if kwargs.get("device_map") is None:
            kwargs["device_map"] = {"": first_accelerator()}
    kwargs.setdefault("trust_remote_code", _trust(any_type))
    found = find_base(name, base)
    if found is not None and found.revision is not None:
        kwargs["revision"] = found.revision
    config = config or _config(name, base, trust_remote_code=kwargs["trust_remote_code"])
    if not any_type:
        _checked(name, config)
    whole = name if found is None else found.name
    if isinstance(config, EmoLlamaConfig):
        kwargs["ignore_mismatched_sizes"] = True  # they are in the report, and refused with all others
        if os.path.isdir(whole):
            check_size(whole, config)
    with nullcontext(name) if found is None else found.alone() as source:
        model, report = AutoModelForImageTextToText.from_pretrained(
            source, config=config, output_loading_info=True, **kwargs
        )
    if load_in_4bit:
        _keep_gradients(model)
    model.name_or_path = whole
    problem = loading_problem(report) if isinstance(config, EmoLlamaConfig) else None
    if problem is not None:
        raise InputError(f"`model`: {whole!r} cannot be loaded: {problem}.")
    if found is None:
        return model
    from peft import PeftModel  # takes longer to import than all that is here

    with quiet_peft():
        adapted = PeftModel.from_pretrained(model, name)
    # Merging into quantized weights would round the adapter away.
    return adapted.get_base_model() if is_quantized(model) else adapted.merge_and_unload()


def is_quantized(model: PreTrainedModel) -> bool:
    """
    Whether weights of a model are in 4 or 8 bits.

    Args:
        model (`PreTrainedModel`)
    """
    return bool(getattr(model, "is_quantized", False))


def pipeline_device(model: PreTrainedModel) -> torch.device | None:
    """
    The `device` to give to `pipeline` with a model of [`load_model`]: where it is; `None` where it is spread.

    Args:
        model (`PreTrainedModel`)
    """
    return None if hasattr(model, "hf_device_map") else model.device


def _config(name: str, base: str | None, **kwargs: Any) -> PreTrainedConfig:
    """The configuration of a model, or of an adapter's base."""
    found = find_base(name, base)
    if found is None:
        return AutoConfig.from_pretrained(name, **kwargs)
    return AutoConfig.from_pretrained(found.name, revision=found.revision, **kwargs)


def _checked(name: str, config: PreTrainedConfig) -> PreTrainedConfig:
    if not isinstance(config, EmoLlamaConfig):
        raise InputError(
            f"`model`: {name!r} is a model of type {config.model_type}, not {EmoLlamaConfig.model_type}: "
            "give an EmoLlama."
        )
    return config


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """What libraries raise about a model that is missing or damaged, all kinds of errors, becomes an `InputError`."""
    try:
        yield
    except (InputError, MissingPackageError, MemoryError, torch.OutOfMemoryError):
        raise
    except OSError as error:
        raise InputError(f"`model`: {name!r} cannot be loaded: {error}") from error
    except BaseException as error:
        if not is_failure(error):
            raise
        kind = "" if isinstance(error, (ValueError, RuntimeError, SafetensorError)) else f"{type(error).__name__}: "
        raise InputError(f"`model`: {name!r} cannot be loaded{broken_file(name)}: {kind}{error}") from error


def _refuse(export: str, choices: dict[str, Any]) -> None:
    """Refuse choices that were made when a model was exported."""
    given = ", ".join(f"`{name}`" for name, value in choices.items() if value)
    if given:
        raise InputError(f"`model`: {export!r} is an export, whose weights stay as they are: leave {given} out.")


def _trust(any_type: bool) -> bool | None:
    """Whether a folder's own code may run: an EmoLlama's never, and nobody is asked; transformers asks for others."""
    return None if any_type else False


def _keep_gradients(model: PreTrainedModel) -> None:
    """
    Keep 4-bit weights as they were loaded. On CPUs with AVX512-BF16, bitsandbytes' first evaluation packs them for a
    kernel without gradients: what is trained after it would learn from none, and sides must be whole blocks.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _quantization(load_in_4bit: bool, load_in_8bit: bool, dtype: str | torch.dtype) -> BitsAndBytesConfig:
    if load_in_4bit and load_in_8bit:
        raise InputError("`load_in_4bit` and `load_in_8bit` were both given: choose one.")
    if not is_bitsandbytes_available():
        name = "load_in_4bit" if load_in_4bit else "load_in_8bit"
        raise MissingPackageError(f"`{name}` needs bitsandbytes: pip install 'emo_llama_hf[quantization]'.")
    if load_in_8bit:  # it says at each multiplication that LLM.int8 computes in float16
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    return BitsAndBytesConfig(
        load_in_4bit=load_in_4bit,
        load_in_8bit=load_in_8bit,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if dtype == "auto" else dtype,
        llm_int8_skip_modules=NEVER_QUANTIZED,
    )
