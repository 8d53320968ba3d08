"""What the documents show runs: Python on the sample photos, command lines as far as their options are read."""

import re
import runpy
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command

import emo_llama_command as cli

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = Path(__file__).parent / "samples"
DOCUMENTS = sorted(["README.md", *(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))])
NOT_RUN = r"<!-- not run: (?P<reason>[^>]+) -->\n"
BLOCK = re.compile(rf"^(?:{NOT_RUN})?```(?P<language>python|bash)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    """Code of a document that must run, in order, at the lines where it stands there."""
    text = (ROOT / document).read_text("utf-8")
    found = [block for block in BLOCK.finditer(text) if block["language"] == language and not block["reason"]]
    return ["\n" * text[: block.start("code")].count("\n") + block["code"] for block in found]


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """A folder with what the documents name."""
    folder = tmp_path_factory.mktemp("media")
    photo = (
        Image.open(SAMPLES / "astronaut.png").convert("RGB").resize((256, 256))
    )  # small, so that faces are found soon
    for name in ("photo.jpg", "a.jpg"):
        photo.save(folder / name)
    make_clip = runpy.run_path(str(ROOT / "examples" / "make_clip.py"))["make_clip"]
    make_clip(str(folder / "photo.jpg"), str(folder / "clip.mp4"), frames=25)
    shutil.copyfile(folder / "clip.mp4", folder / "b.mp4")
    (folder / "broken.png").write_bytes(b"no picture")
    for emotion, name in (("happy", "astronaut.png"), ("neutral", "grace_hopper.jpg")):
        (folder / "faces" / emotion).mkdir(parents=True)
        shutil.copyfile(SAMPLES / name, folder / "faces" / emotion / name)
    return folder


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if blocks(document, "python")])
def test_python_runs(document, media, monkeypatch):
    monkeypatch.chdir(media)
    names: dict = {}
    for code in blocks(document, "python"):
        exec(compile(code, str(ROOT / document), "exec"), names)


def commands(document: str) -> list[list[str]]:
    """The command lines of `emo-llama` in a document, without what stands before and behind them."""
    lines = "".join(blocks(document, "bash")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines if "emo-llama" in line]
    return [row[row.index("emo-llama") + 1 :] for row in words if "emo-llama" in row]


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if commands(document)])
def test_command_lines_are_understood(document):
    """Options, their values and arguments, as the command reads them before it begins."""
    app = get_command(cli.app)
    for words in commands(document):
        if words[0].startswith("--"):  # of the whole: --version, --install-completion
            assert words[0] in [option for parameter in app.params for option in parameter.opts]
            continue
        command = cli.load(words[0])
        context = command.make_context(words[0], list(words[1:]), obj=cli.Run())
        assert context.params


def test_nearly_all_of_it_is_run():
    every = [block for document in DOCUMENTS for block in BLOCK.finditer((ROOT / document).read_text("utf-8"))]
    python = [block for block in every if block["language"] == "python"]
    left_out = [block for block in python if block["reason"]]
    assert len(python) > 25 and len(left_out) <= 3
