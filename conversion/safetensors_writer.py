"""Writing planned tensors to safetensors shards, one at a time."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from tqdm.auto import tqdm

from .checkpoint_files import SAFETENSORS_DTYPES, CheckpointFile
from .plan import Plan, PlannedTensor

_DTYPE_NAMES = {dtype: name for name, dtype in SAFETENSORS_DTYPES.items()}


def write_safetensors(plan: Plan, folder: Path, max_shard_size: str | int = "5GB", progress: bool = True) -> None:
    """
    Write `model.safetensors`, or its shards and `model.safetensors.index.json`.

    safetensors' own `save_file` wants all tensors of a file at once, so headers are written here: all shapes are known
    before the first tensor is read.

    Args:
        plan (`Plan`): the tensors.
        folder (`Path`): where the files go.
        max_shard_size (`str` or `int`, *optional*, defaults to `"5GB"`): largest file, in bytes or as `"5GB"`.
        progress (`bool`, *optional*, defaults to `True`): show a progress bar.

    Raises:
        `ConversionError`: a source file ends before its tensors do.
    """
    ordered = _by_source_file(plan.values())
    split = split_torch_state_dict_into_shards(
        {tensor.name: torch.empty(tensor.shape, dtype=tensor.dtype, device="meta") for tensor in ordered},
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=max_shard_size,
    )
    size = split.metadata["total_size"]
    open_files: set[CheckpointFile] = set()
    with tqdm(total=size, unit="B", unit_scale=True, desc="Converting", disable=not progress) as bar:
        for filename, names in split.filename_to_tensors.items():
            with (folder / filename).open("wb") as file:
                file.write(_header([plan[name] for name in names]))
                for planned in map(plan.__getitem__, names):
                    open_files = _close_unneeded(open_files, planned)
                    if not (planned.is_unchanged and planned.sources[0].copy(file)):
                        tensor = planned.tensor().reshape(-1).contiguous()
                        file.write(tensor.view(torch.uint8).numpy().data)
                    bar.update(torch.Size(planned.shape).numel() * planned.dtype.itemsize)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _close_unneeded(open_files: set[CheckpointFile], planned: PlannedTensor) -> set[CheckpointFile]:
    """Close those of `open_files` that the next tensor is not made of; the files that are open then."""
    needed = {source.file for source in planned.sources}
    for file in open_files - needed:
        file.close()
    return needed


def _header(tensors: list[PlannedTensor]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for planned in tensors:
        start, end = end, end + torch.Size(planned.shape).numel() * planned.dtype.itemsize
        header[planned.name] = {
            "dtype": _DTYPE_NAMES[planned.dtype],
            "shape": list(planned.shape),
            "data_offsets": [start, end],
        }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)  # the format aligns the data to eight bytes
    return len(encoded).to_bytes(8, "little") + encoded


def _by_source_file(tensors: Iterable[PlannedTensor]) -> list[PlannedTensor]:
    """Tensors of one source file together, so that each file is opened once; initialised ones last."""
    groups: dict[CheckpointFile | None, list[PlannedTensor]] = {}
    for planned in tensors:
        groups.setdefault(planned.sources[0].file if planned.sources else None, []).append(planned)
    initialised = groups.pop(None, [])
    return [planned for group in groups.values() for planned in group] + initialised
