"""Annotate many photos and videos: Parquet files that appear one by one, and go on where they were stopped."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tqdm.auto import tqdm

from ..chat.error_text import error_text
from ..chat.pipeline import EmotionChatPipeline
from ..input_error import InputError
from .item import Item
from .parts import Parts


@dataclass
class AnnotateReport:
    """
    What a process did.

    Args:
        annotated (`int`): inputs that it answered about.
        errors (`int`): of these, inputs that could not be read.
        known (`int`): inputs of its parts whose rows were there before.
    """

    annotated: int = 0
    errors: int = 0
    known: int = 0

    def __add__(self, other: "AnnotateReport") -> "AnnotateReport":
        return AnnotateReport(self.annotated + other.annotated, self.errors + other.errors, self.known + other.known)


def annotate(
    pipe: EmotionChatPipeline,
    items: Iterable[Item],
    parts: Parts,
    total: int | None = None,
    process: int = 0,
    processes: int = 1,
    progress: bool = True,
    **settings: Any,
) -> AnnotateReport:
    """
    Write the rows of every input but those that are there already.

    Args:
        pipe ([`EmotionChatPipeline`])
        items (`Iterable[Item]`): the inputs, the same ones in the same order whenever this is called.
        parts ([`Parts`]): where the rows go.
        total (`int`, *optional*): how many inputs there are, for the time left.
        process, processes (`int`, *optional*, default to 0 and 1):
            This process's number and how many there are: of so many parts, one is its own.
        progress (`bool`, *optional*, defaults to `True`): whether to show a bar, with inputs a second.
        settings (`Any`): of the pipeline's call, such as `batch_size`, `labels` and `limits`.

    Returns:
        [`AnnotateReport`]

    Raises:
        `InputError`: a source cannot be read, the inputs are not those of before, or another run is writing.
    """
    report = AnnotateReport()
    with tqdm(desc="annotate", unit=" inputs", total=total, smoothing=0.05, disable=not progress) as bar:
        for number, some in in_parts(items, parts.size):
            if number % processes == process:
                report += annotate_part(pipe, some, number, parts, bar, **settings)
            else:
                bar.update(sum(1 for _ in some))
    return report


def in_parts(items: Iterable[Item], size: int) -> Iterator[tuple[int, Iterator[Item]]]:
    """
    The items of each part, with its number; what is not taken of a part is passed over.

    Args:
        items (`Iterable[Item]`)
        size (`int`): items of a part.
    """
    for number, some in groupby(enumerate(items), lambda pair: pair[0] // size):
        yield number, (item for _, item in some)


def annotate_part(
    pipe: EmotionChatPipeline, items: Iterator[Item], number: int, parts: Parts, bar: "tqdm[Any]", **settings: Any
) -> AnnotateReport:
    """
    Write the rows of one part, as far as they are not there.

    Args:
        pipe ([`EmotionChatPipeline`]), parts ([`Parts`]), settings: see [`annotate`].
        items (`Iterator[Item]`): the part's.
        number (`int`): the part's.
        bar (`tqdm`): what counts inputs.

    Returns:
        [`AnnotateReport`]
    """
    report = AnnotateReport()
    with parts.writing(number) as part:
        for name in part.known:
            item = next(items, None)
            if item is None or item.id != name:
                raise InputError(
                    f"`sources`: {name!r} stood where {item.id if item else 'nothing'!r} stands now, so "
                    f"{parts.folder} has rows of other inputs: name a new folder."
                )
            report.known += 1
            bar.update()
        for item, result in _answers(pipe, items, settings):
            part.add(parts.rows.of(item.id, result))
            report.annotated += 1
            report.errors += "error" in result
            bar.update()
    return report


def _answers(pipe: EmotionChatPipeline, items: Iterator[Item], settings: dict[str, Any]) -> Iterator[tuple[Item, Any]]:
    """Each item with the pipeline's results, or the error of what is no input; a batch of them is held at a time."""
    waiting: deque[tuple[Item, Any]] = deque()

    def inputs() -> Iterator[Any]:
        for item in items:
            try:
                value = item.read()
            except (OSError, ValueError) as error:
                waiting.append((item, {"error": error_text(error)}))
            else:
                waiting.append((item, None))
                yield value

    for result in pipe(inputs(), on_error="return", return_perceived=True, **settings):
        while waiting[0][1] is not None:
            yield waiting.popleft()
        yield waiting.popleft()[0], result
    yield from waiting
