"""Folders that hold a converted model."""

from pathlib import Path

from ..modeling.configuration_emo_llama import EmoLlamaConfig
from .conversion_error import ConversionError
from .local_files import local_folder, read_json


def is_converted(folder: Path) -> bool:
    """
    Whether a folder holds an EmoLlama.

    Args:
        folder (`Path`): any folder.

    Raises:
        `ConversionError`: its `config.json` is damaged.
    """
    return read_json(folder / "config.json").get("model_type") == EmoLlamaConfig.model_type


def converted_folder(source: str | Path) -> Path:
    """
    The folder of a converted model.

    Args:
        source (`str` or `Path`): the folder, or the id of a hub repository.

    Raises:
        `FileNotFoundError`: there is no such folder.
        `ConversionError`: it holds something else.
    """
    folder = local_folder(source)
    if not is_converted(folder):
        raise ConversionError(f"{source} is not a converted EmoLlama folder: convert it first.")
    return folder
