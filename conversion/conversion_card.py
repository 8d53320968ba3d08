"""The model card of a converted checkpoint: what it is made of, and under which terms."""

from huggingface_hub import ModelCard, ModelCardData

from ..modeling.configuration_emo_llama import EmoLlamaConfig
from .provenance import Provenance

LLAMA_VID = (
    "LLaMA-VID",
    "https://github.com/dvlab-research/LLaMA-VID",
    "code Apache-2.0, weights CC BY-NC 4.0, for research only",
)
EVA_CLIP = ("EVA-CLIP ViT-g (LAVIS)", "https://github.com/salesforce/LAVIS", "BSD-3-Clause")
VICUNA = ("Vicuna", "https://huggingface.co/lmsys/vicuna-7b-v1.5", "LLaMA 2 Community Licence")
FACE_X_FORMER = ("FaceXFormer", "https://github.com/Kartik-3004/facexformer", "MIT")
MTCNN = ("MTCNN (facenet-pytorch)", "https://github.com/timesler/facenet-pytorch", "MIT")

TEXT = """
# {title}

[LLaMA-VID](https://arxiv.org/abs/2311.17043) weights{with_faces} in the format of `emo_llama_hf`, an implementation of
[EMO-LLaMA](https://arxiv.org/abs/2408.11424) on Hugging Face transformers. Converted, not trained: {behaviour}

Converted from `{source}`{base}. The terms of all parts apply together:

| part | from | terms |
|---|---|---|
{parts}

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("{name}", trust_remote_code=True)
processor = AutoProcessor.from_pretrained("{name}", trust_remote_code=True)
```

Emotion, age, gender and race are what a network *perceives* in a picture: guesses, often wrong, that say nothing
certain about the person shown. Do not use them to decide about people.
"""


def conversion_card(name: str, config: EmoLlamaConfig, origin: Provenance, has_detector: bool) -> ModelCard:
    """
    The card as it is saved to `README.md`.

    Args:
        name (`str`): folder or hub id of the model.
        config ([`EmoLlamaConfig`]): the model's.
        origin (`Provenance`): what it was converted from.
        has_detector (`bool`): whether a face detector is among its parts.
    """
    parts = [LLAMA_VID, EVA_CLIP, VICUNA]
    behaviour = "it gives LLaMA-VID's logits."
    if config.face_config is not None:
        parts.append(FACE_X_FORMER)
        behaviour = (
            "Face Info Mining's gates are at zero, so until it is trained it answers as LLaMA-VID does, and perceives "
            "faces besides."
        )
    if has_detector:
        parts.append(MTCNN)
    data = ModelCardData(
        license="other",
        license_name="llama2-and-others",
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        tags=["emo_llama", "emotion", "llama-vid"],
        language="en",
    )
    text = TEXT.format(
        name=name,
        title=name.rpartition("/")[2],
        source=origin.source,
        base="" if origin.base == origin.source else f" on `{origin.base}`",
        with_faces=" with a FaceXFormer face prior" if config.face_config is not None else "",
        behaviour=behaviour,
        parts="\n".join(f"| [{part}]({url}) | {url} | {terms} |" for part, url, terms in parts),
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n{text}")
