"""The command line's reference: what each command says of itself."""

import os
from contextlib import redirect_stdout
from io import StringIO
from unittest.mock import patch

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from emo_llama_command import COMMANDS, main

PAGE = "reference/command-line.md"
INTRODUCTION = """\
# The command line

`emo-llama COMMAND`, or `python -m emo_llama_hf COMMAND`. The exit code is 0, 1 when something failed, 2 for wrong
usage, 130 when it was interrupted; an error is one line, and `--debug` shows its traceback. `train` and
`cross-validate` also take every option of transformers' `TrainingArguments`."""


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the page."""
    parts = [INTRODUCTION]
    for name in COMMANDS:
        with redirect_stdout(StringIO()) as told, patch.dict(os.environ, COLUMNS="100"):
            main([name, "--help"])
        parts += [f"## emo-llama {name}", f"```text\n{told.getvalue().strip()}\n```"]
    files.append(File.generated(config, PAGE, content="\n\n".join(parts)))
