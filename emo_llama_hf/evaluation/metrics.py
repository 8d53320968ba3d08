"""Figures of emotion recognition."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from ..input_error import InputError


class EmotionMetrics(TypedDict):
    """
    Figures of one set of answers.

    Args:
        count (`int`): samples.
        war (`float`): weighted average recall: the accuracy.
        uar (`float`): unweighted average recall: the mean over the labels that occur.
        recall (`dict[str, float]`): of each label that occurs.
        support (`dict[str, int]`): samples of each label.
        unparsable (`int`): answers that name no label.
        labels (`list[str]`): the L labels, in the order of the confusion matrix.
        confusion (`list[list[int]]` of shape `(L, L)`):
            Rows are true and columns are answered labels; an answer that names none is in no column.
    """

    count: int
    war: float
    uar: float
    recall: dict[str, float]
    support: dict[str, int]
    unparsable: int
    labels: list[str]
    confusion: list[list[int]]


def emotion_metrics(
    targets: Sequence[str], predictions: Sequence[str | None], labels: Sequence[str]
) -> EmotionMetrics:
    """
    Work out the figures of some answers.

    Args:
        targets (`Sequence[str]`): the true label of each sample.
        predictions (`Sequence[str | None]`): what was answered; `None`, an answer that names no label, is wrong.
        labels (`Sequence[str]`): the label set, in the order of the confusion matrix.

    Returns:
        [`EmotionMetrics`]

    Raises:
        `InputError`: no sample, unequal lengths, or a label that is not in the set.
    """
    if len(targets) != len(predictions) or not targets:
        raise InputError(f"`targets` and `predictions` must pair up: got {len(targets)} and {len(predictions)}.")
    places = {label: place for place, label in enumerate(labels)}
    strange = sorted({*targets, *(p for p in predictions if p is not None)} - set(places))
    if strange:
        raise InputError(
            f"`targets` or `predictions`: {', '.join(strange)} is not among `labels` {', '.join(labels)}: add it, or "
            "leave its samples out."
        )
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    support = np.zeros(len(labels), dtype=int)
    for target, prediction in zip(targets, predictions, strict=True):
        support[places[target]] += 1
        if prediction is not None:
            confusion[places[target], places[prediction]] += 1
    recall = {label: float(confusion[i, i] / support[i]) for i, label in enumerate(labels) if support[i]}
    return {
        "count": len(targets),
        "war": float(np.trace(confusion) / len(targets)),
        "uar": float(np.mean(list(recall.values()))),
        "recall": recall,
        "support": dict(zip(labels, support.tolist(), strict=True)),
        "unparsable": sum(prediction is None for prediction in predictions),
        "labels": list(labels),
        "confusion": confusion.tolist(),
    }


def calibration_error(confidences: Sequence[float], correct: Sequence[bool], bins: int = 15) -> float:
    """
    Expected calibration error (Guo et al., arXiv 1706.04599): the mean gap between confidence and accuracy over
    `bins` equally wide ranges of confidence, weighted by how many samples lie in each.

    Args:
        confidences (`Sequence[float]`): of each answer, 0 to 1.
        correct (`Sequence[bool]`): whether each answer is right.
        bins (`int`, *optional*, defaults to 15)

    Raises:
        `InputError`: no answer, or unequal lengths.
    """
    confidence, right = np.asarray(confidences, dtype=float), np.asarray(correct, dtype=float)
    if len(confidence) != len(right) or not len(confidence):
        raise InputError(f"`confidences` and `correct` must pair up: got {len(confidence)} and {len(right)}.")
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # ranges are open below
    gaps = [abs((confidence - right)[place == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(confidence))
