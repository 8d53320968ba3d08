"""The command `emo-llama export`."""

from typing import Annotated, Literal

import typer
from transformers.utils import logging

from ..conversion.output_folder import published_folder
from ..export.export_model import export_model
from ..load_model import load_model
from .options import Base, Dtype, Model, Output, PushToHub


def export(
    output: Output,
    model: Model = None,
    base: Base = None,
    format: Annotated[
        Literal["torch", "onnx", "openvino"], typer.Option(help="what runs it: torch.export, ONNX Runtime, OpenVINO")
    ] = "onnx",
    dtype: Dtype = "auto",
    push_to_hub: PushToHub = None,
) -> int:
    """Write a model as graphs: torch.export, ONNX or OpenVINO. --trust-export opens them where a model is asked."""
    logging.disable_progress_bar()
    network, processor = load_model(model, base=base, dtype=dtype)
    with published_folder(output, push_to_hub) as folder:
        difference = export_model(network, processor, folder, format)
    print(f"Wrote {output}. Its graphs give what the model gives within {difference:.1g} of the largest number.")
    return 0
