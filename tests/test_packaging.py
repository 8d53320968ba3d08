"""The wheel, built once, installed into a folder of its own and imported from there."""

import configparser
import email
import importlib
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import setuptools

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
def source(tmp_path_factory):
    """A copy: setuptools leaves build/ and *.egg-info beside setup.py and would pick up stale files in them."""
    copy = tmp_path_factory.mktemp("wheel") / "source"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__"))
    return copy


@pytest.fixture(scope="session")
def wheel(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
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


def test_wheel_holds_one_package_and_its_command(names):
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "emo_llama_hf",
        "emo_llama_command.py",
    }


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


def setup_arguments(source: Path, monkeypatch) -> dict:
    """What `setup.py` of a checkout tells setuptools."""
    told: dict = {}
    monkeypatch.setattr(setuptools, "setup", told.update)
    monkeypatch.chdir(source)
    runpy.run_path(str(source / "setup.py"))
    return told


@pytest.fixture
def metadata_of(tmp_path, monkeypatch):
    """What is told of a checkout whose CITATION.cff has further lines."""
    for name in ("setup.py", "README.md", "CITATION.cff", "emo_llama_hf/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)

    def told(*lines: str) -> dict:
        with (tmp_path / "CITATION.cff").open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        return setup_arguments(tmp_path, monkeypatch)

    return told


FILE_LINK = re.compile(r"\]\((?!https?:|#)[^)]*\)")


def test_the_description_links_no_file_that_is_not_there(metadata_of):
    readme, told = (ROOT / "README.md").read_text("utf-8"), metadata_of()
    assert FILE_LINK.search(readme) and "![" in readme
    text = told["long_description"]
    assert not FILE_LINK.search(text) and "![" not in text
    assert "results.json" in text and text.count("```") == readme.count("```")
    assert list(told["project_urls"]) == ["Paper"]


def test_with_a_repository_the_description_shows_its_pictures(metadata_of):
    home = "https://git.example/emo/emo_llama_hf"
    told = metadata_of(f"repository-code: {home}")
    text = told["long_description"]
    assert not FILE_LINK.search(text)
    assert f"![the annotated photo]({home}/raw/HEAD/docs/astronaut.png)" in text
    assert f"[docs/grpo.md]({home}/blob/HEAD/docs/grpo.md)" in text
    assert {"Homepage", "Source", "Documentation", "Changelog", "Paper"} == set(told["project_urls"])
    linked = re.findall(
        rf"{re.escape(home)}/(?:raw|blob)/HEAD/([^)#]+)", text + " ".join(told["project_urls"].values())
    )
    assert all((ROOT / path.split()[0]).exists() for path in linked) and len(linked) > 10


def test_sdist_holds_what_a_clone_has(source, tmp_path):
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    here = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    built = {name for name in here if name.startswith(("build/", "emo_llama_hf.egg-info/"))}
    assert here - built - held == set()
    assert {"constraints.txt", "examples/start.sh", "docs/architecture.md", "recipes/grpo/run.py"} <= held


@pytest.mark.slow  # asks the package index
@pytest.mark.parametrize("extra", ["", "train", "gemini", "openai", "demo", "quantization", "grpo", "export", "test"])
def test_each_extra_can_be_installed_as_pinned(source, extra, tmp_path):
    wanted = f"{source}[{extra}]" if extra else str(source)
    pip("install", "--dry-run", "--ignore-installed", "-c", str(ROOT / "constraints.txt"), wanted)


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
    code = "import sys, emo_llama_command as cli; [cli.load(name) for name in cli.COMMANDS]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    late = {
        "peft",
        "bitsandbytes",
        "trl",
        "datasets",
        "sklearn",
        "pyarrow",
        "matplotlib",
        "gradio",
        "openai",
        "google.genai",
    }
    assert "torch" in done.stdout.split() and not late & set(done.stdout.split())


@pytest.mark.parametrize("name", ["tests", "setup", "docs", "recipes.emo_llama_mini"])
def test_nothing_else_in_a_checkout_belongs_to_the_package(name):
    assert (ROOT / name.replace(".", "/")).exists() or (ROOT / f"{name}.py").exists()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"emo_llama_hf.{name}")


def test_entry_points_are_declared(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("entry_points.txt")]
        declared = configparser.ConfigParser()
        declared.read_string(archive.read(name).decode())
    assert declared["console_scripts"]["emo-llama"] == "emo_llama_command:main"
    assert list(declared["vllm.general_plugins"].values()) == ["emo_llama_hf.vllm_plugin:register"]
