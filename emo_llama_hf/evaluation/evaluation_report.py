"""From results to figures: a report, and confusion matrices as pictures."""

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, cast

from ..data.label_map import LabelMap
from ..input_error import InputError
from ..whole_file import whole_file, write_text
from .answer_parser import AnswerParser
from .metrics import EmotionMetrics, calibration_error, emotion_metrics
from .result_journal import ResultEntry

AnswerProtocol: TypeAlias = Literal["generation", "likelihood"]
PROTOCOLS: tuple[AnswerProtocol, ...] = ("generation", "likelihood")
GROUPS = ("age", "gender", "race")


class ProtocolFigures(EmotionMetrics, total=False):
    """
    Figures of one protocol: those of [`EmotionMetrics`] over all samples, and over parts of them.

    Args:
        ece (`float`): calibration error, of the likelihoods only.
        folds (`dict[str, EmotionMetrics]`): of each fold, where there are any.
        over_folds (`dict[str, dict[str, float]]`): `mean` and `std` over the folds of `war` and `uar`.
        kinds (`dict[str, EmotionMetrics]`): of pictures and of clips, where there are both.
        groups (`dict[str, dict[str, EmotionMetrics]]`): by *perceived* age, gender and race.
    """

    ece: float
    folds: dict[str, EmotionMetrics]
    over_folds: dict[str, dict[str, float]]
    kinds: dict[str, EmotionMetrics]
    groups: dict[str, dict[str, EmotionMetrics]]


class EvaluationReport(TypedDict, total=False):
    """
    What an evaluation found.

    Args:
        errors (`int`): samples that could not be read, which are in no figure.
        refused (`int`, *optional*): answers that the model refused to give, which count as wrong, where there are any.
        generation (`dict`): figures of the answers in words, parsed.
        likelihood (`dict`): figures of the likeliest labels.
        datasets (`dict[str, EvaluationReport]`):
            Of each data set, where there are several. Where their label sets differ, there are no other figures.
    """

    errors: int
    refused: int
    generation: ProtocolFigures
    likelihood: ProtocolFigures
    datasets: "dict[str, EvaluationReport]"


@dataclass(frozen=True)
class Answered:
    """
    A result and the label that a protocol reads out of it.

    Args:
        result ([`ResultEntry`])
        prediction (`str`, *optional*): the label; `None` where the answer names none.
    """

    result: ResultEntry
    prediction: str | None


def make_report(
    results: Iterable[ResultEntry],
    labels: list[str] | dict[str, list[str]],
    protocols: Sequence[AnswerProtocol] = PROTOCOLS,
    words: LabelMap | None = None,
) -> EvaluationReport:
    """
    Work out the figures.

    Args:
        results (`Iterable[ResultEntry]`): of each sample.
        labels (`list[str]` or `dict[str, list[str]]`): the label set, or that of each data set by its name.
        protocols (`Sequence[str]`, *optional*):
            `"generation"` (the answer in words, parsed) and `"likelihood"` (the likeliest label); both by default.
            Answers without scores have no likelihood, and its figures are left out.
        words ([`LabelMap`], *optional*): other words for the labels, see [`AnswerParser`].

    Returns:
        [`EvaluationReport`]
    """
    results = list(results)
    if not isinstance(labels, dict):
        return _report(results, labels, protocols, words)
    parts = {name: [result for result in results if result["dataset"] == name] for name in labels}
    first, *others = labels.values()
    if not others:
        return _report(results, first, protocols, words)
    datasets = {name: _report(part, labels[name], protocols, words) for name, part in parts.items()}
    if all(set(other) == set(first) for other in others):
        return {**_report(results, first, protocols, words), "datasets": datasets}
    return {"errors": sum(report["errors"] for report in datasets.values()), "datasets": datasets}


def _report(
    results: list[ResultEntry], labels: list[str], protocols: Sequence[AnswerProtocol], words: LabelMap | None
) -> EvaluationReport:
    """The figures of results with one label set."""
    parser = AnswerParser(labels, words)
    read = [result for result in results if "error" not in result]
    if not read:
        raise InputError(f"No sample could be answered; the first one: {results[0]['error']}")
    report: EvaluationReport = {"errors": len(results) - len(read)}
    refused = sum("refusal" in result for result in read)
    if refused:
        report["refused"] = refused
    for protocol in protocols:
        if protocol == "likelihood" and not all(result["scores"] for result in read):
            continue
        if protocol == "generation":
            report[protocol] = _figures([Answered(result, parser(result["answer"])) for result in read], labels)
        else:
            answered = [Answered(r, max(r["scores"], key=r["scores"].__getitem__)) for r in read]
            right = [one.prediction == one.result["target"] for one in answered]
            confidences = [max(result["scores"].values()) for result in read]
            report[protocol] = {**_figures(answered, labels), "ece": calibration_error(confidences, right)}
    return report


