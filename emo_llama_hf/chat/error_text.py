"""What is told of an input that could not be answered."""

from transformers.utils import logging

logger = logging.get_logger(__name__)

EXPECTED = (ValueError, OSError, TypeError, FloatingPointError)


def error_text(error: Exception) -> str:
    """The message of an error; one that nobody expected keeps its type, and its traceback goes to the log."""
    if isinstance(error, EXPECTED) and str(error):
        return str(error)
    logger.error("An input could not be answered.", exc_info=error)
    return f"{type(error).__name__}: {error}"
