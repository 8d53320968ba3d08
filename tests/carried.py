"""What transformers finds of the pipeline in a saved model's folder."""

import json
from pathlib import Path

from transformers.dynamic_module_utils import get_class_from_dynamic_module


def carried_pipeline(folder: Path) -> type:
    """The pipeline of the folder's own code, imported from there as `trust_remote_code` does."""
    entry = json.loads((folder / "config.json").read_text())["custom_pipelines"]["emotion-chat"]
    found = get_class_from_dynamic_module(entry["impl"], folder)
    assert found.__module__.startswith("transformers_modules")
    return found
