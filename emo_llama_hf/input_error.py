"""The error for what a caller gave."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """
    An argument, a setting or a file is wrong; the message names it, what was wrong and what to do.

    A `ValueError` that no mistake of the package itself raises: the command line tells it in one line, and shows
    anything else with its traceback.
    """


@contextmanager
def input_errors() -> Iterator[None]:
    """Make an [`InputError`] of a `ValueError` of `processing`, where all of these are about what the caller gave."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error
