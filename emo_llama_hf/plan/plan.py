"""The plan of a training run: every method's memory, and the chosen one's steps and hours."""

from dataclasses import dataclass, replace
from math import ceil

from transformers import PreTrainedConfig

from ..input_error import InputError
from .gpus import GIB, UTILIZATION, Gpu, gpus
from .measure import Measurement, measure, operations, stored
from .methods import METHODS

MEMORIES = (24, 48, 80)  # GiB of the cards that most people have
RESERVE = 2 * GIB  # CUDA's context and libraries, and what its allocator cannot use


@dataclass(frozen=True)
class Plan:
    """
    What a run takes. All of it is an estimate.

    Args:
        method (`str`), checkpointing (`bool`): what the run does.
        methods (`dict[str, dict[bool, Measurement]]`):
            A step of every method, without and with gradient checkpointing; of visuals of `frames` frames.
        frames (`int`): of the longest visual.
        steps (`int`): of the optimizer.
        flops (`float`): operations of the run.
        gpu (`str`, *optional*), hours (`float`, *optional*): on how many of which it takes how long.
        utilization (`float`): what part of its operations is taken to be reached.
    """

    method: str
    checkpointing: bool
    methods: dict[str, dict[bool, Measurement]]
    frames: int
    steps: int
    flops: float
    utilization: float
    gpu: str | None = None
    hours: float | None = None

    @property
    def step(self) -> Measurement:
        """A step of the chosen method."""
        return self.methods[self.method][self.checkpointing]


def plan(
    config: PreTrainedConfig,
    method: str = "lora",
    images: int = 0,
    videos: int = 0,
    epochs: float = 1.0,
    batch_size: int = 1,
    accumulation: int = 16,
    frames: int = 8,
    text_tokens: int = 160,
    checkpointing: bool = True,
    gpu: str | None = None,
    gpu_count: int = 1,
    utilization: float = UTILIZATION,
) -> Plan:
    """
    What training a model on so much data would take.

    Args:
        config ([`EmoLlamaConfig`]): see [`plan_config`].
        method (`str`, *optional*, defaults to `"lora"`): one of `METHODS`.
        images (`int`), videos (`int`): samples of each kind, one of them at least.
        epochs (`float`, *optional*, defaults to 1): passes over them.
        batch_size (`int`, *optional*, defaults to 1): samples a GPU and step.
        accumulation (`int`, *optional*, defaults to 16): such steps for one of the optimizer.
        frames (`int`, *optional*, defaults to 8): of a video.
        text_tokens (`int`, *optional*, defaults to 160): of a sample, beside its visual tokens.
        checkpointing (`bool`, *optional*, defaults to `True`): gradient checkpointing.
        gpu (`str`, *optional*): one of [`gpus`]; without it there are no hours.
        gpu_count (`int`, *optional*, defaults to 1): how many, each with a copy of the model.
        utilization (`float`, *optional*, defaults to 0.3): what part of its operations is reached.

    Returns:
        [`Plan`]

    Raises:
        `InputError`: an unknown method or GPU, or a number out of its range.
    """
    if method not in METHODS:
        raise InputError(f"`method` must be one of {', '.join(METHODS)}, got {method!r}.")
    if gpu is not None and gpu not in gpus():
        raise InputError(f"`gpu` must be one of {', '.join(gpus())}, got {gpu!r}.")
    counts = {"batch_size": batch_size, "accumulation": accumulation, "frames": frames, "text_tokens": text_tokens}
    for name, count in {**counts, "gpu_count": gpu_count}.items():
        if count < 1:
            raise InputError(f"`{name}` must be at least 1, got {count}.")
    if min(images, videos) < 0 or not images + videos:
        raise InputError("`images` and `videos` say how many samples there are: give at least one.")
    if not epochs > 0 or not 0 < utilization <= 1:
        raise InputError(f"`epochs` must be above 0 and `utilization` in (0, 1], got {epochs} and {utilization}.")
    longest = frames if videos else 1
    lora = measure(config, "lora", batch_size, longest, text_tokens)
    # The same computation on weights that are stored in 4 bits.
    qlora = {ck: replace(step, **stored(config, "qlora")) for ck, step in lora.items()}
    methods = {"lora": lora, "qlora": qlora, "full": measure(config, "full", batch_size, longest, text_tokens)}
    flops = (videos if videos else images) * methods[method][checkpointing].flops / batch_size
    if images and videos:
        flops += images * operations(config, method, checkpointing, batch_size, 1, text_tokens) / batch_size
    steps = ceil(ceil((images + videos) / (batch_size * accumulation * gpu_count)) * epochs)
    hours = None
    if gpu is not None:
        hours = flops * epochs / (gpus()[gpu].teraflops * 1e12 * utilization * gpu_count) / 3600
    return Plan(method, checkpointing, methods, longest, steps, flops * epochs, utilization, gpu, hours)


def needed(step: Measurement) -> int:
    """
    Bytes that a GPU must have for a step.

    Args:
        step ([`Measurement`])
    """
    return step.total + RESERVE


def fits(step: Measurement, gpu: Gpu) -> bool:
    """
    Whether a step fits a GPU.

    Args:
        step ([`Measurement`])
        gpu ([`Gpu`])
    """
    return needed(step) <= gpu.memory * GIB
