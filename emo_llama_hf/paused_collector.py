"""Importing much without Python's garbage collector, which would look through all of it again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """
    Nothing is collected inside the `with` block, and what is made there counts as old after it.

    For imports: hardly anything that they make is ever freed, and the collector takes a sixth of the time of those of
    torch and transformers.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # what somebody else froze must stay so
            gc.freeze()
            gc.unfreeze()  # into the oldest generation, which is looked through last
        gc.enable()
