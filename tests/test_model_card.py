"""Model cards: their snippets run as printed, and the default checkpoint's is the one that its figures make."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from emo_llama_hf import EmoLlamaConfig, default_model
from emo_llama_hf.model_card import model_card
from test_doors import SAMPLES

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "emo_llama_mini"
sys.path.append(str(RECIPE))

from card import save_card  # noqa: E402

CARD = Path(default_model()) / "README.md"


@pytest.fixture
def run_snippet(tmp_path, monkeypatch):
    """Runs the Python block of a card in a folder with a `photo.jpg`, and gives what it left behind."""
    shutil.copy(SAMPLES / "astronaut.png", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)

    def run(card: str) -> dict:
        [code] = re.findall(r"^```python\n(.*?)^```$", card, re.MULTILINE | re.DOTALL)
        names: dict = {}
        exec(code, names)
        return names

    return run


def test_the_default_checkpoint_by_its_card(run_snippet, capsys):
    pipe = run_snippet(CARD.read_text("utf-8"))["pipe"]
    assert pipe.model.name_or_path == default_model()
    assert "'generated_text': 'happy'" in capsys.readouterr().out


def test_another_checkpoint_by_its_card(run_snippet, tiny, capsys):
    card = model_card(str(tiny), EmoLlamaConfig.from_pretrained(tiny))
    assert run_snippet(card.text)["pipe"].model.name_or_path == str(tiny)
    assert "'generated_text'" in capsys.readouterr().out


def test_the_card_is_what_its_figures_make(tmp_path):
    results = json.loads((RECIPE / "results.json").read_text("utf-8"))
    save_card(tmp_path, EmoLlamaConfig.from_pretrained(default_model()), results)
    assert CARD.read_text("utf-8") == (tmp_path / "README.md").read_text("utf-8")
