"""Commands that take long on real data, here on next to none, and what their results are compared by."""

import json
import shutil
from pathlib import Path

import killing
from emotion_samples import EMOTIONS, face_folders

FIXTURES = Path(__file__).parent / "fixtures"
# How long it took, and the mean loss of the steps since it was started.
OF_ONE_PROCESS = ("_runtime", "_per_second", "train_loss")
TRAINING = (
    "--max-steps 4 --save-strategy steps --save-steps 2 --eval-strategy steps --eval-steps 2 --logging-steps 1 "
    "--use-cpu --report-to none --lora-rank 2 --per-device-train-batch-size 2 --save-total-limit 1 "
    "--resume-from-checkpoint last"
).split()
COMMANDS = ("convert", "export", "prepare", "instruct", "evaluate", "train", "analyze", "annotate")


class LongRun:
    """
    A command that writes into `place`, and how its result looks where nothing stops it.

    Args:
        command: one of `COMMANDS`.
        folder: to work in.
        model: a tiny model's.
    """

    def __init__(self, command: str, folder: Path, model: Path) -> None:
        self.command, self.place = command, folder / "place"
        self.place.mkdir()
        data, faces, out = face_folders(folder / "data", 2), folder / "faces", str(self.place / "out")
        asked = ["--model", str(model), "--labels", ",".join(EMOTIONS)]
        seen = [*asked, "--faces", str(faces), "--output", out]
        evaluated = ["--eval-data", str(data), "--eval-faces", str(faces)]
        pictures = sorted(map(str, data.rglob("*.png")))
        source = FIXTURES / "llama_vid" / "b_grid"
        if command == "export":
            source = folder / "converted"
            killing.run(["convert", str(FIXTURES / "llama_vid" / "b_grid"), "--output", str(source)], self.place)
        if command in ("evaluate", "train"):
            killing.run(["prepare", str(data), "--model", str(model), "--faces", str(faces)], self.place)
        self.arguments = {
            "convert": ["convert", str(source), "--output", out],
            "export": ["convert", str(source), "--to", "llama-vid", "--output", out],
            "prepare": ["prepare", str(data), "--model", str(model), "--faces", out, "--shard-size", "2"],
            "instruct": ["instruct", str(data), "--output", out, "--labels", ",".join(EMOTIONS), "--concurrency", "1"],
            "evaluate": ["evaluate", str(data), *seen, "--batch-size", "1", "--max-new-tokens", "3"],
            "train": ["train", str(data), *seen, *evaluated, *TRAINING],
            "annotate": [
                "annotate",
                *pictures,
                out,
                *asked,
                *"--part-size 4 --batch-size 1 --max-new-tokens 2".split(),
            ],
            "analyze": ["analyze", *pictures, *asked, "--save-annotated", out, "--max-new-tokens", "2"],
        }[command]
        self.moments = self.run().moments
        self.whole, self.sizes = self.result(), [len(content) for content in killing.contents(self.place).values()]

    def run(self, **how) -> killing.Ending:
        return killing.run(self.arguments, self.place, **how)

    def anew(self, **how) -> killing.Ending:
        shutil.rmtree(self.place)
        self.place.mkdir()
        return self.run(**how)

    def result(self) -> object:
        """What must be the same however often the run was stopped."""
        files = killing.contents(self.place)
        if self.command == "prepare":  # shards are called by the time
            shards = sorted(name for name in files if name.startswith("out/faces-"))
            return [files[name] for name in [*shards, "out/settings.json"]], len(files)
        if self.command == "train":
            state = json.loads(files["out/trainer_state.json"])
            log = [
                {key: entry[key] for key in entry if not key.endswith(OF_ONE_PROCESS)}
                for entry in state["log_history"]
            ]
            weights = {name: files[name] for name in files if name.endswith(".safetensors")}
            return log, sorted(files), weights
        if self.command == "instruct":
            files.pop("out.report.json")  # it counts what this run did
        return files
