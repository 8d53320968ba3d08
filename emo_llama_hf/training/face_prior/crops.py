"""Labelled face crops in memory: what the face prior learns from."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from ...data.record import Record
from ...input_error import InputError
from ...processing.processing_emo_llama import EmoLlamaProcessor
from ...whole_file import whole_file

# One crop: `index`, `pixels` (3, h, w), `landmarks` (L, 2), and of each task its distribution (classes,).
FaceCrop: TypeAlias = dict[str, Any]


@dataclass
class FaceCrops(Dataset[FaceCrop]):
    """
    Labelled face crops.

    Args:
        pixels (`torch.ByteTensor` of shape `(N, 3, h, w)`): face crops, not normalized.
        targets (`dict[str, torch.FloatTensor]`):
            Of each task a distribution over its classes for each crop (N, classes), all zero where it is unknown.
        landmarks (`torch.FloatTensor` of shape `(N, L, 2)`):
            x, y of each landmark, -1 and 1 being the outer borders of the crop; NaN where they are unknown.
    """

    pixels: torch.Tensor
    targets: dict[str, torch.Tensor]
    landmarks: torch.Tensor

    @classmethod
    def from_records(
        cls,
        records: Iterable[Record],
        processor: EmoLlamaProcessor,
        labels: dict[str, list[str]],
        meanings: dict[str, dict[str, str]] | None = None,
        batch_size: int = 256,
    ) -> "FaceCrops":
        """
        Read pictures that are face crops already, whole, with the detector's five landmarks where it finds a face.

        Args:
            records (`Iterable[Record]`): pictures of a data set.
            processor ([`EmoLlamaProcessor`]): its image processor says how large the crops are.
            labels (`dict[str, list[str]]`): classes of each task: of `"emotion"` and of perceived attributes.
            meanings (`dict[str, dict[str, str]]`, *optional*):
                Of each attribute what the data set calls a class, and the class; those not named have its name.
            batch_size (`int`, *optional*, defaults to 256): pictures read at a time.

        Raises:
            `InputError`: a label is none of the task's classes, or there is no record.
        """
        pixels, landmarks = [], []
        targets: dict[str, list[list[float]]] = {task: [] for task in labels}
        rows = iter(records)
        for batch in tqdm(iter(lambda: list(islice(rows, batch_size)), []), "face crops", unit=" batches"):
            visuals = processor.faces.find([record.load(processor) for record in batch], split=False)
            frames = [visual.frames[0] for visual in visuals]
            pixels.append(_crops(processor, frames))
            for visual, frame, record in zip(visuals, frames, batch, strict=True):
                faces = visual.detections[0] if visual.detections else []
                points = torch.tensor(faces[0].landmarks) if faces else torch.full((5, 2), torch.nan)
                landmarks.append(points / torch.tensor(frame.size) * 2 - 1)
                for task, classes in labels.items():
                    targets[task].append(_target(record, task, classes, (meanings or {}).get(task, {})))
        if not pixels:
            raise InputError("`records` is empty: there are no face crops to read.")
        return cls(
            torch.cat(pixels),
            {task: torch.tensor(values) for task, values in targets.items()},
            torch.stack(landmarks),
        )

    def save(self, path: str | Path) -> None:
        """
        Write them to a safetensors file.

        Args:
            path (`str` or `Path`): its folder must be there.
        """
        targets = {f"targets.{task}": values for task, values in self.targets.items()}
        with whole_file(path) as unfinished:
            save_file({"pixels": self.pixels, "landmarks": self.landmarks, **targets}, unfinished)

    @classmethod
    def load(cls, path: str | Path) -> "FaceCrops":
        """
        Read what [`FaceCrops.save`] wrote.

        Args:
            path (`str` or `Path`): the file.
        """
        tensors = load_file(path)
        pixels, landmarks = tensors.pop("pixels"), tensors.pop("landmarks")
        return cls(pixels, {name.removeprefix("targets."): values for name, values in tensors.items()}, landmarks)

    def having(self, task: str) -> "FaceCrops":
        """
        The crops whose class of a task is known.

        Args:
            task (`str`): one of `targets`.
        """
        known = self.targets[task].sum(1) > 0
        targets = {name: values[known] for name, values in self.targets.items()}
        return FaceCrops(self.pixels[known], targets, self.landmarks[known])

    def joined(self, other: "FaceCrops") -> "FaceCrops":
        """
        These crops and then the other ones.

        Args:
            other ([`FaceCrops`]): of the same tasks and size.
        """
        return FaceCrops(
            torch.cat([self.pixels, other.pixels]),
            {task: torch.cat([values, other.targets[task]]) for task, values in self.targets.items()},
            torch.cat([self.landmarks, other.landmarks]),
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> FaceCrop:
        return {
            "index": index,
            "pixels": self.pixels[index],
            "landmarks": self.landmarks[index],
            **{task: values[index] for task, values in self.targets.items()},
        }


def _crops(processor: EmoLlamaProcessor, frames: list[Image.Image]) -> torch.Tensor:
    """Whole frames as the image processor's face crops (F, 3, h, w), uint8: without its normalization."""
    image_processor = processor.image_processor
    boxes = [(0, 0, *frame.size) for frame in frames]
    crops: torch.Tensor = image_processor(frames, face_boxes=boxes, return_tensors="pt")["face_pixel_values"]
    mean, std = (torch.tensor(getattr(image_processor, name)).view(3, 1, 1) for name in ("face_mean", "face_std"))
    return ((crops * std + mean) * 255).round().clamp(0, 255).byte()


def _target(record: Record, task: str, classes: list[str], meanings: dict[str, str]) -> list[float]:
    value = record.emotion if task == "emotion" else (record.attributes or {}).get(task)
    if value is None:
        return [0.0] * len(classes)
    value = meanings.get(value, value)
    if value not in classes:
        raise InputError(f"{record.row}: the {task} {value!r} is none of {', '.join(classes)}: add it to `meanings`.")
    return [float(value == name) for name in classes]
