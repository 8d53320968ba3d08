"""Long work that is killed at any moment: nothing half-made has a final name, and it goes on to the same result."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file

from emo_llama_command import main
from emo_llama_hf.data import FaceCache
from emotion_samples import face_folders
from long_runs import COMMANDS, LongRun

LOCKED = ("prepare", "instruct", "evaluate")


def slow_but(*quick: str) -> list:
    """All commands, of which these alone belong to the default suite."""
    return [*quick, *(pytest.param(command, marks=pytest.mark.slow) for command in COMMANDS if command not in quick)]


@pytest.fixture(scope="module")
def long_run(tmp_path_factory, tiny):
    """Each command's run, made once."""
    made: dict[str, LongRun] = {}

    def run(command: str) -> LongRun:
        if command not in made:
            made[command] = LongRun(command, tmp_path_factory.mktemp(command), tiny)
        return made[command]

    return run


def check_what_is_there(run: LongRun) -> None:
    """What lies under a final name can be read."""
    out = run.place / "out"
    if run.command in ("convert", "export"):
        assert not out.exists()
    if run.command == "prepare" and (out / "settings.json").exists():
        FaceCache(out)
    if run.command == "train":
        for checkpoint in [out, *out.glob("checkpoint-*")]:
            if (checkpoint / ("trainer_state.json" if checkpoint != out else "adapter_config.json")).exists():
                assert load_file(checkpoint / "adapter_model.safetensors")
    for picture in run.place.rglob("[!.]*.png"):
        Image.open(picture).load()
    for report in run.place.rglob("[!.]*report.json"):
        json.loads(report.read_text())


def check_it_goes_on(run: LongRun, killed_by: str) -> None:
    again = run.run()
    assert again.code == 0, (killed_by, again.err)
    if run.command != "analyze":  # which begins anew and overwrites nothing
        assert run.result() == run.whole, killed_by


def kill(run: LongRun, at: int) -> None:
    ending = run.anew(at=at)
    assert ending.code == -signal.SIGKILL
    if at < run.moments - 8:  # the output may be there while locks are removed
        check_what_is_there(run)


@pytest.mark.parametrize("command", slow_but("convert", "prepare", "instruct", "evaluate"))
def test_a_kill_at_some_moment(long_run, command):
    run = long_run(command)
    at = random.Random(command).randint(2, run.moments - 8)
    kill(run, at)
    check_it_goes_on(run, f"before change {at}")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_kill_at_every_moment(long_run, command):
    run = long_run(command)
    moments = range(1, run.moments)
    if len(moments) > 40:
        moments = sorted(random.Random(command).sample(moments, 40))
    for at in moments:
        kill(run, at)
        if command not in ("convert", "export") or not (run.place / "out").exists():
            check_it_goes_on(run, f"before change {at}")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_kill_in_the_middle_of_a_file(long_run, command):
    run = long_run(command)
    sizes = sorted({size - 1 for size in run.sizes if size > 1})
    for largest in sorted(random.Random(command).sample(sizes, min(len(sizes), 8))):
        ending = run.anew(largest=largest, deadly=True)
        if ending.code != 0:  # what changes from run to run may be smaller this time
            assert ending.code == -signal.SIGXFSZ
            check_what_is_there(run)
            check_it_goes_on(run, f"in a file of {largest + 1} bytes")


@pytest.mark.parametrize("command", slow_but("instruct"))
def test_an_interrupted_run(long_run, command):
    run = long_run(command)
    at = random.Random(command).randint(2, run.moments - 8)
    ending = run.anew(at=at, signal_sent=signal.SIGINT)
    assert ending.code == 130 and ending.complaint == "Interrupted." and "Traceback" not in ending.err
    assert not [path for path in run.place.rglob(".*") if path.suffix != ".lock"]
    check_it_goes_on(run, f"interrupted before change {at}")


@pytest.mark.parametrize("command", ["convert", *(pytest.param(c, marks=pytest.mark.slow) for c in LOCKED)])
def test_two_runs_at_once(long_run, command):
    """The second is refused while the first one's lock is held, and the first one's result stays as it is."""
    run = long_run(command)
    lock = {"prepare": "out/.settings.json.lock", "evaluate": "out/.results-00000.jsonl.lock"}
    file = run.place / lock.get(command, ".out.lock")
    run.anew() if command != "convert" else run.anew(at=1)
    file.parent.mkdir(exist_ok=True)
    with FileLock(file):
        ending = run.run()
    assert ending.code == 1 and "Another run is writing" in ending.complaint and "Traceback" not in ending.err


@pytest.mark.slow
def test_no_process_outlives_a_killed_parent(tmp_path, tiny):
    data, faces = face_folders(tmp_path / "data", 8), tmp_path / "faces"
    arguments = ["prepare", str(data), "--model", str(tiny), "--faces", str(faces), "--shard-size", "1"]
    command = [sys.executable, "-m", "emo_llama_hf", *arguments, "--num-workers", "2"]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while not [*faces.glob("faces-*")] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(processes_of(process.pid)) > 2
        process.kill()
    while processes_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not processes_of(process.pid)
    assert main(arguments) == 0 and len(FaceCache(faces)) == 24


def processes_of(session: int) -> list[str]:
    """The processes of a session that are not only waiting to be collected."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = status.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has ended meanwhile
            continue
        if int(its_session) == session and state != "Z":
            found.append(status.parent.name)
    return found
