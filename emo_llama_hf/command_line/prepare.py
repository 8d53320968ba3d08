"""The command `emo-llama prepare`."""

import sys
from typing import Annotated

import typer

from ..data.face_cache import default_cache
from ..data.prepare import prepare as prepare_faces
from ..load_model import first_accelerator, load_model, load_processor, move
from .data_options import DataOptions, ReadingOptions
from .options import Base, Device, Faces, Model, NoAttributes


def prepare(
    data: DataOptions,
    reading: ReadingOptions,
    faces: Faces = None,
    model: Model = None,
    base: Base = None,
    device: Device = None,
    no_attributes: NoAttributes = False,
    num_workers: Annotated[int, typer.Option(min=1, metavar="N", help="processes")] = 1,
    shard_size: Annotated[int, typer.Option(min=1, metavar="N", help="records a file")] = 256,
) -> int:
    """Find the faces of a data set once, before training. A run that was stopped goes on where it was."""
    parts = data.records()
    device = device or first_accelerator()
    if no_attributes:  # then all that is needed is in the processor
        network, processor = None, load_processor(model)
    else:
        network, processor = load_model(model, base=base, device=device)
    reading.reading.set_in(processor)
    if processor.faces.detector is not None:
        move(processor.faces.detector, device)
    failed = 0
    for records in parts:
        folder = faces or default_cache(records.path)
        report = prepare_faces(
            records,
            processor,
            network,
            folder,
            num_workers=num_workers,
            shard_size=shard_size,
            on_error=data.on_error,
        )
        skipped = [*records.skipped, *report.skipped]
        for problem in skipped:
            print(f"skipped {problem}", file=sys.stderr)
        print(
            f"{report.prepared} prepared ({report.without_face} without a face), {report.known} known already, "
            f"{records.without_emotion} marked as no emotion, {len(skipped)} skipped. Faces are in {folder}."
        )
        failed += len(skipped)
    return 1 if failed else 0
