"""What a prompt tells of the perceived emotion, so that whatever is asked is answered by the same reading."""

from collections.abc import Sequence
from itertools import groupby

import torch

TOLD = 3  # of the likeliest labels
# Nats that a change of the emotion from one frame to the next costs: the least that found none in clips without one.
SWITCH = 3.0
NO_FACE = "no face"


def told_emotion(labels: Sequence[str], scores: Sequence[float], course: Sequence[str] | None = None) -> str:
    """
    The reading of one input in words: `"happy 83%, neutral 12%, sad 3%"`, and of a clip whether it changes.

    Args:
        labels (`list[str]`): the label set, L labels.
        scores (`list[float]`): probability of each.
        course (`list[str]`, *optional*): of a clip the [`course_of`] its emotion.
    """
    likeliest = sorted(zip(scores, labels, strict=True), key=lambda pair: -pair[0])[:TOLD]
    told = ", ".join(f"{label} {score:.0%}" for score, label in likeliest)
    if course is None:
        return told
    if len(course) == 1:
        return f"{told}, the same all the time"
    return f"{told}, first {', then '.join(course)}"


def course_of(labels: Sequence[str], scores: torch.Tensor, switch: float = SWITCH) -> list[str]:
    """
    The emotions that a clip shows one after the other: the likeliest course of its frames, in which every change costs
    something, so that what only one frame seems to show is no change.

    Args:
        labels (`list[str]`): the label set, L labels.
        scores (`torch.FloatTensor` of shape `(F, L)`): probability of each label in each frame; F is at least 1.
        switch (`float`, *optional*, defaults to `SWITCH`):
            What a change costs, in nats. The default was chosen by emo-llama-mini's recipe.

    Returns:
        `list[str]`: at least one label, none of them twice in a row.
    """
    evidence = scores.double().clamp(min=1e-6).log()
    total, came_from = evidence[0], []
    for frame in evidence[1:]:
        changed, before = total.max(0)
        stays = total >= changed - switch
        came_from.append(torch.where(stays, torch.arange(len(labels)), before))
        total = torch.where(stays, total, changed - switch) + frame
    path = [int(total.argmax())]
    for step in reversed(came_from):
        path.append(int(step[path[-1]]))
    return [labels[index] for index, _ in groupby(reversed(path))]
