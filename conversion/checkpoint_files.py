"""Reading foreign checkpoint files lazily: tensors are looked at without being read, and read one at a time."""

import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch._subclasses.fake_tensor import FakeTensorMode

from .appended_range import append_range
from .conversion_error import ConversionError
from .local_files import read_json

INDEX_NAMES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SINGLE_NAMES = ("model.safetensors", "pytorch_model.bin")
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
    """
    Where a tensor lies in its file.

    Args:
        shape (`tuple[int, ...]`): the tensor's.
        stride (`tuple[int, ...]`): steps in elements, as torch counts them.
        dtype (`torch.dtype`): the tensor's.
        start (`int`, *optional*): first byte of its storage; `None` in a file that has to be read whole.
        storage_offset (`int`, *optional*, defaults to 0): elements of the storage that come before the tensor.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    start: int | None
    storage_offset: int = 0

    def read(self, path: Path) -> torch.Tensor:
        """
        The tensor itself.

        Args:
            path (`Path`): its file.

        Raises:
            `ConversionError`: the file ends before the tensor does.
        """
        # Not memory-mapped: pages of a mapping would add up to the whole file.
        last = sum((size - 1) * stride for size, stride in zip(self.shape, self.stride, strict=True))
        storage = torch.empty(last + 1 if 0 not in self.shape else 0, dtype=self.dtype)
        buffer = storage.view(torch.uint8).numpy()
        with path.open("rb") as file:
            file.seek((self.start or 0) + self.storage_offset * self.dtype.itemsize)
            if file.readinto(buffer.data) != buffer.nbytes:
                raise ConversionError(f"{path} ends before its tensors do: get it again.")
        return storage.as_strided(self.shape, self.stride)

    @property
    def is_contiguous(self) -> bool:
        """Whether its bytes lie in a row."""
        return self.stride == torch.empty(self.shape, device="meta").stride()

    def copy(self, path: Path, target: BinaryIO) -> None:
        """
        Append the bytes of a contiguous tensor to another file.

        Args:
            path (`Path`): the tensor's file.
            target (`BinaryIO`): the other file, open for writing.

        Raises:
            `ConversionError`: the file ends before the tensor does.
        """
        start = (self.start or 0) + self.storage_offset * self.dtype.itemsize
        if not append_range(path, start, torch.Size(self.shape).numel() * self.dtype.itemsize, target):
            raise ConversionError(f"{path} ends before its tensors do: get it again.")


class CheckpointFile:
    """
    One file of tensors, `.safetensors` or what `torch.save` writes. Tensors are read one by one; only files older than
    `torch.save`'s zip format, which do not tell where they are, are read whole.

    Args:
        path (`str` or `Path`): the file.
        key (`str`, *optional*): entry of the saved dict that holds the tensors, if it is not the dict itself.

    Raises:
        `FileNotFoundError`: there is no such file.
        `ConversionError`: it is damaged, holds anything but tensors and plain data, or has no entry `key`.
    """

    def __init__(self, path: str | Path, key: str | None = None) -> None:
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
        """
        One of the tensors.

        Args:
            name (`str`): its name in the file.

        Raises:
            `ConversionError`: the file ends before the tensor does.
        """
        stored = self.tensors[name]
        if stored.start is not None:
            return stored.read(self.path)
        if self._whole is None:
            self._whole = self._tensors_in(load_pickle(self.path))
        return self._whole[name]

    def copy(self, name: str, target: BinaryIO) -> bool:
        """
        Append the bytes of one of the tensors to another file, if they lie in a row here.

        Args:
            name (`str`): the tensor's name in the file.
            target (`BinaryIO`): the other file, open for writing.

        Returns:
            `bool`: whether they lie in a row; otherwise nothing is written.

        Raises:
            `ConversionError`: the file ends before the tensor does.
        """
        stored = self.tensors[name]
        if stored.start is None or not stored.is_contiguous:
            return False
        stored.copy(self.path, target)
        return True

    def close(self) -> None:
        """Let go of a file that was read whole; it is read again when asked for."""
        self._whole = None

    def _tensors_in(self, content: Any) -> dict[str, torch.Tensor]:
        if self.key is not None and isinstance(content, dict):
            content = content.get(self.key)
        if not isinstance(content, dict):
            where = f"entry {self.key!r}" if self.key else "dict"
            raise ConversionError(f"{self.path} has no {where} of tensors: is it the right file?")
        tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
        for name, tensor in tensors.items():
            if tensor.layout is not torch.strided:
                raise ConversionError(f"{self.path} has `{name}`, a tensor of layout {tensor.layout}: make it dense.")
        return tensors


@dataclass(frozen=True)
class SourceTensor:
    """
    A tensor of a foreign checkpoint, not read yet.

    Args:
        name (`str`): its name in the file.
        file (`CheckpointFile`): where it is.
    """

    name: str
    file: CheckpointFile

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return self.file.tensors[self.name].shape

    @property
    def dtype(self) -> torch.dtype:
        """The tensor's type."""
        return self.file.tensors[self.name].dtype

    def read(self) -> torch.Tensor:
        """The tensor itself."""
        return self.file.read(self.name)

    def copy(self, target: BinaryIO) -> bool:
        """
        See [`CheckpointFile.copy`].

        Args:
            target (`BinaryIO`): the other file, open for writing.
        """
        return self.file.copy(self.name, target)


