"""The command `emo-llama annotate`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from accelerate import PartialState
from accelerate.utils import gather_object

from ..bulk.annotate import AnnotateReport
from ..bulk.annotate import annotate as annotate_items
from ..bulk.answer_rows import AnswerRows
from ..bulk.parts import Parts
from ..bulk.sources import count, items
from ..closed_set import check_labels
from ..input_error import InputError
from ..load_model import load_config
from .asking_options import AskingOptions
from .model_options import ModelOptions
from .options import BatchSize
from .sampling_options import SamplingOptions

# What the rows do not depend on.
FREE = {"device", "device_map", "allow_private"}


def annotate(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="files, folders, patterns and URLs of photos and videos, .txt lists, CSV, JSON lines or Parquet "
            "tables, tar archives, folders that datasets saved",
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT.parquet", help="folder of the Parquet files")],
    model: ModelOptions,
    sampling: SamplingOptions,
    asking: AskingOptions,
    column: Annotated[
        str | None, typer.Option(metavar="C", help="where tables have pictures or clips (default: the usual names)")
    ] = None,
    batch_size: BatchSize = 8,
    part_size: Annotated[int, typer.Option(min=1, metavar="N", help="inputs of a Parquet file")] = 1000,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="work on this Ray cluster; 'local' starts one here")
    ] = None,
    ray_actors: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="models on the Ray cluster (default: one a GPU, or one)")
    ] = None,
) -> int:
    """Annotate many photos and videos into Parquet; goes on where it was stopped."""
    if ray is None and ray_actors is not None:
        raise InputError("`ray_actors` is of a Ray cluster: name it with `ray`.")
    rows = AnswerRows(check_labels(asking.labels or load_config(model.model, base=model.base).emotion_labels))
    settings: dict[str, Any] = {"batch_size": batch_size, **sampling.given, **asking.settings}
    chosen = {**asdict(model), **asdict(sampling), **asdict(asking), "column": column, "sources": sources}
    depends_on = {name: value for name, value in chosen.items() if name not in FREE}
    cpu = not torch.accelerator.is_available() if model.device is None else model.device == "cpu"
    state = PartialState(cpu=cpu)  # of several processes, each has a device of its own
    with state.main_process_first():
        parts = Parts(output, rows, part_size, depends_on)
    if ray is not None:
        from ..bulk.ray_annotate import annotate_on_ray

        report = annotate_on_ray(sources, column, parts, asdict(model), ray, ray_actors, **settings)
    else:
        report = annotate_items(
            model.pipeline(),
            items(sources, column),
            parts,
            count(sources, column) if state.is_local_main_process else None,  # for the bar
            state.process_index,
            state.num_processes,
            progress=state.is_local_main_process,
            **settings,
        )
        report = sum(gather_object([report]), AnnotateReport())  # nobody ends before all have
    if state.is_main_process:
        print(
            f"{output}: {report.annotated:,} annotated, of which {report.errors:,} are errors; {report.known:,} were "
            "there before."
        )
    state.destroy_process_group()
    return 1 if report.errors else 0
