"""The notebooks of the documentation run, and show what they showed."""

import contextlib
import io
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
LONG = {"fine_tune"}


def cells(name: str) -> list:
    """The cells with code."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_three():
    assert NOTEBOOKS == ["fine_tune", "first_look", "tables"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_they_hold_plain_python_and_outputs_without_errors(name):
    for cell in cells(name):
        compile(cell.source, name, "exec")
        assert all(output.output_type != "error" for output in cell.outputs)
    assert any(cell.outputs for cell in cells(name))


@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if name not in LONG])
def test_they_run(name, monkeypatch):
    """In this process, without a kernel; what they print is what they printed when they were written."""
    monkeypatch.chdir(FOLDER)
    names: dict = {}
    for cell in cells(name):
        with contextlib.redirect_stdout(io.StringIO()) as told:
            exec(compile(cell.source, name, "exec"), names)
        assert told.getvalue() == "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_they_run_in_a_kernel(name):
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(output.get("text", "") for output in outputs)
    assert name != "fine_tune" or shown.count("right by free generation: 100%") == 1  # after, not before