def _figures(answered: list[Answered], labels: list[str]) -> ProtocolFigures:
    """Figures over everything, over folds, kinds and groups."""
    figures = cast(ProtocolFigures, _metrics(answered, labels))  # what it may have besides follows
    folds = _parts(answered, labels, lambda result: result.get("fold"))
    if folds:
        figures["folds"], figures["over_folds"] = folds, _over_folds(folds)
    kinds = _parts(answered, labels, lambda result: result["kind"])
    if len(kinds) > 1:
        figures["kinds"] = kinds
    groups = {group: _parts(answered, labels, _attribute(group)) for group in GROUPS}
    figures["groups"] = {group: found for group, found in groups.items() if found}
    return figures


def _attribute(name: str) -> Callable[[ResultEntry], str | None]:
    return lambda result: (result.get("attributes") or {}).get(name)


def _metrics(answered: list[Answered], labels: list[str]) -> EmotionMetrics:
    return emotion_metrics([one.result["target"] for one in answered], [one.prediction for one in answered], labels)


def _parts(
    answered: list[Answered], labels: list[str], key: Callable[[ResultEntry], str | None]
) -> dict[str, EmotionMetrics]:
    """Metrics of the results with each value of a key; those without one are left out."""
    parts = defaultdict(list)
    for one in answered:
        value = key(one.result)
        if value is not None:
            parts[str(value)].append(one)
    return {value: _metrics(parts[value], labels) for value in sorted(parts)}


def _over_folds(folds: dict[str, EmotionMetrics]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation (of the folds, not of an estimate from them) of each figure."""
    averages = {}
    for name, values in (
        ("war", [figures["war"] for figures in folds.values()]),
        ("uar", [figures["uar"] for figures in folds.values()]),
    ):
        mean = sum(values) / len(values)
        averages[name] = {"mean": mean, "std": math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))}
    return averages


def save_report(report: EvaluationReport, folder: str | Path) -> None:
    """
    Write `report.json`, and with matplotlib `confusion-PROTOCOL.png` of each protocol; of each of several data sets
    `confusion-PROTOCOL-DATASET.png`.

    Args:
        report ([`EvaluationReport`])
        folder (`str` or `Path`): must be there.
    """
    folder = Path(folder)
    write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    for name, part in {"": report, **report.get("datasets", {})}.items():
        for protocol in PROTOCOLS:
            if protocol in part:
                file = "-".join(filter(None, ("confusion", protocol, re.sub(r"[^\w.-]", "_", name)))) + ".png"
                save_confusion_matrix(part[protocol], folder / file, f"{name} {protocol}".strip())


def save_confusion_matrix(figures: EmotionMetrics, path: str | Path, title: str = "") -> None:
    """
    Draw a confusion matrix, rows normalized: each is what became of the faces of one label.

    Args:
        figures ([`EmotionMetrics`])
        path (`str` or `Path`): PNG file to write.
        title (`str`, *optional*): what stands before the figures.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot, which would pick a window system

    labels, counts = figures["labels"], figures["confusion"]
    # An answer without a label is in no column, but its row is as long.
    support = [figures["support"][label] for label in labels]
    parts = [[count / max(total, 1) for count in row] for row, total in zip(counts, support, strict=True)]
    side = 2.5 + 0.6 * len(labels)
    figure = Figure(figsize=(side, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="answered", ylabel="true (perceived)")
    shown = [f"WAR {figures['war']:.1%}", f"UAR {figures['uar']:.1%}"]
    over_folds = cast(ProtocolFigures, figures).get("over_folds", {})
    if over_folds:  # their mean, which is not the figure of all answers together
        shown = [f"{name.upper()} {one['mean']:.1%} ± {one['std']:.1%}" for name, one in over_folds.items()]
    axes.set_title(f"{title} {', '.join(shown)}".strip(), fontsize=10)
    axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    for row, values in enumerate(parts):
        for column, part in enumerate(values):
            color = "white" if part > 0.5 else "black"
            axes.text(column, row, f"{part:.0%}", ha="center", va="center", color=color, fontsize=8)
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)
