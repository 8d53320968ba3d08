"""No room left: one line that names the file, nothing half-made, and what was there before stays."""

import errno
import random
import resource
import signal

import pytest
import torch
from safetensors.torch import save_file

from emo_llama_hf.whole_file import append, whole_file, whole_files, write_text
from long_runs import COMMANDS, LongRun

QUICK = ("instruct", "export")
EVERY = [*QUICK, *(pytest.param(command, marks=pytest.mark.slow) for command in COMMANDS if command not in QUICK)]


@pytest.fixture
def room():
    """Limit the bytes of a file in this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(bytes(9000)),
        lambda path: save_file({"weight": torch.zeros(9000)}, path),
        lambda path: torch.save(torch.zeros(9000), path),
    ],
    ids=["Python", "safetensors", "torch"],
)
def test_the_file_that_is_wanted_is_named(tmp_path, room, write):
    path = tmp_path / "weights"
    write_text(path, "earlier")
    room(5000)
    with pytest.raises(OSError, match=f"'{path}'") as caught, whole_file(path) as unfinished:
        write(unfinished)
    assert caught.value.errno in (errno.EFBIG, errno.ENOSPC) and ".part" not in str(caught.value)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("weights", "earlier")]


def test_files_that_belong_together_all_stay(tmp_path, room):
    write_text(tmp_path / "config.json", "earlier")
    room(5000)
    with pytest.raises(OSError, match=f"'{tmp_path}'"), whole_files(tmp_path, ("config.json",)) as unfinished:
        (unfinished / "config.json").write_text("later")
        save_file({"weight": torch.zeros(9000)}, unfinished / "weights")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("config.json", "earlier")]


def test_other_errors_stay_what_they_are(tmp_path):
    error = ValueError("no such label (os error 2)")
    with pytest.raises(ValueError) as caught, whole_file(tmp_path / "file"):
        raise error
    assert caught.value is error


def test_half_a_line_is_taken_back(tmp_path, room):
    with open(tmp_path / "lines", "ab", buffering=0) as file:
        append(file, b"first\n")
        room(10)
        with pytest.raises(OSError, match="lines"):
            append(file, b"second\n")
        room(1000)
        assert append(file, b"third\n") == 6
    assert (tmp_path / "lines").read_bytes() == b"first\nthird\n"


@pytest.mark.parametrize("command", EVERY)
def test_a_command_says_so_in_one_line_and_goes_on_later(tmp_path, tiny, command):
    run = LongRun(command, tmp_path, tiny)
    sizes = sorted({size - 1 for size in run.sizes if size > 500})
    for largest in random.Random(command).sample(sizes, 1 if command in QUICK else min(len(sizes), 6)):
        ending = run.anew(largest=largest)
        if ending.code == 0:  # what changes from run to run may be smaller this time
            continue
        assert ending.code == 1 and "Traceback" not in ending.err
        assert ending.complaint.startswith("emo-llama: [Errno") and str(run.place) in ending.complaint
        assert not [path for path in run.place.rglob(".*") if path.suffix != ".lock"]
        if command in ("convert", "export"):
            assert not (run.place / "out").exists()
        again = run.run()
        assert again.code == 0, again.err
        assert command == "analyze" or run.result() == run.whole
