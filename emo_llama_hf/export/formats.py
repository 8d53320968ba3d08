"""What a model can be exported to, by which packages; the exporters are transformers' own."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import patch_environment
from transformers.utils.import_utils import _is_package_available

from ..missing_package import MissingPackageError

INSTALL = "pip install 'emo_llama_hf[export]'"


@dataclass(frozen=True)
class Format:
    """
    A kind of graph.

    Args:
        backend (`str`): what transformers calls it.
        packages (`tuple[str, ...]`): what makes and runs it, beside torch.
        settings (`dict`): of the exporter.
    """

    backend: str
    packages: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


FORMATS = {
    "torch": Format("dynamo"),
    "onnx": Format("onnx", ("onnx", "onnxscript", "onnxruntime")),
    # Not stateful: label scores go on from one cache several times.
    "openvino": Format("openvino", ("openvino",), {"stateful": False}),
}


def run_settings(name: str, dtype: torch.dtype) -> dict[str, Any]:
    """
    What a runtime is told, beside the device, to compute in the type of the weights.

    Args:
        name (`str`): of a [`Format`].
        dtype (`torch.dtype`): of the weights.
    """
    # On CPUs that can, OpenVINO computes in bfloat16 whatever the graph says of itself.
    exact = name == "openvino" and dtype == torch.float32
    return {"config": {"INFERENCE_PRECISION_HINT": "f32"}} if exact else {}


def check_packages(name: str) -> None:
    """
    Args:
        name (`str`): of a [`Format`].

    Raises:
        `MissingPackageError`: what makes and runs it is not installed.
    """
    missing = [package for package in FORMATS[name].packages if not _is_package_available(package)[0]]
    try:
        from transformers.exporters import ExportedModel  # noqa: F401
    except ImportError:
        missing.append("transformers>=5.23")
    if missing:
        raise MissingPackageError(f"An export to {name} needs {', '.join(missing)}: {INSTALL}.")


def no_telemetry() -> AbstractContextManager[None]:
    """OpenVINO tells its makers when it is imported and what it converts, unless it takes this for a CI job."""
    return patch_environment(CI="true")  # type: ignore[no-any-return]
