"""The order of samples in each epoch, the same in every process and after a resume."""

from collections import Counter
from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from ..input_error import InputError


class EpochSampler(Sampler[int]):
    """
    Random order that depends on nothing but the seed and the epoch, so that a resumed run continues it exactly.

    Args:
        emotions (`list[str | None]`): label of each sample; those without one are a class of their own.
        balance (`float`, *optional*, defaults to 0):
            0 shows every sample once an epoch; 1 draws, with replacement, every class equally often;
            between, a class is drawn in proportion to its number of samples to the power of 1 - balance.
        seed (`int`, *optional*, defaults to 0)

    Raises:
        `InputError`: `balance` lies outside 0 to 1.
    """

    def __init__(self, emotions: list[str | None], balance: float = 0.0, seed: int = 0) -> None:
        if not 0 <= balance <= 1:
            raise InputError(f"`balance` must lie between 0 (off) and 1 (all classes equally often), got {balance}.")
        counts = Counter(emotions)
        self.weights = torch.tensor([counts[emotion] ** -balance for emotion in emotions], dtype=torch.float64)
        self.balance = balance
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """
        Say which epoch's order comes next.

        Args:
            epoch (`int`)
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.weights)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2**63)
        if self.balance:
            yield from torch.multinomial(self.weights, len(self), replacement=True, generator=generator).tolist()
        else:
            yield from torch.randperm(len(self), generator=generator).tolist()
