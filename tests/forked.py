"""A process of its own that need not import everything anew."""

from collections.abc import Callable
from multiprocessing import get_context
from typing import Any


def forked(work: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    """Exit code (negative: the signal) and result, if there is one, of `work` in a fork of this process."""
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def call() -> None:
        import torch

        torch.set_num_threads(1)  # other threads of OpenMP did not come along
        sender.send(work(*arguments))

    process = context.Process(target=call)
    process.start()
    sender.close()
    try:
        result = receiver.recv() if receiver.poll(300) else None
    except EOFError:  # it ended without
        result = None
    process.join(60)
    return process.exitcode, result
