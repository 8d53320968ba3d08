"""Make instruction data of labelled pictures and clips."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from ..closed_set.label_set import check_labels
from ..data.record import Record, RecordError
from ..few_at_a_time import few_at_a_time
from ..input_error import InputError
from ..modeling.configuration_emo_llama import EmoLlamaConfig
from ..only_writer import only_writer
from ..whole_file import remove_unfinished
from ..writers import NoReplyError, Reply
from .category import CategoryQuestions
from .conversation import Conversations
from .instruct_report import InstructReport, cost_of
from .output import files_folder, llava_item, write_lines
from .reply_journal import Journal


def instruct(
    records: Iterable[Record],
    output: str | Path,
    category: CategoryQuestions | None = None,
    conversation: Conversations | None = None,
    labels: list[str] | None = None,
    seed: int = 0,
    concurrency: int = 4,
    prices: tuple[float, float] | None = None,
    max_cost: float | None = None,
    on_error: str = "raise",
    progress: bool = True,
) -> InstructReport:
    """
    Write category and conversation instructions about labelled records, the two kinds that EMO-LLaMA's instruction
    data have; the paper made them with Gemini, prompts and wordings are ours.

    Finished records stand in a journal beside the output, so a run that was stopped goes on without paying again. The
    output itself, LLaVA-style JSON lines in the order of the records, which [`Records`] reads back, is written at the
    end of a run.

    Args:
        records ([`Records`] or any iterable of [`Record`]): with emotions, each with an id of its own.
        output (`str` or `Path`): the file to write; `.journal` is added to its name.
        category ([`CategoryQuestions`], *optional*): how to ask for the label; none of these by default.
        conversation ([`Conversations`], *optional*): who writes conversations, and how; none of these by default.
        labels (`list[str]`, *optional*):
            Label set of the questions about records whose data set has none; `EmoLlamaConfig`'s by default.
            Conversations use the canonical labels, which fit into a sentence.
        seed (`int`, *optional*, defaults to 0):
            Decides phrasings and the writer's sampling, for each record by its id.
        concurrency (`int`, *optional*, defaults to 4): records worked on at a time.
        prices (`tuple[float, float]`, *optional*): for a million input and output tokens, for the report.
        max_cost (`float`, *optional*): no further record is begun once all runs together have cost as much.
        on_error (`str`, *optional*, defaults to `"raise"`):
            Of a record that cannot be read, has no label of the set, or got no usable reply: `"raise"` or `"skip"`,
            which says so in the report; a later run tries it again.
        progress (`bool`, *optional*, defaults to `True`): whether to show a progress bar.

    Returns:
        [`InstructReport`]

    Raises:
        `InputError`:
            A wrong argument, an id twice, a journal that was begun with other settings, or another run is writing
            `output`.
        `RecordError`: see `on_error`.
        `WriterError`: the writer cannot be used at all.
    """
    if category is None and conversation is None:
        raise InputError("Give `category`, `conversation` or both: there is nothing to write.")
    if concurrency < 1:
        raise InputError(f"`concurrency` must be at least 1, got {concurrency}.")
    if max_cost is not None and prices is None:
        raise InputError("`max_cost` needs `prices`.")
    if on_error not in ("raise", "skip"):
        raise InputError(f"`on_error` must be raise or skip, got {on_error!r}.")
    labels = check_labels(EmoLlamaConfig().emotion_labels if labels is None else labels)
    settings = {
        "labels": labels,
        "seed": seed,
        "category": None if category is None else category.settings(),
        "conversation": None if conversation is None else conversation.settings(),
    }
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with only_writer(output):
        remove_unfinished(files_folder(output))
        journal = Journal(f"{output}.journal", settings)
        try:
            run = _Run(output, journal, category, conversation, labels, seed)
            return run.do(records, concurrency, prices, max_cost, on_error, progress)
        finally:
            journal.close()


class _Run:
    """One call of [`instruct`], with what its threads share."""

    def __init__(
        self,
        output: Path,
        journal: Journal,
        category: CategoryQuestions | None,
        conversation: Conversations | None,
        labels: list[str],
        seed: int,
    ) -> None:
        self.output, self.journal, self.category, self.conversation = output, journal, category, conversation
        self.labels, self.seed = labels, seed
        self.report = InstructReport()

    def do(
        self,
        records: Iterable[Record],
        concurrency: int,
        prices: tuple[float, float] | None,
        max_cost: float | None,
        on_error: str,
        progress: bool,
    ) -> InstructReport:
        report = self.report
        if self.conversation is not None:
            self.conversation.stopped.clear()  # an earlier run that failed has set it
        ids: dict[str, None] = {}  # in order; the only thing kept of every record
        bar = tqdm(desc="instruct", unit="record", disable=not progress)
        with ThreadPoolExecutor(concurrency) as pool, bar:

            def waiting() -> Iterator[Record]:
                for record in records:
                    if record.id in ids:
                        raise InputError(f"{record.row}: the id {record.id!r} occurs twice: give each its own.")
                    ids[record.id] = None
                    cost = cost_of(self.journal.usage, prices)
                    if record.id in self.journal:
                        report.known += 1
                        bar.update()
                    elif max_cost is not None and cost is not None and cost >= max_cost:
                        report.stopped = f"the cost reached {max_cost}"
                    else:
                        yield record

            try:
                for record, future in few_at_a_time(pool, self._write, waiting(), concurrency):
                    self._collect(future, record, on_error)
                    bar.update()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # replies under way still get into the journal
                if self.conversation is not None:
                    self.conversation.stopped.set()
                raise
        write_lines(self.output, (item for id in ids if id in self.journal for item in self.journal.items(id)))
        report.input_tokens, report.output_tokens = self.journal.usage
        report.cost = cost_of(self.journal.usage, prices)
        return report

    def _collect(self, future: Future[None], record: Record, on_error: str) -> None:
        try:
            future.result()
            self.report.written += 1
        except (RecordError, NoReplyError) as error:
            problem = error if isinstance(error, RecordError) else RecordError(record.row or record.id, str(error))
            if on_error == "raise":
                raise problem from error
            self.report.failed[record.id] = str(problem)

    def _write(self, record: Record) -> None:
        """Everything about one record, into the journal."""
        labels = record.closed_set(self.labels)
        if record.emotion is None:
            raise RecordError(record.row, "has no label")
        items, tokens = [], (0, 0)
        if self.category is not None:
            pairs = self.category.turns(record, labels, self.seed)
            for number, pair in enumerate(pairs):
                items.append(llava_item(record, f"{record.id}#category-{number}", [pair], labels, self.output))
        if self.conversation is not None:

            def paid(reply: Reply) -> None:
                self.journal.add({"id": record.id, "tokens": [reply.input_tokens, reply.output_tokens]})

            description = None
            if self.conversation.describes(record):
                description = self.journal.description(record.id)
                if description is None:
                    description, reply = self.conversation.describe(record, self.seed, self.report, paid)
                    used = [reply.input_tokens, reply.output_tokens]
                    self.journal.add({"id": record.id, "tokens": used, "description": description})
            turns, reply = self.conversation.turns(record, labels, self.seed, self.report, paid, description)
            items.append(llava_item(record, f"{record.id}#conversation", turns, labels, self.output))
            tokens = (reply.input_tokens, reply.output_tokens)
        self.journal.add({"id": record.id, "tokens": list(tokens), "items": items})
