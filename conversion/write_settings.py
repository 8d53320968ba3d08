"""How the result of a conversion is written."""

import re
from dataclasses import dataclass

import torch
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from .conversion_error import ConversionError

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class WriteSettings:
    """
    How the result of a conversion is written.

    Args:
        dtype (`str`, *optional*): `"float32"`, `"float16"` or `"bfloat16"` for the weights; by default as stored.
        max_shard_size (`str` or `int`, *optional*, defaults to `"5GB"`): largest weight file, in bytes or as `"5GB"`.
        dry_run (`bool`, *optional*, defaults to `False`): make the plan and write nothing.
        push_to_hub (`str`, *optional*): hub repository to upload the result to.
        progress (`bool`, *optional*, defaults to `True`): show a progress bar.

    Raises:
        `ConversionError`: a setting is unknown or malformed.
    """

    dtype: str | None = None
    max_shard_size: str | int = "5GB"
    dry_run: bool = False
    push_to_hub: str | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in DTYPES:
            raise ConversionError(f"`dtype` must be one of {', '.join(DTYPES)}, got {self.dtype!r}.")
        # Hugging Face's own errors about these two come when everything is to be written, or is.
        size = self.max_shard_size
        if size < 1 if isinstance(size, int) else not re.fullmatch(r"\d+(\.\d+)?\s*[KMGT]B", size, re.IGNORECASE):
            raise ConversionError(f"`max_shard_size` must be a size such as '500MB' or '5GB', or bytes, got {size!r}.")
        if self.push_to_hub is not None:
            try:
                validate_repo_id(self.push_to_hub)
            except HFValidationError as error:
                raise ConversionError(f"`push_to_hub` must be a hub id such as 'you/emo-llama': {error}") from error


DEFAULT = WriteSettings()
