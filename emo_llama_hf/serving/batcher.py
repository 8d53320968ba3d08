"""The model's one thread: requests that come together are answered together."""

import threading
import time
from collections.abc import Sequence

import torch
from transformers import StoppingCriteriaList

from ..chat.pipeline import EmotionChatPipeline
from .answer_row import AnswerRow
from .job import Answered, Job, Piece
from .limits import ServingLimits
from .metrics import Metrics
from .row_watch import RowWatch


class Batcher:
    """
    Takes jobs, and answers those that are alike in batches, the oldest first.

    Args:
        pipe ([`EmotionChatPipeline`]): used by no other thread but to prepare inputs.
        limits ([`ServingLimits`])
        metrics ([`Metrics`])
    """

    def __init__(self, pipe: EmotionChatPipeline, limits: ServingLimits, metrics: Metrics) -> None:
        self._pipe, self._limits, self._metrics = pipe, limits, metrics
        ends = pipe.model.generation_config.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])
        self._jobs: list[Job] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._broken = False
        self._thread = threading.Thread(target=self._work, name="emo-llama-model", daemon=True)
        self._thread.start()

    @property
    def is_healthy(self) -> bool:
        """Whether requests can be answered: an accelerator that failed answers none in this process any more."""
        return self._thread.is_alive() and not self._broken

    def submit(self, job: Job) -> None:
        """
        Have a job answered.

        Args:
            job ([`Job`])
        """
        with self._changed:
            self._jobs.append(job)
            self._metrics.waiting.set(len(self._jobs))
            self._changed.notify()

    def stop(self) -> None:
        """Answer what is there, then end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            # Which of them it was that failed shows when each is answered alone.
            for job in self._try(batch):
                self._try([job])

    def _try(self, batch: Sequence[Job]) -> list[Job]:
        """Answer a batch, or say what went wrong to those that cannot be tried again; the others are returned."""
        try:
            self._answer(batch)
        except Exception as error:
            self._broken |= isinstance(error, torch.AcceleratorError)
            again = [job for job in batch if len(batch) > 1 and not any(row.has_told for row in job.rows)]
            for job in batch:
                if job not in again:
                    job.tell(error)
            return again  # out of the block, so that what the error holds is free memory
        return []

    def _next_batch(self) -> list[Job]:
        """The oldest job with those that are alike, as many as fit; empty at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._jobs or self._stopping)
                end = time.monotonic() + self._limits.batch_wait / 1000
                while (left := end - time.monotonic()) > 0 and not self._stopping:
                    if sum(job.size for job in self._jobs if job.is_wanted) >= self._limits.batch_size:
                        break
                    self._changed.wait(left)
                self._jobs = [job for job in self._jobs if job.is_wanted]
                batch: list[Job] = []
                for job in self._jobs:
                    size = sum(other.size for other in batch)
                    if not batch or (job.alike == batch[0].alike and size + job.size <= self._limits.batch_size):
                        batch.append(job)
                self._jobs = [job for job in self._jobs if job not in batch]
                self._metrics.waiting.set(len(self._jobs))
                if batch or self._stopping:
                    return batch

    def _answer(self, batch: Sequence[Job]) -> None:
        self._metrics.batch_size.observe(len(batch))
        options = batch[0].options
        rows: dict[AnswerRow, Job] = {}
        for job in batch:
            job.rows = [self._row(job, index) for index in range(job.size)]
            rows |= dict.fromkeys(job.rows, job)
        watch = RowWatch(list(rows), self._pipe.processor.tokenizer.pad_token_id, lambda row: rows[row].is_wanted)
        if options.seed is not None:
            torch.manual_seed(options.seed)
        outputs = self._pipe.forward(
            {"items": [job.subjects for job in batch]},
            on_error="raise",
            limits=self._limits.media,
            max_new_tokens=max(job.options.max_tokens for job in batch),
            stopping_criteria=StoppingCriteriaList([watch]),
            **options.generation,
        )
        for job, results in zip(batch, outputs["items"], strict=True):
            for row in job.rows:
                row.close()
            answered = Answered(results, job.rows)
            self._metrics.prompt_tokens.inc(answered.prompt_tokens)
            self._metrics.completion_tokens.inc(answered.completion_tokens)
            job.tell(answered)

    def _row(self, job: Job, index: int) -> AnswerRow:
        return AnswerRow(
            self._pipe.processor.tokenizer,
            self._ends,
            job.options.max_tokens,
            job.options.stops,
            (lambda text: job.tell(Piece(index, text))) if job.streamed else None,
        )
