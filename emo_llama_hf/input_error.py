"""The error for what a caller gave."""


class InputError(ValueError):
    """
    An argument, a setting or a file is wrong; the message names it, what was wrong and what to do.

    A `ValueError` that no mistake of the package itself raises: the command line tells it in one line, and shows
    anything else with its traceback.
    """
