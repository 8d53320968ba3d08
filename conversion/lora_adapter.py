"""LLaVA-style LoRA output: merged into the weights while they are converted, or kept as a PEFT adapter."""

import json
import re
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from .checkpoint_files import Checkpoint, SourceTensor, read_checkpoint
from .conversion_error import ConversionError
from .llama_vid_weights import target_name
from .local_files import read_json
from .plan import Plan

ADAPTER_NAMES = ("adapter_model.safetensors", "adapter_model.bin")
PEFT_PREFIX = "base_model.model."
# What changes how an adapter acts on a weight, and is not written by LLaVA's training.
UNSUPPORTED = ("use_dora", "fan_in_fan_out", "modules_to_save", "rank_pattern", "alpha_pattern", "lora_bias")


class LoraAdapter:
    """
    A LoRA adapter of LLaMA-VID.

    Args:
        folder (`Path`): with `adapter_config.json` and `adapter_model.bin` or `.safetensors`.

    Raises:
        `FileNotFoundError`: there are no adapter weights.
        `ConversionError`: it is not a plain LoRA of the language model.
    """

    def __init__(self, folder: Path) -> None:
        self.config = read_json(folder / "adapter_config.json")
        files = [folder / name for name in ADAPTER_NAMES if (folder / name).is_file()]
        if not files:
            raise FileNotFoundError(f"{folder} has adapter_config.json, but neither of {', '.join(ADAPTER_NAMES)}.")
        if self.config.get("peft_type", "LORA") != "LORA":
            raise ConversionError(f"{folder} has a {self.config['peft_type']} adapter; only LORA can be converted.")
        unsupported = [key for key in UNSUPPORTED if self.config.get(key)]
        if self.config.get("bias", "none") != "none":
            unsupported.append("bias")
        if unsupported:
            raise ConversionError(f"adapter_config.json sets {', '.join(unsupported)}, which cannot be converted.")
        for key in ("r", "lora_alpha"):
            if not isinstance(self.config.get(key), int | float) or self.config[key] <= 0:
                raise ConversionError(
                    f"adapter_config.json must have a positive `{key}`, got {self.config.get(key)!r}."
                )
        self.tensors: Checkpoint = read_checkpoint(files[:1], rename=_plain_name)
        self.pairs = self._pairs()

    def _pairs(self) -> dict[str, tuple[SourceTensor, SourceTensor]]:
        """Our module name (`model.language_model.layers.0...q_proj`) to its A and B."""
        pairs = {}
        for name in self.tensors:
            match = re.fullmatch(r"(.+)\.lora_([AB])\.weight", name)
            weight = match and target_name(f"{match[1]}.weight")
            if not match or not weight:
                raise ConversionError(f"The adapter has a tensor `{name}` that has no place in the model.")
            both = [f"{match[1]}.lora_{part}.weight" for part in "AB"]
            missing = [part for part in both if part not in self.tensors]
            if missing:
                raise ConversionError(f"The adapter has no tensor `{missing[0]}`.")
            pairs[weight.removesuffix(".weight")] = (self.tensors[both[0]], self.tensors[both[1]])
        return pairs

    @property
    def scale(self) -> float:
        """What B A is multiplied with."""
        rank = float(self.config["r"])
        return float(self.config["lora_alpha"]) / (rank**0.5 if self.config.get("use_rslora") else rank)

    def merge_into(self, plan: Plan) -> Plan:
        """
        The plan with W + scale * B A for the adapted weights W, computed in float32 and rounded once.

        Args:
            plan (`Plan`): of the model that the adapter was trained on.

        Raises:
            `ConversionError`: the model has no such weight, or one of another shape.
        """
        merged = dict(plan)
        for module, pair in self.pairs.items():
            planned = plan.get(f"{module}.weight")
            a, b = (tensor.shape for tensor in pair)
            if planned is None or len(a) != 2 or len(b) != 2 or a[0] != b[1] or planned.shape != (b[0], a[1]):
                raise ConversionError(f"The adapter's `{pair[0].name}` does not fit the base model's `{module}`.")
            merged[planned.name] = replace(planned, sources=(*planned.sources, *pair), make=self._merge)
        return merged

    def _merge(self, weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return weight.float() + self.scale * (b.float() @ a.float())

    def save(self, folder: Path, base_model: str) -> None:
        """
        Write it as a PEFT adapter of the converted model.

        Args:
            folder (`Path`): the folder to make.
            base_model (`str`): folder or hub id of the converted model.
        """
        folder.mkdir()
        tensors = {
            f"{PEFT_PREFIX}{module}.lora_{part}.weight": source.read().contiguous()
            for module, pair in self.pairs.items()
            for part, source in zip("AB", pair, strict=True)
        }
        save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
        modules = "|".join(sorted({re.escape(module.rpartition(".")[2]) for module in self.pairs}))
        # The face prior has layers of the same names, so the language model's are singled out.
        config = {
            **self.config,
            "base_model_name_or_path": base_model,
            "target_modules": rf"(.*\.)?language_model\..*\.({modules})",
        }
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _plain_name(name: str) -> str:
    return name.removeprefix(PEFT_PREFIX).replace(".default.", ".")
