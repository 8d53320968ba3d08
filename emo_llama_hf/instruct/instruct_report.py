"""What a run did and cost."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MILLION = 1_000_000


@dataclass
class InstructReport:
    """
    What a run did and cost, while it goes on too.

    Attributes:
        known (`int`): records that were finished before this run.
        written (`int`): records finished now.
        failed (`dict[str, str]`): why, by record id; a later run tries them again.
        requests (`int`): replies asked for in this run, and `retries`, those asked for because of a passing fault.
        rejected (`dict[str, int]`): replies that were not used, by reason.
        input_tokens, output_tokens (`int`): of all runs together.
        cost (`float`, *optional*): of all runs together, in the currency of the prices; `None` without prices.
        stopped (`str`, *optional*): why the run ended early.
    """

    known: int = 0
    written: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    retries: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    stopped: str | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def count(self, **numbers: int) -> None:
        """
        Add to counters; several threads may.

        Args:
            numbers (`int`): how much to add, by the attribute's name.
        """
        with self._lock:
            for name, number in numbers.items():
                setattr(self, name, getattr(self, name) + number)

    def reject(self, kind: str) -> None:
        """
        Count a reply that was not used.

        Args:
            kind (`str`): why, in a word; see [`RejectedReply`].
        """
        with self._lock:
            self.rejected[kind] += 1

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        values = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}

    def __str__(self) -> str:
        lines = [f"{self.written} written, {self.known} known already, {len(self.failed)} failed"]
        if self.requests:
            rejected = ", ".join(f"{kind} {number}" for kind, number in sorted(self.rejected.items())) or "none"
            lines.append(f"{self.requests} requests, {self.retries} retries, rejected: {rejected}")
            cost = "" if self.cost is None else f", cost {self.cost:.4f}"
            lines.append(f"{self.input_tokens} input and {self.output_tokens} output tokens in all runs{cost}")
        if self.stopped:
            lines.append(f"stopped early: {self.stopped}")
        return "\n".join(lines)


def cost_of(tokens: Sequence[int], prices: tuple[float, float] | None) -> float | None:
    """
    What tokens cost.

    Args:
        tokens (`Sequence[int]`): input and output tokens.
        prices (`tuple[float, float]`, *optional*): for a million of each; without them nothing is known.
    """
    return None if prices is None else sum(n * price for n, price in zip(tokens, prices, strict=True)) / MILLION
