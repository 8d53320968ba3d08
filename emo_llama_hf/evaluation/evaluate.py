"""An evaluation: samples to results to figures, in any number of processes."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from tqdm.auto import tqdm

from ..data.sample import Sample
from ..data.samples import check_faces, label_set_of, last_visual, visual_parts
from ..input_error import InputError
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.prompts import Attributes
from ..processing.visual import Visual
from .evaluation_report import PROTOCOLS, AnswerProtocol, EvaluationReport, make_report, save_report
from .predictor import Predictor
from .result_journal import Journal, ResultEntry


def evaluate(
    predictor: Predictor,
    samples: Sequence[Sample],
    processor: EmoLlamaProcessor,
    output: str | Path,
    settings: dict[str, Any] | None = None,
    batch_size: int = 8,
    protocols: Sequence[AnswerProtocol] = PROTOCOLS,
    progress: bool = True,
) -> EvaluationReport:
    """
    Ask about each sample's last visual, once, and work out the figures.

    Under `accelerate launch` or `torchrun` the processes share the samples. Results are written down as they come: the
    same call goes on where an earlier one was stopped, with any number of processes and any batch size; samples that
    could not be read are tried again.

    Args:
        predictor ([`Predictor`]): such as [`EmoLlamaPredictor`] or [`ChatModelPredictor`].
        samples (`Sequence[Sample]`):
            Those without an `emotion` are left out. Each is asked about with the label set of its data set.
        processor ([`EmoLlamaProcessor`]): reads the visuals and, for an EmoLlama, finds their faces.
        output (`str` or `Path`): folder of the results, `report.json` and the confusion matrices.
        settings (`dict`, *optional*): what the results depend on beside the labels, such as the model's name.
        batch_size (`int`, *optional*, defaults to 8): visuals a forward.
        protocols (`Sequence[str]`, *optional*): see [`make_report`].
        progress (`bool`, *optional*, defaults to `True`): whether to show a progress bar.

    Returns:
        [`EvaluationReport`], in every process.

    Raises:
        `InputError`: no sample has an emotion, one has an emotion outside the label set, two have the same id, a data
            set has two label sets, or another run is writing `output`.
    """
    state = PartialState(cpu=predictor.device.type == "cpu")
    asked: dict[str, Sample] = {}
    label_sets: dict[str, list[str]] = {}
    names: dict[str, list[str]] = defaultdict(list)  # of each data set
    for index, sample in enumerate(samples):
        emotion = sample.get("emotion")
        if emotion is None:
            continue
        name = str(sample.get("id", index))
        if name in asked:
            raise InputError(f"Sample {index} has the id {name!r}, as another has: ids must be unique.")
        asked[name] = sample
        labels = list(label_set_of(sample, predictor.labels, f"Sample {name}") or ())
        dataset = sample.get("dataset") or ""
        if label_sets.setdefault(dataset, labels) != labels:
            raise InputError(
                f"Sample {index} has the label set {', '.join(labels)}, others of {dataset or 'its data set'} have "
                f"{', '.join(label_sets[dataset])}: name the `dataset` of each."
            )
        names[dataset].append(name)
    if not asked:
        raise InputError("No sample has an `emotion`: there is nothing to compare answers with.")
    check_faces(asked.values(), processor)
    journal = Journal(output, {"labels": label_sets, **(settings or {})}, state.process_index)
    with journal.writing():
        done = journal.read()
        state.wait_for_everyone()  # nobody writes before everybody has read what is left to do
        answered = {name for name, result in done.items() if "error" not in result}
        left = [[name for name in names[dataset] if name not in answered] for dataset in label_sets]
        mine = [part[state.process_index :: state.num_processes] for part in left]
        bar = tqdm(total=sum(map(len, mine)), desc="answers", disable=not progress or not state.is_local_main_process)
        with bar:
            for part, labels in zip(mine, label_sets.values(), strict=True):
                for start in range(0, len(part), batch_size):
                    batch = {name: asked[name] for name in part[start : start + batch_size]}
                    journal.add(_ask(predictor, processor, batch, labels))
                    bar.update(len(batch))
        state.wait_for_everyone()
        results = journal.read()
        report = make_report([results[name] for name in asked], label_sets, protocols)
        if state.is_main_process:
            save_report(report, output)
        state.wait_for_everyone()
    return report


def _ask(
    predictor: Predictor, processor: EmoLlamaProcessor, samples: dict[str, Sample], labels: list[str]
) -> list[ResultEntry]:
    """A journal entry for each sample; one that cannot be read has an `error`."""
    entries: dict[str, ResultEntry] = {}
    shown: dict[str, tuple[Visual, Attributes | None]] = {}
    for name, sample in samples.items():
        parts = visual_parts(sample["messages"])
        entries[name] = {
            "id": name,
            "target": sample["emotion"] or "",
            "dataset": sample.get("dataset") or "",
            "fold": sample.get("fold"),
            "kind": "dynamic" if parts and parts[-1]["type"] == "video" else "static",
        }
        try:
            shown[name] = last_visual(processor, sample)
        except (OSError, ValueError) as error:
            entries[name]["error"] = str(error)
    visuals, known = [visual for visual, _ in shown.values()], [attributes for _, attributes in shown.values()]
    for name, result in zip(shown, predictor(visuals, known, labels) if visuals else [], strict=True):
        said = _last(samples[name].get("attributes"))
        if "error" in result:
            entries[name]["error"] = result["error"]
        else:
            entries[name] |= {"answer": result["answer"], "scores": result["scores"]}
            if "refusal" in result:
                entries[name]["refusal"] = result["refusal"]
        # Who somebody is said to be comes before who the model takes them for.
        entries[name]["attributes"] = {**result.get("perceived", {}), **_without_probabilities(said)}
    return list(entries.values())


def _last(attributes: Attributes | list[Attributes | None] | None) -> Attributes:
    """Of the last visual."""
    return (attributes[-1] if isinstance(attributes, list) else attributes) or {}


def _without_probabilities(attributes: Attributes) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in attributes.items()}
