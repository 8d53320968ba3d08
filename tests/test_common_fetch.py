"""Fetching transformers' own test classes: what tests/run.sh is told where they cannot be had."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.fetch import VARIABLE

FETCH = Path(__file__).parent / "common" / "fetch.py"


def fetch(cache: Path, **variables: str) -> subprocess.CompletedProcess:
    """`python tests/common/fetch.py`, without a package index."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    environment |= {"XDG_CACHE_HOME": str(cache), "PIP_NO_INDEX": "1", **variables}
    return subprocess.run([sys.executable, str(FETCH)], env=environment, capture_output=True, text=True)


@pytest.fixture
def unpacked(tmp_path):
    """A `tests` folder as far as `fetch.py` looks into it."""
    folder = tmp_path / "unpacked" / "tests"
    folder.mkdir(parents=True)
    (folder / "test_modeling_common.py").touch()
    return folder


def test_it_fails_and_says_what_to_do(tmp_path):
    done = fetch(tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert VARIABLE in done.stderr and "python -m pytest" in done.stderr and str(tmp_path) in done.stderr


def test_a_named_folder_without_them_fails_too(tmp_path):
    done = fetch(tmp_path, **{VARIABLE: str(tmp_path)})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"{VARIABLE}={tmp_path} has no test_modeling_common.py" in done.stderr


def test_a_named_folder_is_enough(tmp_path, unpacked):
    assert fetch(tmp_path, **{VARIABLE: str(unpacked)}).returncode == 0
