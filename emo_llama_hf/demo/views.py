"""What the page shows of a person: the drawn photo, the scores as bars, what is perceived."""

from html import escape
from typing import Any

import gradio

from ..chat.pipeline import EmotionChatPipeline
from .layout import Layout
from .person import Person, Shown

Changes = dict[Any, Any]
"""New values and properties of the page's parts."""


def of_person(layout: Layout, pipe: EmotionChatPipeline, shown: Shown, index: int) -> Changes:
    """
    The parts that tell of one person.

    Args:
        layout ([`Layout`])
        pipe ([`EmotionChatPipeline`]): who draws.
        shown ([`Shown`])
        index (`int`): of the person.
    """
    person = shown.person(index)
    emotion, scores = person.result["emotion"], person.result["scores"]
    changes: Changes = {
        layout.people: gradio.update(value=index),
        # Without a face there is nothing that the scores could be about.
        layout.scores: gradio.update(value=scores if emotion else {"no face found": 0.0}, visible=emotion is not None),
        layout.perceived: gradio.update(value=_attributes(person), visible=bool(person.result["perceived"])),
    }
    if shown.kind == "image":
        drawn = pipe.annotate({"image": person.visual}, person.result)
        told = "no face found" if emotion is None else f"perceived {emotion}, {scores[emotion]:.0%}"
        changes[layout.annotated] = gradio.update(value=drawn, visible=True, alt_text=f"The photo: {told}")
    return changes


def _attributes(person: Person) -> str:
    perceived = person.result["perceived"]
    items = ""
    for name, value in perceived.items():
        told = f"{escape(value['label'])} <small>{value['score']:.0%}</small>"
        items += f"<li><small>perceived {escape(name)}</small> {told}</li>"
    return f'<ul class="attributes">{items}</ul>' if perceived else ""
