"""A short fine-tuning run, as a program: alone, or under torchrun. `training_run.py MODEL OUTPUT TRAINING TUNING`

The last two are JSON, e.g. `'{"seed": 1}' '{}'`.
"""

import json
import sys
from pathlib import Path

from emo_llama_hf.training import EmoLlamaTrainingArguments, TuningArguments, train
from emo_llama_hf.training.end_training import end_training
from emotion_samples import EMOTIONS, face_samples
from fsdp_on_cpu import allow_fsdp_on_cpu, forget_meshes

TRAINING = {
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 2,
    "max_steps": 6,
    "logging_steps": 1,
    "learning_rate": 5e-3,
    "report_to": [],
    "use_cpu": True,
    "disable_tqdm": True,
    "eval_strategy": "steps",
    "eval_steps": 3,
    "save_strategy": "steps",
    "save_steps": 3,
    "class_balance": 0.5,
    "closed_set_weight": 0.5,
}
TUNING = {"lora_rank": 4, "emotion_labels": EMOTIONS}


def run(model, output, training: dict | None = None, tuning: dict | None = None):
    """Train `model` on 16 drawn faces and evaluate it on 5."""
    arguments = EmoLlamaTrainingArguments(str(output), **{**TRAINING, **(training or {})})
    choices = TuningArguments(model=str(model), **{**TUNING, **(tuning or {})})
    return train(arguments, choices, face_samples(16), face_samples(5))


def history(folder, *keys: str) -> list[tuple]:
    """What a saved run logged at each step."""
    log = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [(entry["step"], key, entry[key]) for entry in log for key in keys if key in entry]


if __name__ == "__main__":
    allow_fsdp_on_cpu()
    run(*sys.argv[1:3], *map(json.loads, sys.argv[3:]))
    forget_meshes()
    end_training()
    # One that lived on could abort the process while Python ends.
    left = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm") if "gloo" in path.read_text()]
    assert not left, f"threads of a process group that was destroyed: {left}"
