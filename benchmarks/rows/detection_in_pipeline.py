"""Finding faces as `pipeline("emotion-chat")` does, at emo-llama-mini's settings, beside facenet-pytorch at its own.

They are not the same settings, so boxes are not compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.row import Row
from inputs.photos import photos
from inputs.pictures import CASES, load
from peers.facenet import FACENET


def package(case: str, inputs: Path) -> Callable[[], Any]:
    from emo_llama_hf import EmoLlamaProcessor, default_model

    finder, pictures = EmoLlamaProcessor.from_pretrained(default_model()).faces, load(case, inputs)
    return lambda: finder.detect(pictures)


ROW = Row(cases=CASES, item="picture", package=package, peers={"facenet-pytorch": FACENET}, inputs=(photos,),
          told=lambda given: None)  # fmt: skip
