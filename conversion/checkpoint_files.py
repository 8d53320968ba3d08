"""Reading foreign checkpoint files lazily: tensors are looked at without being read, and read one at a time."""

import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ..input_error import InputError

INDEX_NAMES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SINGLE_NAMES = ("model.safetensors", "pytorch_model.bin")
COPY_BYTES = 2**18  # stays in the processor's cache; larger buffers halve the speed
SAFETENSORS_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies in its file; `start` is `None` in a file that has to be read whole."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    start: int | None
    storage_offset: int = 0

    def read(self, path: Path) -> torch.Tensor:
        # Not memory-mapped: pages of a mapping would add up to the whole file.
        last = sum((size - 1) * stride for size, stride in zip(self.shape, self.stride, strict=True))
        storage = torch.empty(last + 1 if 0 not in self.shape else 0, dtype=self.dtype)
        buffer = storage.view(torch.uint8).numpy()
        with path.open("rb") as file:
            file.seek((self.start or 0) + self.storage_offset * self.dtype.itemsize)
            if file.readinto(buffer.data) != buffer.nbytes:
                raise InputError(f"{path} ends before its tensors do: get it again.")
        return storage.as_strided(self.shape, self.stride)

    @property
    def is_contiguous(self) -> bool:
        return self.stride == torch.empty(self.shape, device="meta").stride()

    def copy(self, path: Path, target: BinaryIO) -> None:
        """Append the bytes of a contiguous tensor to `target`."""
        left = torch.Size(self.shape).numel() * self.dtype.itemsize
        # One small buffer again and again: fresh memory for each tensor would cost more than reading and writing it.
        buffer = memoryview(bytearray(COPY_BYTES))
        with path.open("rb", buffering=0) as file:
            file.seek((self.start or 0) + self.storage_offset * self.dtype.itemsize)
            while left:
                count = file.readinto(buffer[: min(left, COPY_BYTES)])
                if not count:
                    raise InputError(f"{path} ends before its tensors do: get it again.")
                target.write(buffer[:count])
                left -= count


class CheckpointFile:
    """
    One file of tensors, `.safetensors` or what `torch.save` writes. Tensors are read one by one; only files older than
    `torch.save`'s zip format, which do not tell where they are, are read whole.

    Args:
        path (`Path`): the file.
        key (`str`, *optional*): entry of the saved dict that holds the tensors, if it is not the dict itself.

    Raises:
        `FileNotFoundError`: there is no such file.
        `InputError`: it is damaged, holds anything but tensors and plain data, or has no entry `key`.
    """

    def __init__(self, path: str | Path, key: str | None = None):
        self.path = Path(path)
        self.key = key
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no file {self.path}.")
        self._whole: dict[str, torch.Tensor] | None = None

    @cached_property
    def tensors(self) -> dict[str, StoredTensor]:
        """What is in the file, in its order."""
        if self.path.suffix == ".safetensors":
            return _safetensors_header(self.path)
        with FakeTensorMode():
            content = self._tensors_in(load_pickle(self.path))
        return {name: _stored(tensor) for name, tensor in content.items()}

    def read(self, name: str) -> torch.Tensor:
        """The tensor called `name`."""
        stored = self.tensors[name]
        if stored.start is not None:
            return stored.read(self.path)
        if self._whole is None:
            self._whole = self._tensors_in(load_pickle(self.path))
        return self._whole[name]

    def copy(self, name: str, target: BinaryIO) -> bool:
        """Append the bytes of the tensor called `name` to `target`, if they lie there in a row; whether they do."""
        stored = self.tensors[name]
        if stored.start is None or not stored.is_contiguous:
            return False
        stored.copy(self.path, target)
        return True

    def close(self) -> None:
        """Let go of a file that was read whole; it is read again when asked for."""
        self._whole = None

    def _tensors_in(self, content) -> dict[str, torch.Tensor]:
        if self.key is not None and isinstance(content, dict):
            content = content.get(self.key)
        if not isinstance(content, dict):
            where = f"entry {self.key!r}" if self.key else "dict"
            raise InputError(f"{self.path} has no {where} of tensors: is it the right file?")
        return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


@dataclass(frozen=True)
class SourceTensor:
    """A tensor of a foreign checkpoint, not read yet."""

    name: str
    file: CheckpointFile

    @property
    def shape(self) -> tuple[int, ...]:
        return self.file.tensors[self.name].shape

    @property
    def dtype(self) -> torch.dtype:
        return self.file.tensors[self.name].dtype

    def read(self) -> torch.Tensor:
        return self.file.read(self.name)

    def copy(self, target: BinaryIO) -> bool:
        return self.file.copy(self.name, target)


Checkpoint = dict[str, SourceTensor]


def load_pickle(path: Path):
    """`torch.load` of tensors and plain data only."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message advises to load the file with the check turned off.
        raise InputError(
            f"{path} was refused: it holds Python objects besides tensors and plain data, and loading those could run "
            f"any code, or it is not a checkpoint at all. Get it from its authors, or save its tensors alone with "
            f"`torch.save`."
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise InputError(f"{path} cannot be read as a PyTorch checkpoint: {error}") from error


def read_checkpoint(
    files: Iterable[str | Path], key: str | None = None, rename: Callable[[str], str] = str
) -> Checkpoint:
    """Tensors of several files under `rename`d names, in file order; a later file's tensor replaces an earlier's."""
    checkpoint: Checkpoint = {}
    for path in files:
        file = CheckpointFile(path, key)
        checkpoint |= {rename(name): SourceTensor(name, file) for name in file.tensors}
    return checkpoint


def weight_files(folder: Path) -> list[Path]:
    """
    The weight files of a transformers model folder, sharded or single, in order.

    Raises:
        `FileNotFoundError`: there are none, or the index names one that is not there.
    """
    for name in INDEX_NAMES:
        if (folder / name).is_file():
            weight_map = json.loads((folder / name).read_text(encoding="utf-8"))["weight_map"]
            files = [folder / file for file in sorted(set(weight_map.values()))]
            for file in files:
                if not file.is_file():
                    raise FileNotFoundError(f"{folder / name} names {file.name}, which is not in {folder}.")
            return files
    for name in SINGLE_NAMES:
        if (folder / name).is_file():
            return [folder / name]
    raise FileNotFoundError(f"{folder} has no weights: looked for {', '.join(INDEX_NAMES + SINGLE_NAMES)}.")


def _stored(tensor: torch.Tensor) -> StoredTensor:
    """Where a tensor that was loaded without its data lies in the file."""
    storage = tensor.untyped_storage()
    start = getattr(storage, "_checkpoint_offset", None)  # set by `torch.load` under `FakeTensorMode`, for this use
    return StoredTensor(tuple(tensor.shape), tensor.stride(), tensor.dtype, start, int(tensor.storage_offset()))


def _safetensors_header(path: Path) -> dict[str, StoredTensor]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            if length > size:
                raise ValueError(f"{size} bytes for a header of {length}")
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            parts = sorted(header.items(), key=lambda part: part[1]["data_offsets"])
            end = max((part["data_offsets"][1] for _, part in parts), default=0)
            if size != 8 + length + end:
                raise ValueError(f"{size} bytes instead of {8 + length + end}")
            tensors = {}
            for name, part in parts:
                empty = torch.empty(part["shape"], dtype=SAFETENSORS_DTYPES[part["dtype"]], device="meta")
                start = 8 + length + part["data_offsets"][0]
                tensors[name] = StoredTensor(tuple(empty.shape), empty.stride(), empty.dtype, start)
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            raise InputError(f"{path} is not a complete safetensors file: {error}") from error
    return tensors
