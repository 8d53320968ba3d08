"""The error of the command line."""


class UserError(Exception):
    """A mistake of the user's, told in one line instead of a traceback."""
