"""A model written as graphs, each of which was tried before."""

import copy
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from tqdm import tqdm
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from ..input_error import InputError
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..modeling.placeholder_row import PLACEHOLDER_LOGIT
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .card import export_card
from .exported_emo_llama import ExportedEmoLlama
from .formats import FORMATS, check_packages, no_telemetry, run_settings
from .graphs import CACHE, TRACED, TRIED, Inputs, dynamic_shapes, inputs_of, modules_of

if TYPE_CHECKING:
    from transformers.exporters import ExportedComponent

# How far a graph may be from the model, as a part of the largest number that comes out: by the type of the weights.
TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}


def export_model(
    model: EmoLlamaForConditionalGeneration,
    processor: EmoLlamaProcessor,
    folder: str | os.PathLike[str],
    format: str = "onnx",
) -> float:
    """
    Write a model as graphs, with its processor and a card. [`load_model`] opens the folder.

    Each graph is made by transformers' exporter, run once, and compared with what it was made of.

    Args:
        model ([`EmoLlamaForConditionalGeneration`]): in evaluation mode, on the CPU.
        processor ([`EmoLlamaProcessor`])
        folder (`str` or `os.PathLike`): where the files go, made where it is not there.
        format (`str`, *optional*, defaults to `"onnx"`): `"torch"`, `"onnx"` or `"openvino"`.

    Returns:
        `float`: the largest difference from the model, as a part of the largest number that a graph gave.

    Raises:
        `InputError`: no such format, the model is an export or quantized, or it cannot be exported to the format.
        `MissingPackageError`: what makes the graphs is not installed.
        `OSError`: the folder cannot be written.
    """
    if format not in FORMATS:
        raise InputError(f"`format` must be one of {', '.join(FORMATS)}, got {format!r}.")
    if isinstance(model, ExportedEmoLlama):
        raise InputError("`model` is an export already: name the model that it was made of.")
    if getattr(model, "is_quantized", False):
        raise InputError("`model` is quantized, which no exporter reads: give it in full precision.")
    check_packages(format)
    from transformers.exporters import ExportedModel

    traced, tried = inputs_of(model, TRACED), inputs_of(model, TRIED)
    kinds = {type(layer) for layer in traced["language_model"][CACHE].layers} - {DynamicLayer}
    if kinds:
        raise InputError(
            f"`model` has a {model.config.text_config.model_type} as its language model, whose cache forgets "
            f"({kinds.pop().__name__}): only caches that keep everything can be exported."
        )
    components, worst = {}, 0.0
    for name, module in tqdm(modules_of(model).items(), desc=f"export to {format}", unit="graph"):
        try:
            with _quiet(), no_telemetry(), torch.no_grad():
                components[name], difference = _graph(name, module, traced[name], tried[name], format)
        except (MemoryError, OSError):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise InputError(f"`format`: {name} of this model cannot be exported to {format} ({reason}).") from error
        if not difference <= TOLERANCE.get(model.dtype, 0.0):
            raise InputError(
                f"`format`: as {format}, {name} of this model answers otherwise (by {difference:.1g} of the largest "
                "number): choose another format, or float32 as `dtype`."
            )
        worst = max(worst, difference)
    exported = ExportedModel(components, FORMATS[format].backend, model.config, model.generation_config)
    exported.save_pretrained(folder)
    processor.save_pretrained(folder)
    export_card(format, model.config, exported.components).save(Path(folder) / "README.md")
    return worst


def _graph(
    name: str, module: nn.Module, traced: Inputs, tried: Inputs, format: str
) -> tuple["ExportedComponent", float]:
    """A graph, and how far its answer is from the module's."""
    from transformers.exporters import AutoExportConfig, AutoHfExporter

    settings = AutoExportConfig.from_dict(
        {
            "export_format": FORMATS[format].backend,
            "dynamic_shapes": dynamic_shapes(name, traced),
            "prefer_deferred_runtime_asserts_over_guards": True,
            **FORMATS[format].settings,
        }
    )
    exported = AutoHfExporter.from_config(settings).export(module, dict(traced), settings)
    if format == "torch":  # with a cache among them they would be a pickle that runs code
        exported.program.example_inputs = None
    if CACHE in traced:  # which transformers' description lacks: whoever begins to read makes an empty cache
        shapes = [[list(layer.keys.shape), list(layer.values.shape)] for layer in traced[CACHE].layers]
        exported.components["model"].metadata.kwargs[CACHE]["shapes"] = shapes
    exported.to("cpu", **run_settings(format, exported.dtype))
    expected = module(**copy.deepcopy(tried))  # which fills its cache
    pairs = zip(_tensors(expected), _tensors(exported(**tried)), strict=True)
    return exported.components["model"], max(_difference(*pair) for pair in pairs)


def _difference(expected: torch.Tensor, found: torch.Tensor) -> float:
    """The largest difference, as a part of the largest number; the placeholder's logit is none to compare with."""
    largest = expected[expected != PLACEHOLDER_LOGIT].float().abs().max()
    return float((found.float() - expected.float()).abs().max() / largest)


def _tensors(outputs: Any) -> list[torch.Tensor]:
    """All tensors of what a module gave."""
    if isinstance(outputs, DynamicCache):
        return [tensor for layer in outputs.layers for tensor in (layer.keys, layer.values)]
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for value in outputs.values() for tensor in _tensors(value)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters tell their developers of each step."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
