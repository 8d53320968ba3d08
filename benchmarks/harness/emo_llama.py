"""The command line, as a process of its own; not by the name `emo-llama`, which may be another installation's."""

import sys

from harness.command import command
from harness.row import Measured


def emo_llama(*words: str) -> Measured:
    """
    Run a command to its end.

    Args:
        words (`str`): what stands behind `emo-llama`.
    """
    return command([sys.executable, "-c", "import sys; from emo_llama_command import main; sys.exit(main())", *words])
