"""The command `emo-llama merge`."""

from pathlib import Path
from typing import Annotated

import typer

from ..adapter_base import find_base
from ..carried_pipeline import carry_pipeline
from ..conversion.output_folder import published_folder
from ..input_error import InputError
from ..load_model import is_quantized, load_model
from .options import Base, Dtype, PushToHub


def merge(
    adapter: Annotated[str, typer.Argument(metavar="RUN", help="folder or hub id of an adapter")],
    merged: Annotated[Path, typer.Argument(metavar="OUT", help="the model folder to make")],
    base: Base = None,
    dtype: Dtype = "auto",
    push_to_hub: PushToHub = None,
) -> int:
    """Write the adapter that `train` makes and its base as one model, which needs no PEFT."""
    if find_base(adapter, base) is None:
        raise InputError(f"`adapter` {adapter!r} is a whole model already: give an adapter.")
    model, processor = load_model(adapter, base=base, dtype=dtype)
    if is_quantized(model):
        raise InputError(
            "`base` is quantized, and its weights would round the adapter away: give it in full precision."
        )
    with published_folder(merged, push_to_hub) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        carry_pipeline(folder)
    print(f"Wrote {merged}.")
    return 0
