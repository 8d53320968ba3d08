"""Reading foreign checkpoint files lazily: tensors are looked at without being read, and read one at a time."""

import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

INDEX_NAMES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SINGLE_NAMES = ("model.safetensors", "pytorch_model.bin")


class CheckpointFile:
    """
    One file of tensors, `.safetensors` or what `torch.save` writes. Zip-format `torch.save` files are memory-mapped;
    only older ones, which cannot be, are read whole.

    Args:
        path (`Path`): the file.
        key (`str`, *optional*): entry of the saved dict that holds the tensors, if it is not the dict itself.

    Raises:
        `FileNotFoundError`: there is no such file.
        `ValueError`: it is damaged, holds anything but tensors and plain data, or has no entry `key`.
    """

    def __init__(self, path: str | Path, key: str | None = None):
        self.path = Path(path)
        self.key = key
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no file {self.path}.")
        self._loaded: dict[str, torch.Tensor] | None = None

    @cached_property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Name to an empty (meta) tensor of the stored shape and dtype, in file order."""
        if self._is_safetensors:
            with self._safe_open() as file:
                return {name: _meta(file.get_slice(name)) for name in file.offset_keys()}
        found = {name: tensor.to("meta") for name, tensor in self._load().items()}
        self.close()
        return found

    def read(self, name: str) -> torch.Tensor:
        """The tensor called `name`."""
        if not self._is_safetensors:
            return self._load()[name]
        # Opened anew for each tensor: pages of a mapping that stays open would add up to the whole file.
        with self._safe_open() as file:
            return file.get_tensor(name)

    def close(self) -> None:
        """Let go of what was read; it is read again when asked for."""
        self._loaded = None

    @property
    def _is_safetensors(self) -> bool:
        return self.path.suffix == ".safetensors"

    def _safe_open(self):
        try:
            return safe_open(self.path, framework="pt")
        except SafetensorError as error:
            raise ValueError(
                f"{self.path} is not a complete safetensors file ({error}): download it again."
            ) from error

    def _load(self) -> dict[str, torch.Tensor]:
        if self._loaded is None:
            content = load_pickle(self.path)
            if self.key is not None and isinstance(content, dict):
                content = content.get(self.key)
            if not isinstance(content, dict):
                where = f"entry {self.key!r}" if self.key else "dict"
                raise ValueError(f"{self.path} has no {where} of tensors: is it the right file?")
            self._loaded = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
        return self._loaded


@dataclass(frozen=True)
class SourceTensor:
    """A tensor of a foreign checkpoint, not read yet."""

    name: str
    file: CheckpointFile

    @property
    def shape(self) -> torch.Size:
        return self.file.tensors[self.name].shape

    @property
    def dtype(self) -> torch.dtype:
        return self.file.tensors[self.name].dtype

    def read(self) -> torch.Tensor:
        return self.file.read(self.name)


Checkpoint = dict[str, SourceTensor]


def load_pickle(path: Path):
    """`torch.load` of tensors and plain data only, memory-mapped where the file's format allows."""
    try:
        try:
            return torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message advises to load the file with the check turned off.
        raise ValueError(
            f"{path} was refused: it holds Python objects besides tensors and plain data, and loading those could run "
            f"any code, or it is not a checkpoint at all. Get it from its authors, or save its tensors alone with "
            f"`torch.save`."
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a PyTorch checkpoint: {error}") from error


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


def _meta(part) -> torch.Tensor:
    return torch.empty(part.get_shape(), dtype=SAFETENSORS_DTYPES[part.get_dtype()], device="meta")


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
