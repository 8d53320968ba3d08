"""Checkpoints of a training run: which are whole, and what is wrong with one that cannot be read."""

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import sort_checkpoints
from transformers.utils import logging

from ..input_error import InputError

logger = logging.get_logger(__name__)


def is_whole(checkpoint: str | Path) -> bool:
    """
    Whether a checkpoint was written to its end: the trainer's state, which comes last, can be read.

    Args:
        checkpoint (`str` or `Path`): folder.
    """
    try:
        return isinstance(json.loads((Path(checkpoint) / TRAINER_STATE_NAME).read_bytes()), dict)
    except (OSError, ValueError):
        return False


def last_whole_checkpoint(folder: str | Path) -> str | None:
    """
    The latest checkpoint that was written to its end.

    Args:
        folder (`str` or `Path`): of a training run; it need not be there.
    """
    checkpoints: list[str] = sort_checkpoints(str(folder))
    for checkpoint in reversed(checkpoints):
        if is_whole(checkpoint):
            return checkpoint
        logger.warning("%s is passed over: the run was stopped while writing it.", checkpoint)
    return None


@contextmanager
def readable_checkpoint(checkpoint: str | Path) -> Iterator[None]:
    """
    What libraries raise about a checkpoint that is damaged becomes an `InputError`.

    Args:
        checkpoint (`str` or `Path`): folder.

    Raises:
        `InputError`
    """
    try:
        yield
    except pickle.UnpicklingError as error:  # torch's own message advises to turn the check off
        raise InputError(
            f"`resume_from_checkpoint` {checkpoint} was refused: it holds Python objects besides tensors and plain "
            "data, and loading those could run any code, or it is damaged. Name another one."
        ) from error
    except (OSError, ValueError, RuntimeError, EOFError, KeyError, SafetensorError) as error:
        raise InputError(f"`resume_from_checkpoint` {checkpoint} cannot be read: {error}") from error
