"""Find the faces of a data set once, before training looks at it many times."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from secrets import token_hex
from threading import Thread
from typing import Any, TypeAlias

import torch
from tqdm.auto import tqdm

from ..few_at_a_time import few_at_a_time
from ..input_error import InputError
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..only_writer import only_writer
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.visual import Visual
from ..whole_file import remove_unfinished, write_text
from .face_cache import SETTINGS_FILE, FaceCache, cache_settings, default_cache, entry_of, key_of
from .record import Record, RecordError
from .record_stream import Records

BATCH = 8  # visuals whose frames the detector sees together


@dataclass
class PrepareReport:
    """
    What [`prepare`] did.

    Attributes:
        known (`int`): records whose picture or clip had been prepared before, also for another record.
        prepared (`int`): records prepared now.
        without_face (`int`): of these, how many show no face.
        skipped (`list[RecordError]`): records whose file could not be read.
    """

    known: int = 0
    prepared: int = 0
    without_face: int = 0
    skipped: list[RecordError] = field(default_factory=list)


def prepare(
    records: Iterable[Record],
    processor: EmoLlamaProcessor,
    model: EmoLlamaForConditionalGeneration | None = None,
    cache_dir: str | Path | None = None,
    num_workers: int = 1,
    shard_size: int = 256,
    on_error: str = "raise",
    progress: bool = True,
) -> PrepareReport:
    """
    Detect the faces of all records and, with a face prior, perceive age, gender and race; [`FaceCache`] reads them.

    Each `shard_size` records become one file that appears when it is complete, so a run that was stopped goes on where
    it was. Records whose file changed are done again.

    Args:
        records ([`Records`] or any iterable of [`Record`]): they are streamed.
        processor ([`EmoLlamaProcessor`]): with a face detector.
        model ([`EmoLlamaForConditionalGeneration`], *optional*): perceives the attributes, if it has a face prior.
        cache_dir (`str` or `Path`, *optional*): where to keep the result; `NAME.faces` beside the data by default.
        num_workers (`int`, *optional*, defaults to 1):
            Processes; 1 works in this one, and is right where detector and model are on one GPU.
        shard_size (`int`, *optional*, defaults to 256): records a file.
        on_error (`str`, *optional*, defaults to `"raise"`):
            Of a file that cannot be read: `"raise"` a [`RecordError`], or `"skip"` it and report it.
        progress (`bool`, *optional*, defaults to `True`): whether to show a progress bar.

    Returns:
        [`PrepareReport`]

    Raises:
        `InputError`: no face detector, no `cache_dir` for records that are not [`Records`], or the folder was prepared
            with other settings or weights, or is being written by another run.
    """
    if processor.faces.detector is None:
        raise InputError("`processor` has no face detector: there is nothing to prepare.")
    if on_error not in ("raise", "skip"):
        raise InputError(f"`on_error` must be raise or skip, got {on_error!r}.")
    if num_workers < 1 or shard_size < 1:
        raise InputError(f"`num_workers` and `shard_size` must be at least 1, got {num_workers} and {shard_size}.")
    if cache_dir is None:
        if not isinstance(records, Records) or records.path is None:
            raise InputError("`cache_dir` is missing: name a folder, since the records do not tell where they lie.")
        cache_dir = default_cache(records.path)
    folder = Path(cache_dir)
    if model is not None and model.model.face_prior is None:
        model = None
    settings = cache_settings(processor, model)
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder / SETTINGS_FILE):
        remove_unfinished(folder)
        if not (folder / SETTINGS_FILE).is_file():
            write_text(folder / SETTINGS_FILE, json.dumps(settings, indent=2) + "\n")
        cache, report = FaceCache(folder), PrepareReport()
        cache.check(settings)
        with tqdm(desc="faces", unit="record", disable=not progress) as bar:

            def unknown() -> Iterator[Record]:
                seen: set[str] = set()  # several conversations may be about one picture
                for record in records:
                    key = key_of(record, folder)
                    if key in seen or record in cache:
                        report.known += 1
                        bar.update()
                    else:
                        seen.add(key)
                        yield record

            def add(part: PrepareReport) -> None:
                report.prepared += part.prepared
                report.without_face += part.without_face
                report.skipped += part.skipped
                bar.update(part.prepared + len(part.skipped))
                bar.set_postfix(no_face=report.without_face, skipped=len(report.skipped))

            shards = _shards(unknown(), shard_size)
            if num_workers == 1:
                for shard in shards:
                    add(_prepare_shard(shard, processor, model, folder, on_error))
            else:
                _prepare_in_processes(shards, add, num_workers, (processor, model, folder, on_error))
    return report


def _shards(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    while shard := list(islice(records, size)):
        yield shard


def _prepare_in_processes(
    shards: Iterator[list[Record]],
    add: Callable[[PrepareReport], None],
    num_workers: int,
    arguments: "_ShardArguments",
) -> None:
    context = torch.multiprocessing.get_context("spawn")  # a forked child could not use CUDA, nor torch's threads
    threads = max(torch.get_num_threads() // num_workers, 1)
    listener, alive = context.Pipe(duplex=False)
    with alive, _WorkerPool(num_workers, context, _start_worker, (threads, arguments, listener)) as pool:
        try:
            for _, future in few_at_a_time(pool, _work, shards, 2 * num_workers):
                add(future.result())
        except KeyboardInterrupt:
            alive.close()  # nobody wants to wait for the shards under way
            raise
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


class _WorkerPool(ProcessPoolExecutor):
    """Whose processes know nothing of Ctrl-C, which a terminal sends to all of them: this one decides."""

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        if os.name != "posix":
            return super().submit(*args, **kwargs)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which a new process inherits
        try:
            return super().submit(*args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


# What all shards have in common: processor, model, folder of the cache and `on_error`.
_ShardArguments: TypeAlias = tuple[EmoLlamaProcessor, EmoLlamaForConditionalGeneration | None, Path, str]
_worker_arguments: _ShardArguments


def _start_worker(threads: int, arguments: _ShardArguments, listener: Connection) -> None:
    global _worker_arguments
    Thread(target=_end_with_parent, args=(listener,), daemon=True).start()
    torch.set_num_threads(threads)
    _worker_arguments = arguments


def _end_with_parent(listener: Connection) -> None:
    """A killed parent cannot end its processes, which would wait for work for ever."""
    with suppress(EOFError):
        listener.recv()
    os._exit(1)


def _work(shard: list[Record]) -> PrepareReport:
    return _prepare_shard(shard, *_worker_arguments)


def _prepare_shard(
    shard: list[Record],
    processor: EmoLlamaProcessor,
    model: EmoLlamaForConditionalGeneration | None,
    folder: Path,
    on_error: str,
) -> PrepareReport:
    """Find the faces of one shard and write its file."""
    report, lines = PrepareReport(), []
    for start in range(0, len(shard), BATCH):
        loaded: list[tuple[Record, Visual]] = []
        for record in shard[start : start + BATCH]:
            try:
                visual = record.load(processor)
                if processor.faces.settings.missing_face == "error":  # one by one, to know which record shows none
                    (visual,) = _find_faces(record, visual, processor)
                loaded.append((record, visual))
            except RecordError as error:
                if on_error == "raise":
                    raise
                report.skipped.append(error)
        visuals = processor.faces.find([visual for _, visual in loaded], split=False)
        loaded = [(record, visual) for (record, _), visual in zip(loaded, visuals, strict=True)]
        perceived = perceive(visuals, processor, model) if model is not None and visuals else [None] * len(visuals)
        for (record, visual), values in zip(loaded, perceived, strict=True):
            lines.append(json.dumps(entry_of(record, folder, visual, values)))
            report.prepared += 1
            report.without_face += not visual.has_face
    if lines:
        write_text(folder / f"faces-{time.time_ns():020}-{token_hex(4)}.jsonl", "\n".join(lines) + "\n")
    return report


def _find_faces(record: Record, visual: Visual, processor: EmoLlamaProcessor) -> list[Visual]:
    try:
        return processor.faces.find([visual], split=False)
    except ValueError as error:
        raise RecordError(record.row, str(error)) from error


@torch.inference_mode()
def perceive(
    visuals: list[Visual], processor: EmoLlamaProcessor, model: EmoLlamaForConditionalGeneration
) -> list[dict[str, tuple[str, float]] | None]:
    """
    Perceived age, gender and race of the face that each visual shows, with probabilities, the mean over its frames.

    Args:
        visuals (`list[Visual]`): with faces.
        processor ([`EmoLlamaProcessor`])
        model ([`EmoLlamaForConditionalGeneration`]): with a face prior.

    Returns:
        `list[dict | None]`: as [`EmoLlamaProcessor`] takes for `attributes`; `None` where there is no face.
    """
    inputs = processor.visual_inputs(visuals, return_tensors="pt")
    faces = model.get_face_features(inputs["face_pixel_values"].to(model.device))
    face_mask, frame_counts = (torch.as_tensor(inputs[name]) for name in ("face_mask", "frame_counts"))
    return model.perceived_attributes(faces, face_mask, frame_counts)
