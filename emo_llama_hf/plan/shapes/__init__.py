"""Configurations of published models, as data, and those of anybody's: what a plan needs of a model."""

import json
from pathlib import Path

from transformers import PreTrainedConfig

from ...load_model import load_config
from ...modeling.configuration_emo_llama import EmoLlamaConfig

FOLDER = Path(__file__).parent


def plan_config(name: str | None = None) -> PreTrainedConfig:
    """
    The configuration of a model that training is planned for; its weights are not read.

    Args:
        name (`str`, *optional*):
            `"7b"` or `"13b"`, LLaMA-VID's published sizes with FaceXFormer; or a folder or hub id: [`load_config`].

    Raises:
        `InputError`: see [`load_config`].
    """
    published = {path.stem: path for path in FOLDER.glob("*.json")}
    if name not in published or Path(name).exists():
        return load_config(name)
    return EmoLlamaConfig(**json.loads(published[name].read_text("utf-8"))["config"])
