"""The version stands in `emo_llama_hf.__version__`; what must repeat it says the same."""

import re
from datetime import date
from pathlib import Path

import yaml

from emo_llama_hf import __version__

ROOT = Path(__file__).resolve().parent.parent
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def releases() -> list[tuple[str, date]]:
    """Versions and their days as the changelog has them, the newest first."""
    found = RELEASE.findall((ROOT / "CHANGELOG.md").read_text("utf-8"))
    return [(version, date.fromisoformat(day)) for version, day in found]


def test_the_changelog_ends_at_it():
    titles = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert titles[0] == "[Unreleased]"
    assert len(releases()) == len(titles) - 1
    assert releases()[0][0] == __version__
    numbers = [tuple(map(int, version.split("."))) for version, _ in releases()]
    assert numbers == sorted(set(numbers), reverse=True)


def test_the_citation_names_it():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["version"], citation["date-released"]) == releases()[0]
