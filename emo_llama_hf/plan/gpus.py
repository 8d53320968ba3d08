"""What GPUs are said to hold and to do, from `gpus.json`."""

import json
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30
UTILIZATION = 0.3  # of a GPU's dense operations, unless somebody knows better; half of them is very good
GPUS_FILE = Path(__file__).with_name("gpus.json")


@dataclass(frozen=True)
class Gpu:
    """
    One kind of GPU.

    Args:
        memory (`int`): GiB.
        teraflops (`float`): dense operations, 10^12 a second, in `dtype`.
        dtype (`str`): `"bfloat16"`, or `"float16"` where it knows no bfloat16.
        source (`str`): what figure that is.
        urls (`list[str]`): pages that say so.
    """

    memory: int
    teraflops: float
    dtype: str
    source: str
    urls: list[str]


def gpus() -> dict[str, Gpu]:
    """Every GPU that is known, by its name."""
    return {name: Gpu(**values) for name, values in json.loads(GPUS_FILE.read_text("utf-8"))["gpus"].items()}
