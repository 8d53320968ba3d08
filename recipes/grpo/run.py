"""
Reinforcement learning beside supervised training, from emo-llama-mini, on as many of the same faces:

    python recipes/grpo/run.py TRAIN.parquet TEST.parquet WORK [--faces 400] [--test-faces 1000] [--seed 0]

Writes `table.md` into WORK, with reward and accuracy on the first faces of TEST before training, after GRPO and after
supervised training. Nothing is chosen on TEST: each run is of one pass and keeps what it ends with. What is finished
is kept, and the same command goes on.
"""

import argparse
import json
import time
from itertools import islice
from pathlib import Path

from emo_llama_hf.data import Records, Sample
from emo_llama_hf.evaluation import evaluate
from emo_llama_hf.evaluation.load_predictor import load_predictor
from emo_llama_hf.load_model import load_config
from emo_llama_hf.training import EmoLlamaTrainingArguments, TuningArguments, samples_of, train
from emo_llama_hf.training.grpo import REWARDS, GRPOArguments
from emo_llama_hf.training.grpo.train_grpo import train_grpo
from emo_llama_hf.whole_file import write_text

RUNS = ("before", "grpo", "supervised")


def learn(name: str, output: Path, samples: list[Sample], seed: int) -> float:
    """Train, and return the seconds that it took."""
    grpo = GRPOArguments(max_completion_length=32)
    answers = grpo.num_generations if name == "grpo" else 1
    arguments = EmoLlamaTrainingArguments(
        str(output),
        per_device_train_batch_size=8 * answers,  # of eight faces, either way
        learning_rate=1e-4,
        num_train_epochs=1,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
        report_to=[],
        use_cpu=True,
        seed=seed,
    )
    start = time.perf_counter()
    if name == "grpo":
        train_grpo(arguments, TuningArguments(), grpo, samples, train_data="FER2013")
    else:
        train(arguments, TuningArguments(), samples, train_data="FER2013")
    return time.perf_counter() - start


def reward(results: list[dict], labels: list[str]) -> float:
    """Mean sum of the rewards of answers, as TRL adds them up; here of the answers that are given without chance."""
    columns = {
        "completions": [[{"role": "assistant", "content": row["answer"]}] for row in results],
        "emotion": [row["target"] for row in results],
        "emotion_labels": [labels] * len(results),
    }
    values = [value for rule in REWARDS.values() for value in rule(**columns)]
    return sum(value for value in values if value is not None) / len(results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--faces", type=int, default=400, metavar="N")
    parser.add_argument("--test-faces", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args()
    labels = list(load_config(None).emotion_labels)
    samples, tested = (
        samples_of(islice(Records(path, labels=labels), count))
        for path, count in ((options.train, options.faces), (options.test, options.test_faces))
    )
    rows = ["| | reward | WAR | UAR | training |", "|---|---:|---:|---:|---:|"]
    for name in RUNS:
        output = options.work / name
        seconds = output / "seconds.json"
        if name != "before" and not seconds.is_file():
            write_text(seconds, json.dumps(learn(name, output, samples, options.seed)))
        predictor, processor = load_predictor(None if name == "before" else str(output), device="cpu")
        report = evaluate(predictor, tested, processor, output / "evaluation", batch_size=16)
        results = [json.loads(line) for file in (output / "evaluation").glob("results-*.jsonl") for line in open(file)]
        figures = report["generation"]
        took = f"{json.loads(seconds.read_text()):.0f} s" if seconds.is_file() else ""
        rows.append(
            f"| {name} | {reward(results, labels):.3f} | {figures['war']:.1%} | {figures['uar']:.1%} | {took} |"
        )
    caption = (
        f"`python recipes/grpo/run.py TRAIN TEST WORK --faces {options.faces} --test-faces {options.test_faces} "
        f"--seed {options.seed}`: one pass over {options.faces} faces of TRAIN, figures on {len(tested)} of TEST."
    )
    write_text(options.work / "table.md", caption + "\n\n" + "\n".join(rows) + "\n")
    print((options.work / "table.md").read_text())


if __name__ == "__main__":
    main()
