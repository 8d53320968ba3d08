"""The wheel, built once, installed into a folder of its own and imported from there."""

import email
import importlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import emo_llama_hf

ROOT = Path(__file__).parents[1]
PACKAGES = ["emo_llama_hf", "emo_llama_hf.modeling", "emo_llama_hf.processing", "emo_llama_hf.conversion"]


def folder_of(package: str) -> str:
    """The folder of a package in a checkout, e.g. `modeling` for `emo_llama_hf.modeling`."""
    return package.removeprefix("emo_llama_hf.")


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def locations(cwd: Path, path: Path | None = None) -> dict[str, Path]:
    """Where a fresh interpreter in `cwd`, with `path` as its PYTHONPATH, finds each package."""
    code = f"import importlib; print(*(importlib.import_module(name).__file__ for name in {PACKAGES}), sep='\\n')"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
    if path:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(zip(PACKAGES, map(Path, done.stdout.splitlines()), strict=True))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    # Built from a copy: setuptools leaves build/ and *.egg-info beside setup.py and would pick up stale files in them.
    source, out = tmp_path_factory.mktemp("wheel") / "source", tmp_path_factory.mktemp("out")
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source))
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--target", str(target), str(wheel))
    return target


@pytest.fixture(scope="session")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_wheel_holds_one_top_level_package(names):
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"emo_llama_hf"}


def test_wheel_holds_every_file(installed):
    for package in PACKAGES:
        folder, inside = ROOT / folder_of(package), installed / package.replace(".", "/")
        files = [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
        assert files
        for path in files:
            assert (inside / path.relative_to(folder)).read_bytes() == path.read_bytes(), path


def test_wheel_holds_type_marker_and_licences(names):
    assert "emo_llama_hf/py.typed" in names
    assert {name.rsplit("/", 1)[1] for name in names if "/licenses/" in name} >= {"LICENSE", "NOTICE"}


def test_wheel_tells_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Version"] == emo_llama_hf.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("Project-URL") == ["Paper, https://arxiv.org/abs/2408.11424"]
    assert "Typing :: Typed" in metadata.get_all("Classifier")


def test_wheel_imports_from_anywhere(installed, tmp_path):
    expected = {name: installed / name.replace(".", "/") / "__init__.py" for name in PACKAGES}
    assert locations(tmp_path, installed) == expected


def test_installed_command_converts(installed, tmp_path):
    """With a face prior it needs the face detector that lies in the package, wherever that is installed."""
    fixtures = ROOT / "tests" / "fixtures"
    command = [
        sys.executable,
        "-m",
        "emo_llama_hf",
        "convert",
        str(fixtures / "llama_vid" / "b_grid"),
        *("--output", "out"),
    ]
    command += ["--facexformer", str(fixtures / "facexformer")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
    environment["PYTHONPATH"] = str(installed)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "face_detector" / "model.safetensors").is_file()


@pytest.mark.parametrize("path", ["wheel", "as the tests run"])
def test_imports_in_the_root_of_a_checkout(installed, path):
    # There the bare folder emo_llama_hf/, first on sys.path, hides whatever is installed.
    expected = {name: ROOT / folder_of(name) / "__init__.py" for name in PACKAGES}
    assert locations(ROOT, installed if path == "wheel" else None) == expected


def test_importing_takes_no_longer_than_transformers_models():
    """PEFT, which brings bitsandbytes, took as long as all the rest; the other packages come when they are used."""
    code = "import sys, emo_llama_hf.command_line.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    late = {"peft", "bitsandbytes", "trl", "datasets", "sklearn", "pyarrow", "matplotlib", "openai", "google.genai"}
    assert "torch" in done.stdout.split() and not late & set(done.stdout.split())


@pytest.mark.parametrize("name", ["tests", "setup", "docs", "recipes.emo_llama_mini"])
def test_nothing_else_in_a_checkout_belongs_to_the_package(name):
    assert (ROOT / name.replace(".", "/")).exists() or (ROOT / f"{name}.py").exists()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"emo_llama_hf.{name}")


def test_console_script_is_declared(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("entry_points.txt")]
        assert "emo-llama = emo_llama_hf.command_line.main:main" in archive.read(name).decode()
