"""From results to figures: a report, and confusion matrices as pictures."""

import json
import math
from collections import defaultdict
from pathlib import Path

from ..data.label_map import LabelMap
from ..whole_file import whole_file, write_text
from .answer_parser import AnswerParser
from .metrics import calibration_error, emotion_metrics

PROTOCOLS = ("generation", "likelihood")
GROUPS = ("age", "gender", "race")


def make_report(
    results: list[dict], labels: list[str], protocols=PROTOCOLS, words: LabelMap | None = None
) -> dict[str, dict]:
    """
    Args:
        results (`list[dict]`): `target`, `answer`, `scores`, `kind`, and maybe `fold` and `attributes` of each sample,
            or an `error`.
        labels (`list[str]`): the label set.
        protocols: `"generation"` (the answer in words, parsed) and `"likelihood"` (the likeliest label).
        words ([`LabelMap`], *optional*): other words for the labels, see [`AnswerParser`].

    Returns:
        `dict`: for each protocol the metrics of [`emotion_metrics`]; with folds, `folds` and their mean and standard
        deviation; `kinds` where there are pictures and clips; `groups` by *perceived* age, gender and race; for the
        likelihoods also `ece`. `errors` counts the samples that could not be read, which are in no figure.
    """
    parser = AnswerParser(labels, words)
    read = [result for result in results if "error" not in result]
    report: dict = {"errors": len(results) - len(read)}
    for protocol in protocols:
        if protocol == "generation":
            answered = [{**result, "prediction": parser(result["answer"])} for result in read]
        else:
            answered = [{**r, "prediction": max(r["scores"], key=r["scores"].__getitem__)} for r in read]
        report[protocol] = _figures(answered, labels)
        if protocol == "likelihood":
            right = [result["prediction"] == result["target"] for result in answered]
            report[protocol]["ece"] = calibration_error([max(r["scores"].values()) for r in answered], right)
        folds = _split(answered, lambda result: result.get("fold"))
        if folds:
            report[protocol] |= _over_folds({fold: _figures(rows, labels) for fold, rows in folds.items()})
        kinds = _split(answered, lambda result: result["kind"])
        if len(kinds) > 1:
            report[protocol]["kinds"] = {kind: _figures(rows, labels) for kind, rows in kinds.items()}
        groups = {
            group: _split(answered, lambda result, group=group: (result.get("attributes") or {}).get(group))
            for group in GROUPS
        }
        report[protocol]["groups"] = {
            group: {value: _figures(rows, labels) for value, rows in found.items()}
            for group, found in groups.items()
            if found
        }
    return report


def _figures(answered: list[dict], labels: list[str]) -> dict:
    return emotion_metrics([r["target"] for r in answered], [r["prediction"] for r in answered], labels)


def _split(answered: list[dict], key) -> dict[str, list[dict]]:
    parts = defaultdict(list)
    for result in answered:
        if key(result) is not None:
            parts[str(key(result))].append(result)
    return dict(sorted(parts.items()))


def _over_folds(folds: dict[str, dict]) -> dict:
    """Mean and standard deviation (of the folds, not of an estimate from them) of each figure."""
    averages = {}
    for name in ("war", "uar"):
        values = [figures[name] for figures in folds.values()]
        mean = sum(values) / len(values)
        averages[name] = {"mean": mean, "std": math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))}
    return {"folds": folds, "over_folds": averages}


def save_report(report: dict, folder: str | Path) -> None:
    """Write `report.json`, and with matplotlib `confusion-PROTOCOL.png` of each protocol."""
    folder = Path(folder)
    write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    for protocol in PROTOCOLS:
        if protocol in report:
            save_confusion_matrix(report[protocol], folder / f"confusion-{protocol}.png", protocol)


def save_confusion_matrix(figures: dict, path: str | Path, title: str = "") -> None:
    """
    Draw a confusion matrix, rows normalized: each is what became of the faces of one label.

    Args:
        figures (`dict`): of [`emotion_metrics`].
        path: PNG file to write.
        title (`str`)
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
    axes.set_title(f"{title} WAR {figures['war']:.1%}, UAR {figures['uar']:.1%}".strip(), fontsize=10)
    axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    for row, values in enumerate(parts):
        for column, part in enumerate(values):
            color = "white" if part > 0.5 else "black"
            axes.text(column, row, f"{part:.0%}", ha="center", va="center", color=color, fontsize=8)
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)
