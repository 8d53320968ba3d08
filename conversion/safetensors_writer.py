"""Writing planned tensors to safetensors shards, one tensor in memory at a time."""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from tqdm.auto import tqdm

from .checkpoint_files import SAFETENSORS_DTYPES, CheckpointFile
from .plan import Plan, PlannedTensor

_DTYPE_NAMES = {dtype: name for name, dtype in SAFETENSORS_DTYPES.items()}


def write_safetensors(plan: Plan, folder: Path, max_shard_size: str | int = "5GB", progress: bool = True) -> None:
    """
    Write `model.safetensors`, or its shards and `model.safetensors.index.json`, into `folder`.

    safetensors' own `save_file` wants all tensors of a file at once, so headers are written here: all shapes are known
    before the first tensor is read.
    """
    ordered = _by_source_file(plan.values())
    split = split_torch_state_dict_into_shards(
        {tensor.name: torch.empty(tensor.shape, dtype=tensor.dtype, device="meta") for tensor in ordered},
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=max_shard_size,
    )
    size = split.metadata["total_size"]
    with tqdm(total=size, unit="B", unit_scale=True, desc="Converting", disable=not progress) as bar:
        open_files: set[CheckpointFile] = set()
        for filename, names in split.filename_to_tensors.items():
            open_files = _write_shard(folder / filename, [plan[name] for name in names], open_files, bar)
        _close(open_files)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def make_tensor(planned: PlannedTensor, open_files: set[CheckpointFile]) -> tuple[torch.Tensor, set[CheckpointFile]]:
    """The tensor, and the files that are open now: those that it does not need are closed first."""
    needed = {source.file for source in planned.sources}
    _close(open_files - needed)
    tensor = planned.make(*(source.read() for source in planned.sources))
    if tuple(tensor.shape) != planned.shape:
        raise AssertionError(f"`{planned.name}` was planned as {planned.shape}, not {tuple(tensor.shape)}.")
    return tensor.to(planned.dtype), needed


def _write_shard(
    path: Path, tensors: list[PlannedTensor], open_files: set[CheckpointFile], bar
) -> set[CheckpointFile]:
    header: dict = {"__metadata__": {"format": "pt"}}
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
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little"))
        file.write(encoded)
        for planned in tensors:
            tensor, open_files = make_tensor(planned, open_files)
            data = tensor.reshape(-1).contiguous().view(torch.uint8).numpy()
            file.write(data.data)
            bar.update(data.nbytes)
            del tensor, data  # otherwise the next tensor is made while this one is still held
    return open_files


def _by_source_file(tensors: Iterable[PlannedTensor]) -> list[PlannedTensor]:
    """Tensors of one source file together, so that each file is opened once; initialised ones last."""
    groups: dict[CheckpointFile | None, list[PlannedTensor]] = {}
    for planned in tensors:
        groups.setdefault(planned.sources[0].file if planned.sources else None, []).append(planned)
    initialised = groups.pop(None, [])
    return [planned for group in groups.values() for planned in group] + initialised


def _close(files: Iterable[CheckpointFile]) -> None:
    for file in files:
        file.close()
