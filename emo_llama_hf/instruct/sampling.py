"""Some records of a data set, chosen at random."""

import heapq
from collections import defaultdict
from collections.abc import Iterable

from ..data.record import Record
from ..seeds import seed_of


def sample_ids(records: Iterable[Record], seed: int, per_emotion: int) -> set[str]:
    """
    Ids of at most `per_emotion` random records of each emotion; no more than those are kept in memory.

    Args:
        records (`Iterable[Record]`)
        seed (`int`): decides, for each record by its id.
        per_emotion (`int`): how many, at most.
    """
    chosen: dict[str | None, list[tuple[int, str]]] = defaultdict(list)
    for record in records:
        heap = chosen[record.emotion]
        entry = (-seed_of(seed, "sample", record.id), record.id)
        if len(heap) < per_emotion:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    return {id for heap in chosen.values() for _, id in heap}
