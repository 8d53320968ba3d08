"""Where the checkpoint lies that comes with the package."""

from pathlib import Path


def default_model() -> str:
    """Path of emo-llama-mini, the checkpoint that comes with the package."""
    return str(Path(__file__).resolve().parent / "default_checkpoint")
