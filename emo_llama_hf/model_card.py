"""The model card that goes to the hub beside the weights."""

from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from .modeling.configuration_emo_llama import EmoLlamaConfig

TEXT = """
# {title}

An EmoLlama: a multimodal LLM that tells the *perceived* emotion in a photo or video and says why. It implements
[EMO-LLaMA](https://arxiv.org/abs/2408.11424), whose authors published no code or weights.

{description}

```python
import emo_llama_hf  # registers the task
from transformers import pipeline

pipe = pipeline({arguments})
print(pipe("photo.jpg"))
```

Pushed to the hub it carries its code: where the package is not installed, `AutoModelForImageTextToText` and
`AutoProcessor` load it with `trust_remote_code=True`.

| part | what |
|---|---|
| language model | {language} |
| vision encoder | {vision} |
| face prior | {face} |
| default labels | {labels} |

## Intended use

Research on facial expression recognition and on multimodal LLMs; products in which people who agreed to it get a
description of an expression, and can see and correct it.

## Limits

Emotion, age, gender and race are guesses of a network about how a face *looks*. They are often wrong, more often for
groups that the training data show rarely, and an expression says little about what a person feels, thinks or will do.
The model does not know who somebody is, what they intend or whether they are well. Do not use it to decide about
people, to watch them without their consent, or where the law forbids inferring emotions (at work and in schools in the
EU).
Inference of age, gender and race can be switched off: `pipe(..., attributes=False)`, or `use_attributes: false` in
`processor_config.json`.

## Training data

{training_data}
"""


def model_card(
    name: str,
    config: EmoLlamaConfig,
    description: str = "",
    training_data: str = "Not stated.",
    license: str | None = "apache-2.0",
    packaged: bool = False,
    **metadata: Any,
) -> ModelCard:
    """
    A card with intended use and limits; `card.push_to_hub(repo_id)` publishes it, `card.save(path)` writes it.

    Args:
        name (`str`): folder or hub id of the model.
        config ([`EmoLlamaConfig`]): what the parts are read from.
        description (`str`, *optional*): what this checkpoint is.
        training_data (`str`, *optional*): what it was trained on, and on which terms.
        license (`str`, *optional*, defaults to `"apache-2.0"`): of the weights; `None` where it is not known.
        packaged (`bool`, *optional*, defaults to `False`):
            it is the checkpoint that comes with the package, which the task opens where no model is named.
        metadata (`Any`, *optional*): further fields of [`ModelCardData`], such as `datasets` or `base_model`.
    """
    vision, face = config.vision_config, config.face_config
    data = ModelCardData(
        license=license,
        pipeline_tag="image-text-to-text",
        tags=["emo_llama", "emotion", "facial-expression-recognition"],
        **{"library_name": "transformers", **metadata},
    )
    text = TEXT.format(
        title=name.rpartition("/")[2],
        arguments='"emotion-chat"' if packaged else f'"emotion-chat", model="{name}"',
        description=description,
        language=f"{config.text_config.model_type}, {config.text_config.num_hidden_layers} layers",
        vision=f"{vision.num_hidden_layers} layers, {vision.image_size} px, {config.tokens_per_frame} tokens a frame",
        face="none" if face is None else f"{face.backbone_config.model_type} backbone, {face.image_size} px",
        labels=", ".join(config.emotion_labels),
        training_data=training_data,
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n{text}")
