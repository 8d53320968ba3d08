"""The command `emo-llama evaluate`."""

import argparse
from pathlib import Path

from .data_options import add_data_options, records_of
from .user_error import UserError


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add `evaluate` to the command line's subparsers; the parsed arguments' `run` runs it."""
    parser = subparsers.add_parser("evaluate", help="measure a model on a data set: WAR, UAR, confusion matrix")
    add_data_options(parser)
    add = parser.add_argument
    add("--output", required=True, metavar="DIR", help="folder of the results; an earlier run in it goes on")
    add("--model", metavar="M", help="EmoLlama or any image-text-to-text model, folder or hub id (default: ours)")
    add("--device", metavar="D", help="cpu, cuda, cuda:1, ... (default: the first accelerator)")
    add("--dtype", default="auto", metavar="T", help="weights' type (default: as stored)")
    add("--emotion-labels", nargs="+", metavar="L", help="label set (default: the model's)")
    add("--protocol", choices=("generation", "likelihood", "both"), default="both", help="figures (default: both)")
    add("--folds", nargs="+", type=int, metavar="N", help="folds of the layout: each is read, and averages reported")
    add("--faces", metavar="DIR", help="what `emo-llama prepare` found (default: DATA.faces, if there)")
    add("--no-attributes", action="store_true", help="write no perceived age, gender and race into the prompt")
    add("--batch-size", type=int, default=8, metavar="N", help="visuals a forward (default: 8)")
    add("--max-new-tokens", type=int, default=64, metavar="N", help="longest answer, in tokens (default: 64)")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Evaluate; returns the exit code: 1 when samples could not be read."""
    from accelerate import PartialState

    from ..evaluation.evaluate import evaluate
    from ..evaluation.load_predictor import load_predictor

    try:
        predictor, processor = load_predictor(
            options.model,
            labels=options.emotion_labels,
            device=options.device,
            dtype=options.dtype,
            attributes=not options.no_attributes,
            max_new_tokens=options.max_new_tokens,
        )
        report = evaluate(
            predictor,
            _samples(options, predictor.labels),
            processor,
            options.output,
            settings={"model": options.model, "dtype": options.dtype, "attributes": not options.no_attributes},
            batch_size=options.batch_size,
            protocols=("generation", "likelihood") if options.protocol == "both" else (options.protocol,),
        )
    except (ValueError, OSError, ImportError, KeyError) as error:
        raise UserError(str(error)) from error
    if PartialState().is_main_process:
        print(_summary(report))
        print(f"Report and confusion matrices are in {options.output}.")
    PartialState().destroy_process_group()
    return 1 if report["errors"] else 0


def _samples(options: argparse.Namespace, labels: list[str]) -> list[dict]:
    from ..data.face_cache import FaceCache, default_cache
    from ..data.samples import samples_of

    folder = Path(options.faces) if options.faces else default_cache(options.data)
    faces = FaceCache(folder) if options.faces or folder.is_dir() else None
    if not options.folds:
        return samples_of(records_of(options), labels, faces)
    samples = []
    given = list(options.data_option)
    for fold in options.folds:
        options.data_option = [*given, ("fold", fold)]
        samples += [
            {**sample, "id": f"{fold}/{sample['id']}", "fold": str(fold)}
            for sample in samples_of(records_of(options), labels, faces)
        ]
    return samples


def _summary(report: dict) -> str:
    lines = []
    for protocol in ("generation", "likelihood"):
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
    if report["errors"]:
        lines.append(f"{report['errors']} samples could not be read.")
    return "\n".join(lines)
