"""The command `emo-llama plan`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..data.record_stream import Records
from ..input_error import InputError
from ..plan.gpus import GIB, UTILIZATION, gpus
from .options import BatchSize, Layout, Model, NumFrames, Split

if TYPE_CHECKING:
    from ..plan.plan import Plan

FRAMES = 8  # of a clip


def plan(
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="data set, whose pictures and clips are counted")
    ] = None,
    layout: Layout = None,
    split: Split = None,
    model: Model = None,
    method: Annotated[Literal["lora", "qlora", "full"], typer.Option(help="how the language model learns")] = "lora",
    images: Annotated[int, typer.Option(min=0, metavar="N", help="pictures, beside those of DATA")] = 0,
    videos: Annotated[int, typer.Option(min=0, metavar="N", help="clips, beside those of DATA")] = 0,
    epochs: Annotated[float, typer.Option(metavar="N", help="passes over the data")] = 1.0,
    batch_size: BatchSize = 1,
    accumulation: Annotated[int, typer.Option(min=1, metavar="N", help="steps for one of the optimizer")] = 16,
    num_frames: NumFrames = None,
    text_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="of a sample, without visual tokens")] = 160,
    checkpointing: Annotated[bool, typer.Option(help="gradient checkpointing")] = True,
    gpu: Annotated[str | None, typer.Option(metavar="NAME", help=f"for hours: {', '.join(gpus())}")] = None,
    gpu_count: Annotated[int, typer.Option(min=1, metavar="N", help="how many, each with a copy of the model")] = 1,
    utilization: Annotated[
        float, typer.Option(metavar="U", help="part of the GPU's dense operations that is reached")
    ] = UTILIZATION,
) -> int:
    """Estimate what training would cost: memory, steps and hours. No weights are read, and nothing is computed.

    `--model` may also be 7b or 13b: LLaMA-VID's sizes.
    """
    # They take seconds to import, which the other commands need not wait for.
    from ..plan.plan import plan as make_plan
    from ..plan.shapes import plan_config

    if data is not None:
        kinds = Counter(record.is_video for record in Records(data, layout=layout, split=split, on_error="skip"))
        images, videos = images + kinds[False], videos + kinds[True]
    if not images + videos:
        raise InputError("There is nothing to train on: give DATA, `images` or `videos`.")
    made = make_plan(
        plan_config(model),
        method,
        images,
        videos,
        epochs,
        batch_size,
        accumulation,
        num_frames or FRAMES,
        text_tokens,
        checkpointing,
        gpu,
        gpu_count,
        utilization,
    )
    shapes = f"{batch_size} of {made.frames} frame{'s'[: made.frames > 1]} and {text_tokens} text tokens a step"
    print(f"An estimate for {model or 'the model that comes with the package'}, {images} images, {videos} videos;")
    print(f"{shapes}, counted by torch on tensors without content.\n")
    print("\n".join([*_memory(made), "", *_table(made), "", *_time(made)]))
    return 0


def _memory(made: "Plan") -> list[str]:
    from ..plan.plan import RESERVE, needed

    step = made.step
    rows = [
        ("parameters", f"{step.parameters / 1e9:.3f} billion, of which {step.trainable / 1e6:.1f} million learn"),
        ("weights", _gib(step.weights)),
        ("gradients", _gib(step.gradients)),
        ("optimizer (AdamW)", _gib(step.optimizer)),
        ("activations", _gib(step.activations)),
        ("backward pass", _gib(step.working)),
        ("CUDA and the rest", f"{_gib(RESERVE)} (assumed)"),
        ("together", _gib(needed(step))),
        ("generation", f"{step.kv_cache / 2**20:.3f} MiB of keys and values a token"),
    ]
    title = f"{made.method}, {'with' if made.checkpointing else 'without'} gradient checkpointing"
    return [title, *(f"  {name:18} {value}" for name, value in rows)]


def _table(made: "Plan") -> list[str]:
    from ..plan.methods import METHODS
    from ..plan.plan import MEMORIES, needed

    lines = [f"{'GPU memory':13}" + "".join(f"{f'{memory} GiB':>8}" for memory in MEMORIES) + "  emo-llama train"]
    for name, steps in made.methods.items():
        for checkpointing, step in steps.items():
            fitting = ["yes" if needed(step) <= memory * GIB else "no" for memory in MEMORIES]
            options = METHODS[name].options + (" --gradient-checkpointing" if checkpointing else "")
            lines.append(f"{_gib(needed(step)):>13}" + "".join(f"{word:>8}" for word in fitting) + f"  {options}")
    return lines


def _time(made: "Plan") -> list[str]:
    from ..plan.plan import fits

    lines = [f"{made.steps} steps of the optimizer, {made.flops:.2e} operations"]
    if made.gpu is not None and made.hours is not None:
        card = gpus()[made.gpu]
        lines += [
            f"{made.hours:.1f} hours on {made.gpu}, if {made.utilization:.0%} of its {card.teraflops:g} teraflops in "
            f"{card.dtype} are reached ({card.source}); reading files and finding faces not included",
            f"a step {'fits' if fits(made.step, card) else 'does not fit'} its {card.memory} GiB",
        ]
        if card.dtype == "float16":
            lines.append("it knows no bfloat16: use --fp16 in place of --bf16")
    return lines


def _gib(count: int) -> str:
    return f"{count / GIB:.2f} GiB"
