"""A command timed as a process of its own."""

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence

from harness.row import Measured


def command(words: Sequence[str]) -> Measured:
    """
    Run it to its end.

    Returns:
        [`Measured`]: wall clock time, the process' largest resident set, and what it printed.

    Raises:
        `RuntimeError`: it failed; the last lines that it printed.
    """
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(words, stdout=printed, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(words)[:200]}: {said.read()[-500:]}")
        printed.seek(0)
        return Measured(seconds, printed.read(), usage.ru_maxrss * 1024)
