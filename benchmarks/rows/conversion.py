"""Converting a LLaMA-VID checkpoint of the 7B's widths, with 2 of its 32 layers, beside `cp` of the same files.

Before each the source is dropped from the page cache, and the time counts until the output is on the disk, without
imports. Memory is the whole process', the mapped pages of the source included."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.command import command
from harness.row import Measured, Peer, Row
from inputs.llama_vid import FORMATS, checkpoints, vision_file

CONVERT = """\
import os, sys, time
from emo_llama_hf.conversion.llama_vid_files import LlamaVidSource
from emo_llama_hf.conversion.llama_vid_import import import_llama_vid
from emo_llama_hf.conversion.write_settings import WriteSettings
start = time.perf_counter()
import_llama_vid(LlamaVidSource(sys.argv[1], vision=sys.argv[3]), sys.argv[2], settings=WriteSettings(progress=False))
os.sync()
print("seconds", time.perf_counter() - start)
"""


def drop_from_cache(folder: Path) -> None:
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def package(case: str, inputs: Path) -> Callable[[], Any]:
    source = inputs / f"llama-vid-{case}"
    words = [sys.executable, "-c", CONVERT, str(source), "output", str(vision_file(source))]

    def convert() -> Measured:
        drop_from_cache(source)
        ran = command(words)
        written = sum(path.stat().st_size for path in Path("output").rglob("*.safetensors"))
        shutil.rmtree("output")
        return Measured(float(ran.answer.split("seconds")[-1]), written, ran.peak_bytes)

    return convert


def copy(case: str, inputs: Path) -> Callable[[], Any]:
    source = inputs / f"llama-vid-{case}"

    def run() -> Measured:
        drop_from_cache(source)
        start = time.perf_counter()
        ran = command(["cp", "-r", "--reflink=never", str(source), "copy"])
        os.sync()
        seconds = time.perf_counter() - start
        shutil.rmtree("copy")
        return Measured(seconds, peak_bytes=ran.peak_bytes)

    return run


ROW = Row(cases=dict.fromkeys(FORMATS, 1), item="checkpoint", package=package, peers={"cp": Peer(copy)},
          inputs=(checkpoints,), repeats=1, warm=False)  # fmt: skip