Checkpoint = dict[str, SourceTensor]


def load_pickle(path: Path) -> Any:
    """
    `torch.load` of tensors and plain data only.

    Args:
        path (`Path`): the file.

    Raises:
        `ConversionError`: the file is damaged, no checkpoint, or holds other Python objects.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message advises to load the file with the check turned off.
        raise ConversionError(
            f"{path} was refused: it holds Python objects besides tensors and plain data, and loading those could run "
            f"any code, or it is not a checkpoint at all. Get it from its authors, or save its tensors alone with "
            f"`torch.save`."
        ) from error
    except Exception as error:  # its unpickler raises all kinds on what is malformed
        raise ConversionError(f"{path} cannot be read as a PyTorch checkpoint: {error}") from error


def read_checkpoint(
    files: Iterable[str | Path], key: str | None = None, rename: Callable[[str], str] = str
) -> Checkpoint:
    """
    Tensors of several files, none of them read yet.

    Args:
        files (`Iterable[str | Path]`): in order; a later file's tensor replaces an earlier's of the same name.
        key (`str`, *optional*): see [`CheckpointFile`].
        rename (`Callable[[str], str]`, *optional*): gives the name of a tensor instead of the one in its file.

    Returns:
        `dict[str, SourceTensor]`: the tensors by name, in file order.

    Raises:
        `FileNotFoundError`: a file is not there.
        `ConversionError`: see [`CheckpointFile`].
    """
    checkpoint: Checkpoint = {}
    for path in files:
        file = CheckpointFile(path, key)
        checkpoint |= {rename(name): SourceTensor(name, file) for name in file.tensors}
    return checkpoint


def weight_files(folder: Path) -> list[Path]:
    """
    The weight files of a transformers model folder, sharded or single, in order.

    Args:
        folder (`Path`): the model folder.

    Raises:
        `FileNotFoundError`: there are none, or the index names one that is not there.
        `ConversionError`: the index is damaged.
    """
    for name in INDEX_NAMES:
        if (folder / name).is_file():
            weight_map = read_json(folder / name).get("weight_map")
            if not isinstance(weight_map, dict):
                raise ConversionError(f"{folder / name} is damaged: it has no `weight_map`.")
            outside = [file for file in weight_map.values() if not isinstance(file, str) or Path(file).name != file]
            if outside:
                raise ConversionError(f"{folder / name} is damaged: it names {outside[0]!r}, no file of its folder.")
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
    try:
        with safe_open(path, "pt"):
            pass  # the library checks the header and that all bytes are there, but does not tell where tensors begin
    except SafetensorError as error:
        raise ConversionError(f"{path} is not a complete safetensors file: {error}") from error
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    tensors = {}
    for name, part in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if part["dtype"] not in SAFETENSORS_DTYPES:
            raise ConversionError(f"{path} has `{name}` of the type {part['dtype']}, which cannot be converted.")
        empty = torch.empty(part["shape"], dtype=SAFETENSORS_DTYPES[part["dtype"]], device="meta")
        start = 8 + length + part["data_offsets"][0]
        tensors[name] = StoredTensor(tuple(empty.shape), empty.stride(), empty.dtype, start)
    return tensors
