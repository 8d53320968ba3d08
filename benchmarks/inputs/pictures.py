"""Pictures by the names of cases of face detection."""

from pathlib import Path

from PIL import Image

FILES = {
    "photo of 512x512": ("512.png",),
    "4 frames of 1920x1080": ("frame-0.png", "frame-1.png", "frame-2.png", "frame-3.png"),
    "photo of 4000x3000": ("12mp.png",),
}
CASES = {case: len(files) for case, files in FILES.items()}


def load(case: str, inputs: Path) -> list[Image.Image]:
    """A case's pictures, decoded; [`inputs.photos.photos`] makes the files."""
    return [Image.open(inputs / name).convert("RGB") for name in FILES[case]]
