"""Samples with their visuals read, their faces found, and changed at random where asked."""

import random
from collections.abc import Hashable, Sequence

import torch
from torch.utils.data import Dataset

from ..data.sample import Sample
from ..data.samples import label_set_of, load_visuals, source_key, visual_parts, with_visuals
from ..input_error import InputError
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.visual import Visual
from .augmentation import Augmentation
from .seen_visual import SeenVisual


class EmotionDataset(Dataset[Sample]):
    """
    Reads the visuals of samples where the data loader's workers are.

    Args:
        samples (`Sequence[Sample]`)
        processor ([`EmoLlamaProcessor`])
        augmentation ([`Augmentation`], *optional*): drawn anew each epoch, from the seed, the epoch and the sample.
        seed (`int`, *optional*, defaults to 0)
        emotion_labels (`list[str]`, *optional*): label set of samples without one of their own.

    Attributes:
        label_sets (`list[tuple[str, ...] | None]`): of each sample.
        seen (`dict[Hashable, SeenVisual]`): what takes the place of which source, which is then not read.

    Raises:
        `InputError`: the emotion of a sample is not in its label set.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        processor: EmoLlamaProcessor,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        emotion_labels: Sequence[str] | None = None,
    ) -> None:
        self.samples = samples
        self.processor = processor
        self.augmentation = augmentation
        self.seed = seed
        label_sets = [label_set_of(sample, emotion_labels, f"Sample {i}") for i, sample in enumerate(samples)]
        self.label_sets = [None if labels is None else tuple(labels) for labels in label_sets]
        self.seen: dict[Hashable, SeenVisual] = {}
        self._epoch = torch.zeros((), dtype=torch.long).share_memory_()  # workers that live on see it change

    @property
    def emotions(self) -> list[str | None]:
        """Label of each sample."""
        return [sample.get("emotion") for sample in self.samples]

    def set_epoch(self, epoch: int) -> None:
        """
        Say which epoch's changes are drawn, to workers that live on too.

        Args:
            epoch (`int`)
        """
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        seen = [self.seen.get(source_key(part)) for part in visual_parts(sample["messages"])] if self.seen else [None]
        visuals: list[Visual] = [visual for visual in seen if visual is not None]
        if len(visuals) < len(seen):
            try:
                visuals = load_visuals(self.processor, sample)
            except (OSError, ValueError, TypeError) as error:
                raise InputError(f"Sample {index} cannot be read: {error}") from error
        if self.augmentation is not None:
            dice = random.Random(f"{self.seed}-{int(self._epoch)}-{index}")
            visuals = [self.augmentation(visual, dice) for visual in visuals]
        return {**with_visuals(sample, visuals), "emotion_labels": self.label_sets[index]}
