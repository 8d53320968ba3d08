"""Model folders in which a JSON file was changed: loaded, and asked about a picture."""

import random
from functools import cache
from pathlib import Path

from case import Case, check_scores
from hypothesis import strategies as st
from json_mutations import linked_copy, mutated
from pictures import picture

from emo_llama_hf.chat.pipeline import EmotionChatPipeline
from emo_llama_hf.default_model import default_model
from emo_llama_hf.load_model import load_model

CHECKPOINT = Path(default_model())
TOKENIZERS = [
    f"{folder}{name}" for folder in ("", "qformer_tokenizer/") for name in ("tokenizer_config.json", "tokenizer.json")
]
FILES = ["config.json", "processor_config.json", "face_detector/config.json", "generation_config.json", *TOKENIZERS]


@cache
def content_of(file: str) -> bytes:
    return (CHECKPOINT / file).read_bytes()


def load_and_ask(folder: Path, file: str, content: bytes) -> None:
    """Open the default checkpoint with one file of this content, and ask it about a picture."""
    linked_copy(CHECKPOINT, folder / "model", file).write_bytes(content)
    model, processor = load_model(str(folder / "model"))
    check_scores(EmotionChatPipeline(model=model, processor=processor)(picture("RGB"), max_new_tokens=2))


@st.composite
def cases(draw: st.DrawFn, cheap: bool = False) -> Case:
    """Changed folders; there are no cheap ones."""
    file = draw(st.sampled_from(FILES))
    change, content = mutated(content_of(file), random.Random(draw(st.integers(0, 2**64))))
    return Case(f"{file}: {change}", lambda folder: load_and_ask(folder, file, content), names=(file, "model"))
