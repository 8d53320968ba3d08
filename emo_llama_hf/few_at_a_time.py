"""Work of a pool whose items are submitted a few at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def few_at_a_time(
    pool: Executor, work: Callable[[Item], Result], items: Iterator[Item], limit: int
) -> Iterator[tuple[Item, Future[Result]]]:
    """
    Each item with its future, as they finish. Items are taken from the iterator when there is room for them, so a data
    set of any size never waits in memory.

    Args:
        pool (`Executor`): of threads or processes.
        work (`Callable`): what to do with an item.
        items (`Iterator`)
        limit (`int`): items that are submitted and not finished, at most.
    """
    running: dict[Future[Result], Item] = {}
    while True:
        for item in islice(items, limit - len(running)):
            running[pool.submit(work, item)] = item
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future
