"""Loads transformers' own common test classes, so that they run against this package.

common = load_common("test_modeling_common")

class EmoLlamaModelTest(common.ModelTesterMixin, common.GenerationTesterMixin, unittest.TestCase): ...
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pytest
import transformers

from .fetch import VARIABLE, cache, tests_folder
from .stubs import MISSING, hub_objects

PACKAGE = "transformers_tests"


def load_common(name: str) -> ModuleType:
    """The module `name` of transformers' `tests` folder, e.g. `"test_processing_common"`.

    Skips the importing test module where the folder is not to be had (see `fetch.py`).
    """
    folder = tests_folder()
    if folder is None:
        reason = f"needs transformers' tests: `python tests/common/fetch.py`, or {VARIABLE}=<unpacked tests folder>"
        pytest.skip(reason, allow_module_level=True)
    if PACKAGE not in sys.modules:
        add_package(folder)
    # The test modules extend sys.path, and import transformers once more by way of a file that only a checkout has.
    with (
        patch.object(sys, "path", list(sys.path)),
        patch("transformers.utils.direct_transformers_import", return_value=transformers),
    ):
        return importlib.import_module(f"{PACKAGE}.{name}")


def add_package(folder: Path) -> None:
    """Make `folder` importable as a package, with stubs for what it lacks."""
    sys.modules[PACKAGE] = package(PACKAGE, folder)
    sys.modules["fetch_hub_objects_for_ci"] = hub_objects(cache())
    for dotted, names in MISSING.items():
        parent, _ = dotted.split(".")
        if not (folder / (dotted.replace(".", "/") + ".py")).is_file():
            sys.modules.setdefault(f"{PACKAGE}.{parent}", package(f"{PACKAGE}.{parent}", folder / parent))
            stub = ModuleType(f"{PACKAGE}.{dotted}")
            vars(stub).update(names)
            sys.modules[stub.__name__] = stub


def package(name: str, folder: Path) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = [str(folder)]
    return module
