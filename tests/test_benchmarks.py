"""The harness of the benchmarks on a row of its own, and the rows themselves as far as nothing is measured."""

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
PAGE = BENCHMARKS.parent / "docs" / "benchmarks"
FILES = sorted((BENCHMARKS / "rows").glob("*.py"))
FAKE = '''
"""A row whose answers come as fast as they are told to."""

import time
from pathlib import Path

from harness.row import Measured, Peer, Row


def package(case, inputs):
    assert (inputs / "made").read_text() == "once"
    name = Path(__import__("importlib.util").util.find_spec("emo_llama_hf").origin).parent.parent.name
    if case == "odd" and name == "before":
        raise ValueError("not | here")
    return lambda: Measured({"ours": 0.5, "before": 1.0}[name] * int(CASES[case]), case)


def slow(case, inputs):
    return lambda: Measured(1.5 * CASES[case], case if case == "even" else "another")


def dies(case, inputs):
    raise SystemExit("the side is gone")


def make(folder):
    path = folder / "made"
    path.write_text("twice" if path.exists() else "once")


def check(case, answers):
    assert len(set(answers.values())) == 1, sorted(answers.values())


CASES = {"even": 2, "odd": 3}
ROW = Row(
    cases=CASES,
    item="thing",
    package=package,
    peers={"slow": Peer(slow), "dies": Peer(dies), "absent": Peer(slow, packages=("no-such-package==1.0",))},
    inputs=(make, make),
    check=check,
    repeats=2,
    warm=False,
)
'''


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=BENCHMARKS, capture_output=True, check=True, text=True).stdout


@pytest.fixture(scope="module")
def run():
    """`benchmarks/run.py`; its folder is on the path for these tests only, as others have a `run.py` too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        spec = spec_from_file_location("benchmarks_run", BENCHMARKS / "run.py")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def measured(run, tmp_path_factory):
    """The results of the fake row, with folders for the trees that hold nothing but the package's name."""
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in ("ours", "before"):
        (folder / name / "emo_llama_hf").mkdir(parents=True)
        (folder / name / "emo_llama_hf" / "__init__.py").touch()
    (folder / "rows").mkdir()
    (folder / "rows" / "fake_row.py").write_text(FAKE)

    class Earlier:
        def __init__(self, commit):
            assert commit == "3a2ff49"

        def __enter__(self):
            return folder / "before"

        def __exit__(self, *error):
            return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "ROOT", folder / "ours")
        patch.setattr(run, "earlier", Earlier)
        files = run.row_files(folder / "rows")
        patch.setattr(run, "row_files", lambda: files)
        patch.setattr(run, "commit", lambda: "abc1234")
        code = run.main(["--all", "--rounds", "2", "--output", str(folder / "out")])
        patch.setattr(run, "measure_row", None)  # nothing is left to measure
        assert run.main(["--missing", "--rounds", "2", "--output", str(folder / "out")]) == 0
    return code, json.loads((folder / "out" / "fake-row.json").read_text()), folder / "out"


def test_ratios_are_of_the_medians(measured):
    _, kept, _ = measured
    even = kept["cases"]["even"]
    assert even["count"] == 2 and even["sides"]["ours"]["rounds_s"] == [[1.0, 1.0]] * 2
    assert even["sides"]["ours"]["median_s"] == 1.0 and even["sides"]["ours"]["peak_bytes"] > 2**20
    assert {name: even["ratios"][name]["ratio"] for name in ("before", "slow")} == {"before": 2.0, "slow": 3.0}
    assert "differs" not in even


def test_what_fails_or_is_missing_is_told_and_ends_nothing(measured):
    code, kept, out = measured
    even, odd = kept["cases"].values()
    assert odd["sides"]["before"] == {"problem": "ValueError: not | here"} and "before" not in odd["ratios"]
    assert odd["ratios"]["slow"]["ratio"] == 3.0
    assert odd["differs"] == "AssertionError: ['another', 'odd']" and code == 1
    assert even["sides"]["dies"] == odd["sides"]["dies"] == {"problem": "the side is gone"}
    assert even["sides"]["absent"]["problem"] == "not installed: pip install --no-deps no-such-package==1.0"
    page = (out / "index.md").read_text()
    for told in (
        "2.00 (2.00 to 2.00)",
        "not \\| here",
        "the side is gone",
        "no-such-package==1.0",
        "['another', 'odd']",
    ):
        assert told in page


def test_results_say_what_they_were_made_on(measured):
    _, kept, out = measured
    assert {"date", "commit", "before", "rounds", "threads", "machine", "versions", "about"} <= kept.keys()
    assert kept["machine"]["cores"] >= 1 and kept["machine"]["memory_bytes"] > 2**28
    assert kept["versions"]["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert (out / "ratios.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not (BENCHMARKS.parent / ".git").exists(), reason="needs a git checkout")
def test_the_state_before_is_there_as_long_as_it_is_needed(run):
    with run.earlier("HEAD") as tree:
        assert (tree / "emo_llama_hf" / "__init__.py").is_file()
        assert str(tree) in git("worktree", "list")
    assert not tree.exists() and str(tree) not in git("worktree", "list")


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_exponent_is_that_of_the_growth(run, power):
    from harness.results import exponent

    assert exponent([4, 8, 16], [3e-3 * size**power for size in (4, 8, 16)]) == pytest.approx(power)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_loads_and_names_its_sides(run, path):
    from harness.row import Row

    row = run.load_row(path)
    assert isinstance(row, Row) and row.about.endswith(".")
    assert list(row.sides)[:2] == ["ours", "before"] and all(map(callable, row.sides.values()))
    assert row.cases and all(count >= 1 for count in row.cases.values())
    assert not row.grows or (len(row.cases) >= 5 and sorted(row.cases.values()) == list(row.cases.values()))
    assert all(peer.missing is None or "pip install --no-deps" in peer.missing for peer in row.peers.values())


def test_the_row_of_contributing_is_one(run, tmp_path):
    from PIL import Image

    text = (BENCHMARKS.parent / "CONTRIBUTING.md").read_text("utf-8")
    (tmp_path / "reading.py").write_text(text.split("## Add a benchmark")[1].split("```python\n")[1].split("```")[0])
    row = run.load_row(tmp_path / "reading.py")
    Image.new("RGB", (5, 3)).save(tmp_path / "512.png")
    assert row.name == "reading" and row.package("512.png", tmp_path)() == (5, 3)


def test_the_page_is_that_of_the_results(run):
    from harness.page import page, results

    found = results(PAGE)
    assert (PAGE / "index.md").read_text("utf-8") == page(found)
    known = {path.stem.replace("_", "-") for path in FILES}
    assert {kept["row"] for kept in found} <= known
    assert not known - {kept["row"] for kept in found}
