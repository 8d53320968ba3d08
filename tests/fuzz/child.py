"""A fuzzed input in a process of its own, with limits of time and memory."""

import contextlib
import faulthandler
import json
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType

from case import Case, Outcome, judge
from hypothesis import given

SECONDS, MEMORY = 20, 2 * 1024**3
DICE = 2**15  # random bytes that an input is drawn from


def drawn(kind: ModuleType, seed: int, number: int) -> Case:
    """
    An input, the same for the same arguments.

    Args:
        kind (module): one of `KINDS`.
        seed, number (`int`)
    """
    found: list[Case] = []

    @given(case=kind.cases())
    def take(case: Case) -> None:
        found.append(case)

    for attempt in count():  # a strategy may turn down what it is given
        take.hypothesis.fuzz_one_input(random.Random(f"{kind.__name__} {seed} {number} {attempt}").randbytes(DICE))
        if found:
            return found[0]
    raise AssertionError


class Child:
    """
    A fork of this process that draws a case and judges it.

    Args:
        make (`Callable`): gives the case; called in the fork, which may not survive that either.
        folder (`Path`): made for its files; removed again unless something was found.
        seconds, memory (`int`):
            Limits: of time, waiting for a core not counted, and of memory, in bytes beyond what this process has.
    """

    def __init__(self, make: Callable[[], Case], folder: Path, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self._seconds = folder, seconds
        self._report = folder / "report.json"
        self._start = time.monotonic()
        self._process = os.fork()
        if self._process == 0:
            try:
                self._live(make, memory)
            finally:
                os._exit(0)

    def _live(self, make: Callable[[], Case], memory: int) -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        log = open(self.folder / "log.txt", "w")
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        faulthandler.enable(log)
        faulthandler.register(signal.SIGUSR1, log)
        try:
            case = make()
        except BaseException as error:
            outcome = Outcome("bad strategy", repr(error))
        else:
            (self.folder / "case.txt").write_text(f"{case.change!a}\n")
            work = self.folder / "work"
            work.mkdir()
            outcome = judge(case, work)
        self._report.write_text(json.dumps([outcome.kind, outcome.text]))

    def outcome(self) -> Outcome | None:
        """What became of it; `None` while it is running."""
        process, status = os.waitpid(self._process, os.WNOHANG)
        if process == 0:
            if time.monotonic() - self._start - self._waited() < self._seconds:
                return None
            os.kill(self._process, signal.SIGUSR1)  # it writes down where it hangs
            time.sleep(0.5)
            self.kill()
            return Outcome("hang", f"over {self._seconds} s")
        with contextlib.suppress(OSError, ValueError):
            outcome = Outcome(*json.loads(self._report.read_text()))
            if not outcome.is_finding:
                shutil.rmtree(self.folder)
            return outcome
        ended = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"status {status}"
        return Outcome("crash", ended)

    def _waited(self) -> float:
        """Seconds in which it could have gone on, had there been a core for it."""
        with contextlib.suppress(OSError):
            return int(Path(f"/proc/{self._process}/schedstat").read_text().split()[1]) / 1e9
        return 0.0

    def kill(self) -> None:
        """End it, whatever it is doing."""
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def outcome_in_child(make: Callable[[], Case], folder: Path, **limits: float) -> Outcome:
    """What becomes of one case, see [`Child`]."""
    child = Child(make, folder, **limits)
    while (outcome := child.outcome()) is None:
        time.sleep(0.01)
    return outcome
