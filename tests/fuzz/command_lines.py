"""Command lines: options and values that somebody may type. An error is a line, and its exit code is 1 or 2."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from case import Case, WrongAnswer
from checkpoints import LLAMA_VID
from hypothesis import strategies as st
from pictures import file
from records import LAYOUTS

import media
from emo_llama_command import main
from emo_llama_hf.chat import open_pipeline
from emo_llama_hf.default_model import default_model
from emo_llama_hf.load_model import load_model

TRACES = re.compile(r"Traceback|Error:.*\n.*File \"")
WORDS = [
    "", " ", "-1", "0", "1", "2", "1.5", "1e9", "nan", "99999999999999999999", "x", "a,b", ",", "happy,sad", "true",
    "None",
    "--", "-", "--foo", "-h", "--help", "é", "\ud800", "a\0b", "x" * 3000, "/", ".", "..", "/dev/null", "*", "%s",
    "{}", "[",
    "1,2", "fold=2", "root=3", "=", "a=b", "cpu", "cuda", "cuda:9", "meta", "mps", "auto", "float16", "int8",
    "no/such-model",
    "template", "openai", "gemini", "category", "conversation", "raise", "skip", "keep", "common", "train", "both",
    "5GB", "0B",
]  # fmt: skip
FILES = [
    "a.png",
    "t.csv",
    "t.jsonl",
    "empty.png",
    "no.png",
    "broken.png",
    "clip.gif",
    "folder",
    "faces",
    "model",
    "out",
    "llama_vid",
]
OPTIONS: dict[str, list[str]] = {
    "analyze": ["--model", "--device", "--dtype", "--labels", "--question", "--batch-size", "--max-new-tokens",
                "--no-attributes", "--allow-private", "--json", "--save-annotated", "--debug", "--device-map",
                "--load-in-4bit", "--load-in-8bit"],
    "chat": ["--model", "--device", "--dtype", "--max-new-tokens", "--allow-private", "--load-in-4bit"],
    "info": ["--model", "--device", "--dtype", "--device-map"],
    "evaluate": ["--output", "--model", "--labels", "--faces", "--folds", "--protocol", "--no-attributes",
    "--batch-size",
                 "--max-new-tokens", "--layout", "--split", "--label-map", "--data-option", "--on-error", "--dtype"],
    "prepare": ["--faces", "--model", "--device", "--no-attributes", "--num-workers", "--shard-size", "--layout",
    "--split",
                "--label-map", "--data-option", "--on-error"],
    "instruct": ["--output", "--labels", "--kinds", "--writer", "--writer-model", "--base-url", "--api-key-env",
                 "--temperature", "--timeout", "--questions-per-record", "--turns", "--num-frames", "--prompt",
                 "--max-attempts",
                 "--max-retries", "--requests-per-minute", "--concurrency", "--prices", "--max-cost", "--per-emotion",
                 "--seed",
                 "--layout", "--split", "--label-map", "--data-option", "--on-error"],
    "convert": ["--output", "--to", "--base", "--vision", "--qformer", "--bert", "--facexformer", "--mtcnn",
    "--keep-adapter",
                "--image-size", "--vision-heads", "--qformer-heads", "--dtype", "--max-shard-size", "--dry-run"],
    "train": ["--output", "--model", "--dtype", "--labels", "--faces", "--eval-data", "--eval-split", "--eval-faces",
    "--parts",
              "--lora-targets", "--learning-rates", "--learning-rate", "--max-steps", "--num-train-epochs", "--seed",
              "--per-device-train-batch-size", "--warmup-ratio", "--lr-scheduler-type", "--report-to",
              "--eval-strategy",
              "--save-strategy", "--fp16", "--bf16", "--layout", "--split", "--label-map", "--data-option",
              "--on-error"],
}  # fmt: skip
FLAGS = {"--no-attributes", "--allow-private", "--json", "--debug", "--keep-adapter", "--dry-run", "--fp16", "--bf16",
         "--load-in-4bit", "--load-in-8bit"}  # fmt: skip
MUST = {"evaluate": ["--output", "out"], "instruct": ["--output", "out/o.jsonl"], "convert": ["--output", "out"],
    "train": [
    "--output", "out", "--use-cpu", "true", "--max-steps", "1", "--report-to", "none", "--disable-tqdm",
    "true"]}  # fmt: skip


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """With this as the working directory; `contextlib.chdir` came with Python 3.11."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@st.composite
def cases(draw: st.DrawFn, cheap: bool = False) -> Case:
    """A command with options. `cheap`: one that ends before a model is opened."""
    command = draw(
        st.sampled_from([*OPTIONS, "analyze", "", "--version", "analyse"] if not cheap else ["instruct", "convert"])
    )
    options = OPTIONS.get(command, OPTIONS["info"])
    words: list[str] = []
    if draw(st.integers(0, 9)):
        words += [draw(st.sampled_from(FILES if draw(st.integers(0, 4)) else WORDS))]
    for option in draw(st.lists(st.sampled_from(options), max_size=3)):
        words.append(option)
        if option not in FLAGS and draw(st.integers(0, 19)):
            words.append(draw(st.sampled_from(WORDS if draw(st.booleans()) else FILES)))
    if draw(st.integers(0, 14)) == 0:
        words.append(draw(st.sampled_from([*WORDS, *chain(*OPTIONS.values())])))
    if draw(st.integers(0, 9)):
        words += MUST.get(command, [])
    if command in ("analyze", "chat") and "--max-new-tokens" not in words:
        words += ["--max-new-tokens", "2"]
    said = draw(st.sampled_from(["", "a.png\nWhy?\n", "Why?\n\n", "no.png\n", "\0\n"]))
    arguments = [command, *words] if command else words
    png, text = file("PNG", "RGB"), LAYOUTS["csv"][1]
    files = {"a.png": png, "b.png": png, "t.csv": text, "t.jsonl": LAYOUTS["jsonl"][1], "empty.png": b"",
        "broken.png": png[:99],
             "clip.gif": media.animation("GIF", [100, 100]), "folder/happy/a.png": png,
             "faces/settings.json": b"{}"}  # fmt: skip

    def ask(folder: Path) -> None:
        (folder / "model").symlink_to(default_model())
        (folder / "llama_vid").symlink_to(LLAMA_VID)
        outputs = io.StringIO(), io.StringIO()
        given, sys.stdin = sys.stdin, io.StringIO(said)
        with inside(folder), contextlib.redirect_stdout(outputs[0]), contextlib.redirect_stderr(outputs[1]):
            try:
                code: Any = main(arguments)
            finally:
                sys.stdin = given
        _, errors = (output.getvalue() for output in outputs)
        lines = [line for line in errors.splitlines() if line.strip()]
        if code not in (0, 1, 2):
            raise WrongAnswer(f"exit code {code}: {errors[-300:]}")
        if TRACES.search(errors) and "--debug" not in arguments:
            raise WrongAnswer(f"a traceback: {errors[-600:]}")
        if code and len(lines[-1] if lines else "") < 20:
            raise WrongAnswer(f"exit code {code} without a sentence: {errors[-300:]}")
        if code:
            raise ValueError(f"`arguments`: {lines[-1]}")  # refused

    return Case(" ".join(arguments)[:600], ask, files)


def warm() -> None:
    """Import what commands import late, and open the default model once for all of them."""
    import_module("emo_llama_hf.training.train")
    opened = load_model(None, device="cpu")
    load = open_pipeline.load_model

    def loaded(model: Any, **settings: Any) -> Any:
        is_default = model is None and {k: v for k, v in settings.items() if v} == {"dtype": "auto", "device": "cpu"}
        return opened if is_default else load(model, **settings)

    open_pipeline.load_model = loaded
