"""The documents for people who work on the package: what they name is there, what they show runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDES = sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md"))
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *GUIDES)
FOLDERS = "modeling|processing|conversion|emo_llama_hf|tests|recipes|examples|benchmarks|docs"
ROOMS = {path.name for path in (ROOT / "emo_llama_hf").iterdir() if path.is_dir()}
PLACEHOLDER = re.compile(r"\b(NAME|DATA|WORK|OUTPUT)\b")


def text_of(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        if target.startswith(("https:", "http:")):
            continue
        path, _, anchor = target.partition("#")
        place = (ROOT / document).parent / path if path else ROOT / document
        assert place.exists(), target
        titles = re.findall(r"^#+ (.+)$", place.read_text("utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in [title.lower().replace(" ", "-") for title in titles], target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_named_in_them_are_there(document):
    text = re.sub(r"https?://\S+", "", text_of(document))
    for name in re.findall(rf"\b((?:{FOLDERS})/[\w./-]*\w\.\w+|(?:{'|'.join(ROOMS)})/\w+\.\w+)", text):
        if not PLACEHOLDER.search(name):
            places = (ROOT, ROOT / "emo_llama_hf", (ROOT / document).parent)
            assert any((place / name).exists() for place in places), name


def test_every_room_and_every_leaf_is_explained():
    architecture = text_of("docs/architecture.md")
    entries = [path for path in (ROOT / "emo_llama_hf").iterdir() if not path.name.startswith("_")]
    names = {path.name + "/" if path.is_dir() else path.name for path in entries} - {"py.typed"}
    assert names
    assert not {name for name in names if f"`{name}`" not in architecture}


def test_the_backbone_of_contributing_is_one():
    code, _ = re.findall(r"^```python\n(.*?)^```$", text_of("CONTRIBUTING.md"), re.MULTILINE | re.DOTALL)
    names: dict = {}
    exec(code, names)
    assert len(names["face_prior"].backbone.channels) == 4
