"""From nothing: processes that import, load emo-llama-mini and answer about a photo, or only show help.

Times are of whole processes, whose files are in the page cache, and memory is theirs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.command import command
from harness.emo_llama import emo_llama
from harness.row import Row
from inputs.photos import photos

IMPORT = "import emo_llama_hf"
ANSWER = """\
import sys, emo_llama_hf
from transformers import pipeline
pipeline("emotion-chat", model=emo_llama_hf.default_model())(sys.argv[1])
"""
CASES = ("import, load and first answer", "import emo_llama_hf", "emo-llama --help")


def package(case: str, inputs: Path) -> Callable[[], Any]:
    photo = str(inputs / "512.png")
    return {
        CASES[0]: lambda: command([sys.executable, "-c", ANSWER, photo]),
        CASES[1]: lambda: command([sys.executable, "-c", IMPORT]),
        CASES[2]: lambda: emo_llama("--help"),
    }[case]


ROW = Row(cases=dict.fromkeys(CASES, 1), item="process", package=package, inputs=(photos,),
          told=lambda given: None, repeats=2)  # fmt: skip
