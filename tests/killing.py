"""Commands in processes of their own that are killed, interrupted or run out of room at a chosen moment."""

import multiprocessing
import os
import re
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import emo_llama_command

# Forked from a server that has imported everything and computed nothing: a run starts at once, and nothing of pytest's
# threads comes along.
CONTEXT = multiprocessing.get_context("forkserver")
COMMANDS = [f"emo_llama_hf.command_line.{name.replace('-', '_')}" for name in emo_llama_command.COMMANDS]
CONTEXT.set_forkserver_preload([*COMMANDS, "emo_llama_hf.training.train", "matplotlib.backends.backend_agg"])

# What Python tells an audit hook before it changes a file or folder, whose path comes first.
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod"}
FOR_WRITING = os.O_WRONLY | os.O_RDWR
PATIENCE = 300  # seconds until a run is taken to hang


@dataclass(frozen=True)
class Ending:
    """How a run ended: exit code, negative for a signal; what it printed; to how many changes of files it came."""

    code: int
    out: str
    err: str
    moments: int

    @property
    def complaint(self) -> str:
        """What the command line said in the end, among progress bars that go up a line."""
        lines = [line.replace("\x1b[A", "").strip() for line in re.split("[\r\n]", self.err)]
        return [line for line in lines if line.startswith(("emo-llama:", "Interrupted"))][-1]


def run(
    arguments: list[str],
    around: Path,
    at: int | None = None,
    signal_sent: int = signal.SIGKILL,
    largest: int | None = None,
    deadly: bool = False,
) -> Ending:
    """
    Run `emo-llama` with these arguments.

    Before its change number `at` (from 1) of a file under `around`, `signal_sent` comes. No file can have more than
    `largest` bytes: writing on is an `OSError`, as on a full disk, or, where that is `deadly`, ends the process.
    """
    log = around.with_name(f"{around.name}.log")
    log.mkdir(exist_ok=True)
    process = CONTEXT.Process(target=_work, args=(arguments, around, log, at, signal_sent, largest, deadly))
    process.start()
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        raise AssertionError("it hangs: " + (log / "err").read_text())
    # What is killed may have written half a character.
    out, err, moments = ((log / name).read_text(errors="replace") for name in ("out", "err", "moments"))
    return Ending(process.exitcode, out, err, len(moments))


def _work(
    arguments: list[str],
    around: Path,
    log: Path,
    at: int | None,
    signal_sent: int,
    largest: int | None,
    deadly: bool,
) -> None:
    import torch

    from emo_llama_command import main

    torch.set_num_threads(1)
    for number, name in enumerate(("out", "err", "moments"), 1):
        file = os.open(log / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        os.dup2(file, number if number < 3 else 99)
    inside, flush, count = os.path.abspath(around) + os.sep, os.fsync, 0

    def moment() -> None:
        nonlocal count
        count += 1
        os.write(99, b".")
        if count == at:
            os.kill(os.getpid(), signal_sent)

    def watch(event: str, args: tuple) -> None:
        if event in CHANGES or (event == "open" and args[2] & FOR_WRITING):
            path = args[0]
            if isinstance(path, str | bytes | os.PathLike) and os.path.abspath(os.fsdecode(path)).startswith(inside):
                moment()

    def fsync(number: int) -> None:
        moment()
        flush(number)

    sys.addaudithook(watch)
    os.fsync = fsync  # which no hook is told of
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if largest is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if deadly else signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    code = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
