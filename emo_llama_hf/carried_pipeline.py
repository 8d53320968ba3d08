"""The pipeline beside a saved model, for whoever has not installed this package."""

import ast
import importlib
import inspect
import json
import re
from importlib.util import resolve_name
from pathlib import Path

from transformers.pipelines import PIPELINE_REGISTRY
from transformers.utils import CONFIG_NAME

from .whole_file import write_text

TASK = "emotion-chat"

# transformers loads modules of one folder only, whose imports begin with one dot and stand in one line.
IMPORT = re.compile(r"^(\s*from )\.+(?:\w+\.)*(\w+) import ", re.MULTILINE)


def carry_pipeline(folder: Path, pipeline_class: type | None = None) -> None:
    """
    Let `pipeline("emotion-chat", model=folder, trust_remote_code=True)` open a saved model and processor where this
    package is not installed.

    Args:
        folder (`Path`): where they are saved, with their own code.
        pipeline_class (`type`, *optional*): by default the one that is registered.
    """
    if pipeline_class is None:
        pipeline_class = PIPELINE_REGISTRY.supported_tasks[TASK]["impl"]
    _carry_code(pipeline_class.__module__, folder)
    where = f"{pipeline_class.__module__.rpartition('.')[-1]}.{pipeline_class.__name__}"
    config = json.loads((folder / CONFIG_NAME).read_text("utf-8"))
    config["custom_pipelines"] = {TASK: {"impl": where, "pt": ["AutoModelForImageTextToText"], "type": "multimodal"}}
    write_text(folder / CONFIG_NAME, json.dumps(config, indent=2, sort_keys=True) + "\n")


def _carry_code(module: str, folder: Path) -> None:
    """
    Write a module, and all of this package that it imports, into one folder.

    Args:
        module (`str`): its name; it may itself be of such a folder.
        folder (`Path`): a saved model's, where it finds what its classes have there already.
    """
    names, written = [module], set()
    while names:
        name = names.pop()
        if name in written:
            continue
        written.add(name)
        found = importlib.import_module(name)
        source = inspect.getsource(found)
        write_text(folder / Path(inspect.getfile(found)).name, IMPORT.sub(r"\1.\2 import ", source))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.level:
                names.append(resolve_name("." * node.level + (node.module or ""), found.__package__))
