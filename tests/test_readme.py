"""The figures of emo-llama-mini in README and model zoo, all of them, against those that the recipe measured."""

import json
import re
from pathlib import Path

from emo_llama_hf import EmoLlamaConfig, default_model

ROOT = Path(__file__).resolve().parent.parent
NUMBER = re.compile(r"(?<![\w.,])\d[\d.,]*\d%?|(?<![\w.,])\d%?")  # "3,589", "0.039", "84.7%", not "FER2013"


def section(title: str, document: str = "README.md") -> str:
    """What a document has under a heading."""
    return re.split(r"^## ", (ROOT / document).read_text("utf-8").split(f"\n## {title}\n")[1], flags=re.M)[0]


def numbers(text: str) -> list[str]:
    """Every number written in digits, in reading order."""
    return NUMBER.findall(text)


def measured() -> dict:
    """What `recipes/emo_llama_mini/train.py` wrote last."""
    return json.loads((ROOT / "recipes" / "emo_llama_mini" / "results.json").read_text("utf-8"))


def test_the_table_has_the_measured_figures():
    results = measured()
    voters, fer2013 = results["voters"]["likelihood"], results["fer2013"]["likelihood"]
    attributes, clips, framings = results["attributes"], results["clips"], results["framings"]
    held_out = results["held_out"]
    classes = EmoLlamaConfig.from_pretrained(default_model()).face_config.perceived_labels
    intro, table, _ = re.split(r"\n\n(?=\|)|(?<=\|)\n\n", section("emo-llama-mini"), maxsplit=2)
    assert numbers(intro) == [f"{fer2013['count']:,}", f"{attributes['count']:,}"]

    rows = [numbers(row) for row in table.splitlines()[2:]]
    assert rows == [
        [f"{voters['count']:,}", f"{voters['war']:.1%}", f"{voters['uar']:.1%}"],
        [f"{voters['ece']:.3f}"],
        [f"{fer2013['count']:,}", f"{fer2013['war']:.1%}", f"{fer2013['uar']:.1%}"],
        ["48", "96", "224", f"{framings['all_the_same']:.1%}", str(framings["count"])],
        [str(len(classes["age"])), str(len(classes["race"]))]
        + [f"{attributes[task]['accuracy']:.1%}" for task in ("gender", "age", "race")],
        [f"{clips['exact']:.1%}", str(clips["changing"]), f"{clips['false_changes']:.1%}", str(clips["constant"])],
        [f"{results['forms']['same']:.1%}", str(results["forms"]["count"])],
        [f"{held_out['relevant']:.1%}", str(held_out["count"]), f"{held_out['language']['en']:.1%}"],
    ]


def test_the_text_around_it_too():
    results, text = measured(), (ROOT / "README.md").read_text("utf-8")
    assert f"**emo-llama-mini** ({results['parameters'] / 1e6:.1f} million parameters)" in text
    hours, device = sum(results["hours"]["steps"].values()), results["hours"]["device"].replace("2", "two")
    assert f"({hours:.1f} hours on {device})" in section("emo-llama-mini")


def test_the_model_zoo():
    results = measured()
    voters, fer2013 = results["voters"], results["fer2013"]["likelihood"]
    attributes, clips = results["attributes"], results["clips"]
    classes = EmoLlamaConfig.from_pretrained(default_model()).face_config.perceived_labels
    weights = (Path(default_model()) / "model.safetensors").stat().st_size
    (row,) = re.findall(r"^\| emo-llama-mini \|.*", (ROOT / "docs/model-zoo.md").read_text("utf-8"), re.MULTILINE)
    assert numbers(row) == [f"{results['parameters'] / 1e6:.1f}", f"{weights / 1e6:.1f}"]

    text, *tables = re.split(r"\n\n(?=\|)", section("emo-llama-mini: accuracy", "docs/model-zoo.md"))
    likeliest = voters["likelihood"]
    chance = f"{1 / len(likeliest['recall']):.1%}"
    counts = [f"{figures['count']:,}" for figures in (likeliest, fer2013, attributes)]
    assert numbers(text) == [counts[0], chance, *counts[1:]]
    emotions, recalls, others = [
        [numbers(row) for row in table.splitlines()[2:] if row.startswith("|")] for table in tables
    ]
    three = (voters["generation"], likeliest, fer2013)
    assert emotions == [[f"{figures['war']:.1%}", f"{figures['uar']:.1%}"] for figures in three]
    assert recalls == [[f"{recall:.1%}" for recall in likeliest["recall"].values()]]
    assert list(likeliest["recall"]) == re.findall(r"\w+", tables[1].splitlines()[0])[2:]
    assert others == [
        [f"{likeliest['ece']:.3f}"],
        [f"{attributes['gender']['accuracy']:.1%}"],
        *([str(len(classes[task])), f"{attributes[task]['accuracy']:.1%}"] for task in ("age", "race")),
        [f"{clips['exact']:.1%}"],
        [f"{clips['false_changes']:.1%}"],
        ["2", f"{sum(results['hours']['steps'].values()):.1f}"],
    ]
