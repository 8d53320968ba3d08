"""The same annotation on a Ray cluster: an actor has a model and writes whole parts."""

import logging
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from tqdm.auto import tqdm

from ..chat.open_pipeline import open_pipeline
from ..input_error import InputError
from ..missing_package import MissingPackageError
from .annotate import AnnotateReport, annotate_part, in_parts
from .item import Item
from .parts import Parts
from .sources import count, items


def annotate_on_ray(
    sources: Sequence[str],
    column: str | None,
    parts: Parts,
    model: dict[str, Any],
    address: str,
    actors: int | None = None,
    **settings: Any,
) -> AnnotateReport:
    """
    Annotate as [`annotate`] does, with Ray Data handing out the parts. An actor that dies is replaced, and its part
    goes on from its journal; files must be where every node sees them.

    Args:
        sources, column: see [`items`].
        parts ([`Parts`]): where the rows go.
        model (`dict`): the arguments of [`open_pipeline`].
        address (`str`): of the cluster; `"local"` starts one on this machine.
        actors (`int`, *optional*): how many have a model; by default one for each GPU of the cluster, or one.
        settings (`Any`): of the pipeline's call.

    Returns:
        [`AnnotateReport`]: of all actors together.

    Raises:
        `InputError`: there is no such cluster, or see [`annotate`].
        `MissingPackageError`: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingPackageError("`ray` needs Ray: pip install 'emo_llama_hf[ray]'.") from error
    total = count(sources, column)
    if total is None:
        total = sum(1 for _ in items(sources, column))
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"`ray`: there is no cluster at {address!r}: {error}") from error
    ray.data.DataContext.get_current().enable_progress_bars = False  # there is one, in inputs
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    gpus = int(ray.cluster_resources().get("GPU", 0))
    wanted = [{"part": number} for number in range(ceil(total / parts.size))]
    # A block a part, made here: another step would want a CPU that the actors may have taken.
    done = ray.data.from_items(wanted, override_num_blocks=max(len(wanted), 1)).map_batches(
        PartAnnotator,
        fn_constructor_args=(list(sources), column, parts, model, settings),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=actors or max(gpus, 1)),
        num_gpus=1 if gpus else 0,
    )
    report = AnnotateReport()
    try:
        with tqdm(desc="annotate", unit=" inputs", total=total, smoothing=0.05) as bar:
            for row in done.iter_rows():
                report += AnnotateReport(**row)
                bar.update(row["annotated"] + row["known"])
    except ray.exceptions.RayError as error:
        raise _cause(error) from error
    finally:
        ray.shutdown()
    return report


class PartAnnotator:
    """
    What an actor does: annotate the parts whose numbers come.

    Args:
        sources, column, parts, model, settings: see [`annotate_on_ray`].
    """

    def __init__(
        self,
        sources: list[str],
        column: str | None,
        parts: Parts,
        model: dict[str, Any],
        settings: dict[str, Any],
    ) -> None:
        self.pipe = open_pipeline(**model)
        self.sources, self.column, self.parts, self.settings = sources, column, parts, settings
        self.left: Iterator[tuple[int, Iterator[Item]]] = iter(())
        self.next = 0

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[int]]:
        """
        Annotate parts.

        Args:
            batch (`dict`): `part`, their numbers.

        Returns:
            `dict`: the counts of an [`AnnotateReport`] for each.
        """
        reports = [self._annotate(int(number)) for number in batch["part"]]
        return {name: [getattr(report, name) for report in reports] for name in vars(AnnotateReport())}

    def _annotate(self, wanted: int) -> AnnotateReport:
        if wanted < self.next:  # it is another actor's that died
            self.next = 0
        if self.next == 0:
            self.left = in_parts(items(self.sources, self.column), self.parts.size)
        for number, some in self.left:
            if number == wanted:
                self.next = number + 1
                with tqdm(disable=True) as bar:
                    return annotate_part(self.pipe, some, number, self.parts, bar, **self.settings)
        raise InputError("`sources` have fewer inputs than when they were counted: start anew.")


def _cause(error: Exception) -> Exception:
    """What an actor raised, of what Ray makes of it."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, (InputError, OSError)):
            return found
        found = getattr(found, "cause", None) or found.__cause__
    return error
