"""The card of an export: what is in the folder, and how it is run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from huggingface_hub import ModelCard, ModelCardData

from ..modeling.configuration_emo_llama import EmoLlamaConfig
from .graphs import AXES

if TYPE_CHECKING:
    from transformers.exporters import ExportedComponent

TEXT = """
# An EmoLlama as {format}

It tells the *perceived* emotion in a photo or video, as the model that it was exported from does: guesses about how a
face looks, often wrong. Whatever that model's card says about use, limits and terms holds for this export.

```python
import emo_llama_hf
from transformers import pipeline

model, processor = emo_llama_hf.load_model("FOLDER", trust_export=True)  # this one
pipe = pipeline("emotion-chat", model=model, processor=processor)
print(pipe("photo.jpg"))
```

`emo-llama analyze photo.jpg --model FOLDER --trust-export` does the same; `pip install 'emo_llama_hf[export]'` brings
what is needed. Graphs are programs: trust those of people whom you would let run code.
`AutoProcessor.from_pretrained` opens the processor. Default labels: {labels}.

## The graphs

In the order in which they are called; `export.json` says in which file each is. Axes of any length have a name, all
others are fixed.

| graph | inputs | what it is |
|---|---|---|
{rows}

Frames and face crops are those of the processor. Visual tokens take the place of the embeddings of the placeholder,
token {image_token_id}, frame after frame. `language_model` gives `logits`, and the cache with what it has just read;
each layer has keys and values there. Reading begins with a cache of length 0.
"""

ABOUT = {
    "face_prior": "face crops to a face map, landmarks, logits of perceived age, gender and race",
    "vision_model": "frames to vision features",
    "visual_tokens": "Q-Former, Face Info Mining and projection: vision features to visual tokens",
    "embed_tokens": "tokens to embeddings",
    "language_model": "embeddings and cache to logits and cache",
}


def export_card(format: str, config: EmoLlamaConfig, graphs: Mapping[str, "ExportedComponent"]) -> ModelCard:
    """
    The card of an export.

    Args:
        format (`str`): what it was exported to.
        config ([`EmoLlamaConfig`]): of the model.
        graphs (`dict`): the graphs by their names.
    """
    rows = []
    for name, graph in graphs.items():
        inputs = [_input(name, key, dict(value)) for key, value in graph.metadata.kwargs.items()]
        rows.append(f"| `{name}` | {', '.join(inputs)} | {ABOUT[name]} |")
    text = TEXT.format(
        format=format,
        labels=", ".join(config.emotion_labels),
        rows="\n".join(rows),
        image_token_id=config.image_token_id,
    )
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        tags=["emo_llama", "emotion", "facial-expression-recognition", format],
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n{text}")


def _input(graph: str, name: str, traced: dict[str, Any]) -> str:
    """An input with the names and lengths of its axes."""
    shape = traced.get("shape") or traced["shapes"][0][0]  # of a cache, each layer has keys and values of this shape
    axes = [AXES[graph][name].get(axis, str(length)) for axis, length in enumerate(shape)]
    return f"`{name}` ({', '.join(axes)})"
