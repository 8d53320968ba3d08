"""The error for what cannot be converted."""

from ..input_error import InputError


class ConversionError(InputError):
    """
    A checkpoint cannot be converted as it was asked for: a file is damaged, a tensor is unknown, missing or of the
    wrong shape, or an argument does not fit. The message names it.
    """
