"""Pictures with faces at chosen places: the photos of `tests/samples` pasted into each other."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import Image

SAMPLES = Path(__file__).resolve().parents[2] / "tests" / "samples"
HEADS = {"astronaut.png": (124, 17, 324, 217), "grace_hopper.jpg": (90, 60, 440, 410)}  # squares around the faces


@cache
def sample(name: str) -> Image.Image:
    """One of the samples, RGB."""
    return Image.open(SAMPLES / name).convert("RGB")


@cache
def head(number: int, side: int) -> Image.Image:
    """One of the heads, by turns, as a square of so many pixels; a face is about half as wide."""
    name, square = list(HEADS.items())[number % len(HEADS)]
    return sample(name).crop(square).resize((side, side), Image.Resampling.LANCZOS)


@cache
def background(size: tuple[int, int]) -> Image.Image:
    """A photo without faces of this size."""
    return sample("coffee.png").resize(size, Image.Resampling.BICUBIC)


def scene(size: tuple[int, int], places: Sequence[tuple[int, int, int]]) -> Image.Image:
    """A picture with a head at each place: x, y and side in pixels."""
    picture = background(size).copy()
    for number, (x, y, side) in enumerate(places):
        picture.paste(head(number, side), (x, y))
    return picture
