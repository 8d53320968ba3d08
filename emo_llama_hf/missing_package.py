"""The error for a package that is not installed."""


class MissingPackageError(ImportError):
    """Something optional was asked for, and the package that does it is not installed; the message says how to."""
