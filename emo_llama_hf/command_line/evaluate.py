"""The command `emo-llama evaluate`."""

from dataclasses import asdict, replace
from typing import Annotated, Literal

import typer
from accelerate import PartialState

from ..data.sample import Sample
from ..evaluation.evaluate import evaluate as evaluate_samples
from ..evaluation.evaluation_report import PROTOCOLS, EvaluationReport
from ..evaluation.load_predictor import load_predictor, writer_predictor
from ..evaluation.predictor import Predictor
from ..input_error import InputError
from ..writers import Patience, provider_of
from .data_options import DataOptions, ReadingOptions
from .endpoint_options import EndpointOptions
from .model_options import ModelOptions
from .options import BatchSize, CommaList, Faces, Labels, MaxNewTokens, NoAttributes, Output, comma_list

LONGEST_ANSWER = 64  # tokens: it is to name a label


def evaluate(
    data: DataOptions,
    reading: ReadingOptions,
    output: Output,
    model: ModelOptions,
    endpoint: EndpointOptions,
    labels: Labels = None,
    faces: Faces = None,
    folds: Annotated[
        CommaList | None,
        typer.Option(
            parser=comma_list,
            metavar="1,2",
            help="test (or --split) data of these folds, for a model trained on none of them; else cross-validate",
        ),
    ] = None,
    protocol: Annotated[Literal["generation", "likelihood", "both"], typer.Option(help="which figures")] = "both",
    no_attributes: NoAttributes = False,
    batch_size: BatchSize = 8,
    max_new_tokens: MaxNewTokens = None,
) -> int:
    """Measure a model on a data set: WAR, UAR, confusion matrix. An earlier run in the same --output goes on.

    --model may be any image-text-to-text model, or openai:NAME or gemini:NAME for one behind an endpoint; of these
    --batch-size is how many are asked at a time.
    """
    predictor: Predictor
    if provider_of(model.model):
        _check_endpoint(model, protocol, max_new_tokens)
        writer = endpoint.writer(str(model.model), temperature=0.0)
        patience = Patience(writer, endpoint.max_retries, endpoint.requests_per_minute)
        predictor, processor = writer_predictor(patience, labels, reading.reading)
    else:
        predictor, processor = load_predictor(
            model.model,
            labels=labels,
            attributes=not no_attributes,
            max_new_tokens=max_new_tokens or LONGEST_ANSWER,
            reading=reading.reading,
            **model.loading,
        )
    report = evaluate_samples(
        predictor,
        _samples(data, labels, predictor.labels, faces, folds),
        processor,
        output,
        settings={
            "model": model.model,
            "dtype": model.dtype,
            "attributes": not no_attributes,
            **{name: model.loading[name] for name in ("base", "load_in_4bit", "load_in_8bit") if model.loading[name]},
            **({"base_url": endpoint.base_url} if endpoint.base_url else {}),
            **asdict(reading.reading),
        },
        batch_size=batch_size,
        protocols=PROTOCOLS if protocol == "both" else (protocol,),
    )
    if PartialState().is_main_process:
        print(summary(report))
        print(f"Report and confusion matrices are in {output}.")
    PartialState().destroy_process_group()
    return 1 if report["errors"] else 0


def _check_endpoint(model: ModelOptions, protocol: str, max_new_tokens: int | None) -> None:
    """Whether what was asked of a model behind an endpoint can be had from one."""
    given = {name for name, value in model.loading.items() if value not in (None, False, "auto")}
    given |= {"max_new_tokens"} if max_new_tokens is not None else set()
    if given:
        raise InputError(f"`{min(given)}` is for models on this machine: leave it out with {model.model}.")
    if protocol == "likelihood":
        raise InputError("`protocol` likelihood needs a model on this machine: one that only writes tells none.")


def _samples(
    data: DataOptions, labels: Labels, default_labels: list[str], faces: Faces, folds: list[str] | None
) -> list[Sample]:
    if not folds:
        return data.samples(labels, default_labels, faces)
    if not all(fold.isdecimal() for fold in folds):
        raise typer.BadParameter(f"must be numbers, got {','.join(folds)!r}", param_hint="--folds")
    tested = replace(data, split=data.split or "test")
    return [
        {**sample, "id": f"{fold}/{sample['id']}", "fold": fold}
        for fold in folds
        for sample in tested.samples(labels, default_labels, faces, fold=int(fold))
    ]


def summary(report: EvaluationReport) -> str:
    """
    The figures in some lines.

    Args:
        report ([`EvaluationReport`])
    """
    lines = []
    for name, part in report.get("datasets", {}).items():
        lines += [f"{name}:", summary(part)]
    if lines and not report.keys().isdisjoint(PROTOCOLS):
        lines.append("all together:")
    for protocol in PROTOCOLS:
        if protocol not in report:
            continue
        figures = report[protocol]
        line = f"{protocol:11} WAR {figures['war']:.1%}  UAR {figures['uar']:.1%}  of {figures['count']}"
        if "ece" in figures:
            line += f"  ECE {figures['ece']:.3f}"
        else:
            line += f"  unparsable {figures['unparsable']}"
        lines.append(line)
        lines.append(f"{'':11} " + ", ".join(f"{label} {recall:.0%}" for label, recall in figures["recall"].items()))
        if "over_folds" in figures:
            war, uar = figures["over_folds"]["war"], figures["over_folds"]["uar"]
            lines.append(
                f"{'':11} over {len(figures['folds'])} folds: WAR {war['mean']:.1%} ± {war['std']:.1%}, "
                f"UAR {uar['mean']:.1%} ± {uar['std']:.1%}"
            )
    if "refused" in report:
        lines.append(f"{report['refused']} answers were refused by the model, which count as wrong.")
    if report["errors"]:
        lines.append(f"{report['errors']} samples could not be read or got no answer.")
    return "\n".join(lines)
