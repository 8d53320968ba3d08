"""The paper's recipe on miniature data sets: from a LLaMA-VID-format checkpoint to the table, and what stops it."""

import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from emo_llama_hf.conversion.face_parts import FaceSources
from emo_llama_hf.conversion.llama_vid_files import LlamaVidSource
from emo_llama_hf.conversion.llama_vid_import import import_llama_vid
from emo_llama_hf.conversion.write_settings import WriteSettings
from emo_llama_hf.load_model import load_model

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "paper"
FIXTURES = Path(__file__).parent / "fixtures"
sys.path.append(str(RECIPE))

import run  # noqa: E402
from make_miniature import SETS, Faces  # noqa: E402

CHOSEN = ("RAF-DB", "MAFW")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("paper") / "model"
    source = LlamaVidSource(FIXTURES / "llama_vid" / "a_mean")
    faces = FaceSources(FIXTURES / "facexformer")
    import_llama_vid(source, folder, faces=faces, settings=WriteSettings(progress=False))
    return folder


@pytest.fixture(scope="module")
def miniature(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("miniature")
    for name in CHOSEN:
        SETS[name](folder / name, Faces(0))
    shutil.copyfile(RECIPE / "miniature.json", folder / "miniature.json")
    return folder


def recipe(data: Path, work: Path, model: Path) -> run.Recipe:
    settings = run.read_recipe(data)
    settings["data"] = {name: settings["data"][name] for name in CHOSEN}
    for stage in settings["stages"]:
        stage["arguments"]["max_steps"] = 1
    return run.Recipe(data, work, model, settings)


def values(node, path=""):
    """Every value of the recipe that is not marked."""
    if isinstance(node, dict) and set(node) == {"value", "source"}:
        yield path, node["source"]
    elif isinstance(node, (dict, list)):
        for name, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from values(part, f"{path}/{name}")
    else:
        yield path, None


def test_every_value_says_where_it_is_from():
    content = json.loads((RECIPE / "recipe.json").read_text("utf-8"))
    sources = content.pop("sources")
    assert {source for _, source in values(content)} == set(sources)
    mix = run.plain(content)["data"]
    assert [sum(one[kind] for one in mix.values()) for kind in run.KINDS] == [376000, 339000]


def test_from_conversion_to_the_table(model, miniature, tmp_path, monkeypatch):
    made = recipe(miniature, tmp_path, model)
    made.run([run.PLAIN])
    table = json.loads((tmp_path / "table.json").read_text("utf-8"))
    report = json.loads(made.report(run.PLAIN).read_text("utf-8"))
    for name in CHOSEN:
        assert report["datasets"][name]["generation"]["count"] == 4
        for protocol, figures in table["rows"][run.PLAIN]["datasets"][name].items():
            assert figures["war"] == report["datasets"][name][protocol]["war"]
        assert table["instructions"][name] == {"category": 16, "conversation": 16}
    assert "figures mean nothing" in (tmp_path / "table.md").read_text("utf-8")
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")
    lines = (tmp_path / "instructions" / "MAFW-category.jsonl").read_text("utf-8").splitlines()
    asked, answered = (turn["value"] for turn in json.loads(lines[0])["conversations"])
    assert "Choose one from the following options: {anger, disgust, " in asked and answered == "happiness"
    module = import_module("emo_llama_hf.training.train_and_evaluate")  # its name is the function's too
    monkeypatch.setattr(module, "train", lambda *args: pytest.fail("it trained"))
    recipe(miniature, tmp_path, model).run([run.PLAIN])
    made.settings["max_new_tokens"] += 1
    with pytest.raises(ValueError, match="was begun with other `max_new_tokens`"):
        made.run([run.PLAIN])


def test_a_row_begins_with_its_settings_and_the_same_weights(model, miniature, tmp_path):
    made = recipe(miniature, tmp_path, model)
    assert made.start("lora_rank_8") == model.resolve()
    for name in ("no_prior", "no_question_guidance", "content_grid_2"):
        row, folder = made.rows[name], made.start(name)
        network, processor = load_model(str(folder))
        for setting, value in row.get("model", {}).items():
            assert getattr(network.config, setting) == value
        for setting, value in row.get("prompt", {}).items():
            assert getattr(processor.prompt, setting) == value
        assert (folder / "model.safetensors").samefile(model / "model.safetensors")


def unlink(path: Path) -> None:
    path.unlink()


def overlap(path: Path) -> None:
    """The first clip that is tested on is trained on too, under another name."""
    clips = path.parents[4] / "data" / "clips"
    (clips / "00020.mp4").write_bytes((clips / "00001.mp4").read_bytes())


def compound(path: Path) -> None:
    path.write_text(path.read_text().replace("happiness", "anger_disgust"))


@pytest.mark.parametrize(
    ("file", "spoil", "words"),
    [
        ("RAF-DB/basic/EmoLabel/list_patition_label.txt", unlink, "list_patition_label.txt"),
        ("RAF-DB/basic/Image/aligned/train_00005_aligned.jpg", unlink, r"label\.txt:5: .*_aligned\.jpg is not there"),
        ("MAFW/data/clips/00007.mp4", unlink, r"set_1/train\.txt:3: .*00007\.mp4 is not there"),
        ("MAFW/Train & Test Set/single/no_caption/set_2/test.txt", compound, r"set_2/test\.txt:1: label 'anger_dis"),
        ("MAFW/Train & Test Set/single/no_caption/set_1/test.txt", overlap, r"set_1/test\.txt:1: fold 1 tests on the"),
    ],
)
def test_mistakes_end_it_before_anything_is_made(model, miniature, tmp_path, file, spoil, words):
    shutil.copytree(miniature, tmp_path / "data")
    spoil(tmp_path / "data" / file)
    with pytest.raises((ValueError, OSError), match=words):
        recipe(tmp_path / "data", tmp_path / "work", model).run([run.PLAIN])
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_the_demo_makes_every_row(tmp_path):
    subprocess.run(["bash", str(RECIPE / "demo.sh"), str(tmp_path)], check=True)
    table = json.loads((tmp_path / "run" / "table.json").read_text("utf-8"))
    settings = run.read_recipe(tmp_path / "data")
    assert set(table["rows"]) == {run.PLAIN, *settings["ablations"], *settings["cross_modality"]}
