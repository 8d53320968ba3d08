"""The pipeline's code beside a saved model, for whoever has not installed this package."""

import ast
import importlib
import inspect
import re
from importlib.util import resolve_name
from pathlib import Path

# transformers loads modules of one folder only, whose imports begin with one dot and stand in one line.
IMPORT = re.compile(r"^(\s*from )\.+(?:\w+\.)*(\w+) import ", re.MULTILINE)


def carry_code(module: str, folder: Path) -> None:
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
        (folder / Path(inspect.getfile(found)).name).write_text(IMPORT.sub(r"\1.\2 import ", source), "utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.level:
                names.append(resolve_name("." * node.level + (node.module or ""), found.__package__))
