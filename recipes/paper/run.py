"""
The paper's recipe (EMO-LLaMA, arXiv 2408.11424), from its six data sets and a converted model to one table:

    python recipes/paper/run.py DATA WORK --model MODEL [--ablation NAME ...] [--cross-modality]

DATA has a folder for each data set of `recipe.json`, by its name there. Each row of the table is a model that is
trained and evaluated once, in WORK; what is finished is kept, and the same command goes on where it was stopped.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from table import save_table
from transformers.utils import CONFIG_NAME

from emo_llama_hf import EmoLlamaConfig
from emo_llama_hf.closed_set.question import preset
from emo_llama_hf.command_line.data_options import with_unique_ids
from emo_llama_hf.data import LAYOUTS, FaceCache, Records, Sample, prepare
from emo_llama_hf.data.folds import check_folds, official_fold
from emo_llama_hf.data.reading import Reading
from emo_llama_hf.input_error import InputError
from emo_llama_hf.instruct import CategoryQuestions, Conversations, TemplateWriter, instruct
from emo_llama_hf.load_model import first_accelerator, load_config, load_model, load_processor
from emo_llama_hf.training import (
    EmoLlamaTrainingArguments,
    TuningArguments,
    same_settings,
    samples_of,
    train,
    train_and_evaluate,
)
from emo_llama_hf.training.train_and_evaluate import EVALUATION, TRAINED_FILE

HERE = Path(__file__).resolve().parent
KINDS = ("category", "conversation")
PLAIN = "emo_llama"  # the row of the whole recipe


def plain(node: Any) -> Any:
    """The recipe without where its values are from."""
    if isinstance(node, dict):
        return (
            node["value"] if set(node) == {"value", "source"} else {name: plain(part) for name, part in node.items()}
        )
    return [plain(part) for part in node] if isinstance(node, list) else node


def read_recipe(data: Path) -> dict[str, Any]:
    """The recipe, for miniature data shortened as `miniature.json` beside them says."""
    recipe = plain(json.loads((HERE / "recipe.json").read_text("utf-8")))
    miniature = data / "miniature.json"
    changes = json.loads(miniature.read_text("utf-8")) if miniature.is_file() else {}
    recipe["miniature"] = bool(changes)
    for stage in recipe["stages"]:
        for part in ("tuning", "arguments"):
            stage[part] |= changes.pop(part, {})
    return {**recipe, **changes}


class Recipe:
    """
    Args:
        data (`Path`): folder of the data sets.
        work (`Path`): folder of everything that is made.
        model (`Path`): folder of a converted model.
        settings (`dict`, *optional*): from [`read_recipe`].
    """

    def __init__(self, data: Path, work: Path, model: Path, settings: dict[str, Any] | None = None):
        self.data, self.work, self.model = data, work, model.resolve()
        self.settings = settings or read_recipe(data)
        self.sets: dict[str, dict[str, Any]] = self.settings["data"]
        self.preset = preset(self.settings["preset"])
        self.rows: dict[str, dict[str, Any]] = {
            PLAIN: {},
            **self.settings["ablations"],
            **self.settings["cross_modality"],
        }

    def run(self, names: list[str]) -> None:
        """
        Make the rows with these names, and the table of all rows that are finished.

        Raises:
            `InputError`: the data, the model or the work of an earlier run do not do; nothing was trained then.
        """
        unknown = sorted(set(names) - set(self.rows))
        if unknown:
            raise InputError(f"`ablation` has {', '.join(unknown)}: choose from {', '.join(self.rows)}.")
        load_config(str(self.model))
        self.check()
        same_settings(self.work, {"data": self.sets, "fold": self.settings["fold"], "model": self.model})
        counts = {name: {kind: self.instructions(name, kind) for kind in KINDS} for name in self.sets}
        for name in names:
            print(f"row {name}", file=sys.stderr)
            self.row(name)
        reports = {name: self.report(name) for name in self.rows if self.report(name).is_file()}
        found = {name: json.loads(path.read_text("utf-8")) for name, path in reports.items()}
        save_table(self.work, found, self.sets, counts, self.settings["miniature"])

    # -- data

    def records(self, name: str, split: str | None = None, fold: int | None = None) -> Records:
        """A data set as its authors ship it, asked about with the paper's labels."""
        one = self.sets[name]
        folds = LAYOUTS[one["layout"]].folds
        options = {"fold": fold or self.settings["fold"]} if folds > 1 else {}
        labels = one["labels"] or self.preset
        return Records(self.data / name, one["layout"], split, labels=labels, name=name, **options)

    def check(self) -> None:
        """Read every row of every data set, and look that no fold tests on what it or another one has seen."""
        for name, one in self.sets.items():
            number = LAYOUTS[one["layout"]].folds
            folds = [official_fold(str(n), list(self.records(name, fold=n))) for n in range(1, max(number, 1) + 1)]
            if number:  # data sets of pictures have copies in their own splits
                check_folds(folds)

    def instruction_file(self, name: str, kind: str) -> Path:
        return self.work / "instructions" / f"{name}-{kind}.jsonl"

    def instructions(self, name: str, kind: str) -> int:
        """Write a data set's instructions, unless they are there, and count them."""
        if not self.sets[name][kind]:
            return 0
        file, turns = self.instruction_file(name, kind), self.settings["conversation_turns"]
        if not file.is_file():
            instruct(
                self.records(name, "train"),
                file,
                category=CategoryQuestions(questions=[self.preset.question]) if kind == "category" else None,
                conversation=Conversations(TemplateWriter(), turns) if kind == "conversation" else None,
                seed=self.settings["seed"],
            )
        with open(file, "rb") as lines:
            return sum(1 for _ in lines)

    def learned(self, name: str, row: dict[str, Any]) -> Iterator[Records]:
        """The instructions about a data set that a row learns from."""
        if self.sets[name]["shows"] in row.get("train_on", ("image", "video")):
            for kind in row.get("kinds", KINDS):
                if self.sets[name][kind]:
                    yield Records(self.instruction_file(name, kind), "llava", name=name)

    def train_samples(self, row: dict[str, Any]) -> list[Sample]:
        return [
            sample
            for name in self.sets
            for records in self.learned(name, row)
            for sample in samples_of(records, faces=FaceCache(self.faces(name, row)))
        ]

    def test_samples(self, row: dict[str, Any]) -> list[Sample]:
        tested = [self.records(name, one["test"]) for name, one in self.sets.items()]
        return [
            sample
            for records, own in zip(tested, with_unique_ids(tested), strict=True)
            for sample in samples_of(
                own, faces=FaceCache(self.faces(records.name, row)), phrasing=self.preset.question
            )
        ]

    # -- faces

    def num_frames(self, row: dict[str, Any]) -> int:
        frames: int = row.get("num_frames", self.settings["num_frames"])
        return frames

    def faces(self, name: str, row: dict[str, Any]) -> Path:
        """Where the faces of a data set lie; other frames have other ones."""
        return self.work / f"faces-{self.num_frames(row)}" / name

    @cached_property
    def eyes(self) -> tuple[Any, Any]:
        """The model that perceives age, gender and race, and its processor."""
        network, processor = load_model(str(self.model), device=first_accelerator())
        processor.faces.detector.to(network.device)
        return network, processor

    def prepare(self, row: dict[str, Any]) -> None:
        """Find the faces of all that a row is trained and tested on."""
        network, processor = self.eyes
        Reading(num_frames=self.num_frames(row)).set_in(processor)
        for name, one in self.sets.items():
            for records in (*self.learned(name, row), self.records(name, one["test"])):
                prepare(records, processor, network, self.faces(name, row))

    # -- rows

    def report(self, name: str) -> Path:
        return self.work / "rows" / name / self.settings["stages"][-1]["name"] / EVALUATION / "report.json"

    def row(self, name: str) -> None:
        """Train and evaluate one row, stage after stage, each from what the one before has made."""
        row, folder = self.rows[name], self.work / "rows" / name
        stages, max_new_tokens = self.settings["stages"], self.settings["max_new_tokens"]
        frames = self.num_frames(row)
        same_settings(folder, {"row": row, "stages": stages, "frames": frames, "max_new_tokens": max_new_tokens})
        if self.report(name).is_file():
            return
        self.prepare(row)
        start = self.start(name)
        for stage in stages:
            output = folder / stage["name"]
            arguments = EmoLlamaTrainingArguments(
                str(output),
                eval_strategy="no",
                load_best_model_at_end=False,
                save_strategy="steps",
                report_to=[],
                seed=self.settings["seed"],
                use_cpu=first_accelerator() == "cpu",
                resume_from_checkpoint="last",
                **stage["arguments"],
            )
            tuning = TuningArguments(
                model=str(start),
                num_frames=frames,
                closed_question=self.preset.question,
                **{**stage["tuning"], **row.get("tuning", {})},
            )
            if stage is stages[-1]:
                tested = self.test_samples(row)
                train_and_evaluate(arguments, tuning, lambda: self.train_samples(row), tested, max_new_tokens)
            elif not (output / TRAINED_FILE).is_file():
                train(arguments, tuning, self.train_samples(row))
            start = output

    def start(self, name: str) -> Path:
        """The converted model with a row's settings; its weights are linked, not copied."""
        row = self.rows[name]
        if not row.keys() & {"model", "prompt"}:
            return self.model
        folder = self.work / "start" / name
        if (folder / CONFIG_NAME).is_file():
            return folder
        config = EmoLlamaConfig.from_dict({**load_config(str(self.model)).to_dict(), **deepcopy(row.get("model", {}))})
        processor = load_processor(str(self.model))
        processor.prompt = replace(processor.prompt, **row.get("prompt", {}))
        processor.tokens_per_frame = config.tokens_per_frame
        processor.save_pretrained(folder)
        for file in self.model.iterdir():
            if file.name != CONFIG_NAME and not (folder / file.name).exists():
                (folder / file.name).symlink_to(file)
        config.save_pretrained(folder)
        return folder


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("work", type=Path, help="folder of what is made")
    parser.add_argument("--model", type=Path, required=True, help="folder of a converted model with a face prior")
    parser.add_argument("--ablation", action="append", default=[], metavar="NAME", help="a row of the table, or all")
    parser.add_argument("--cross-modality", action="store_true", help="train on images alone, and on clips alone")
    parser.add_argument("--fold", type=int, help="of DFEW and MAFW (default: the recipe's)")
    options = parser.parse_args(arguments)
    try:
        settings = read_recipe(options.data)
        settings["fold"] = options.fold or settings["fold"]
        names = [PLAIN]
        for name in options.ablation:
            names += settings["ablations"] if name == "all" else [name]
        names += settings["cross_modality"] if options.cross_modality else []
        Recipe(options.data, options.work, options.model, settings).run(list(dict.fromkeys(names)))
    except (InputError, OSError) as error:
        sys.exit(f"run.py: {error}")
    print((options.work / "table.md").read_text("utf-8"))


if __name__ == "__main__":
    main()
