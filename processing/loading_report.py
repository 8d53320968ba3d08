"""Whether weights were those of their configuration: transformers only warns, and what is missing is random."""

from collections.abc import Mapping
from typing import Any

NAMED = 3  # weights named in a message


def loading_problem(report: Mapping[str, Any]) -> str | None:
    """
    What was wrong with the weights of a file.

    Args:
        report (`dict`): what `from_pretrained` gives with `output_loading_info=True`.

    Returns:
        `str`, *optional*: the missing, unknown or misshapen weights by name; `None` where there are none.
    """
    misshapen = {
        f"{name} of shape {tuple(found)}, not {tuple(want)}" for name, found, want in report["mismatched_keys"]
    }
    for what, names in (
        ("lack", report["missing_keys"]),
        ("have, beyond those of the configuration,", report["unexpected_keys"]),
        ("have", misshapen),
    ):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            return f"the weights {what} {', '.join(sorted(names)[:NAMED])}{more}: get a whole copy"
    return None
