"""What emo-llama-mini can do, on the validation files: figures, pictures and its card."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import torch
from card import save_card
from chats import Chats
from held_out import HeldOut
from tqdm.auto import tqdm

from emo_llama_hf import EmoLlamaForConditionalGeneration, EmoLlamaProcessor, default_model
from emo_llama_hf.data import Records
from emo_llama_hf.evaluation import EmoLlamaPredictor, make_report, save_confusion_matrix

BATCH = 32
TEMPERATURES = np.arange(0.5, 3.01, 0.05)


def log_scores(results: list[dict], labels: list[str]) -> torch.Tensor:
    """Logarithm of each label's score (faces, labels)."""
    scores = torch.tensor([[row["scores"][label] for label in labels] for row in results], dtype=torch.float64)
    return scores.clamp(min=1e-12).log()


def best_temperature(results: list[dict], labels: list[str]) -> float:
    """The temperature of the scores that makes the true labels likeliest."""
    logits = log_scores(results, labels)
    targets = torch.tensor([labels.index(row["target"]) for row in results])

    def loss(temperature: float) -> float:
        return torch.nn.functional.cross_entropy(logits / temperature, targets).item()

    return float(min(TEMPERATURES, key=loss).round(2))


def ask(predictor: EmoLlamaPredictor, processor: EmoLlamaProcessor, records: Records, name: str) -> list[tuple]:
    """Each record with what is said of it: `answer`, `scores` and `perceived`."""
    rows, found = list(records), []
    for start in tqdm(range(0, len(rows), BATCH), name):
        batch = rows[start : start + BATCH]
        found += zip(batch, predictor([record.load(processor) for record in batch], [None] * len(batch)), strict=True)
    return found


def emotions(predictor: EmoLlamaPredictor, processor: EmoLlamaProcessor, records: Records) -> list[dict]:
    """Answer, scores and perceived attributes of each face."""
    return [
        {"target": record.emotion, "kind": "static", "attributes": said["perceived"], **said}
        for record, said in ask(predictor, processor, records, "emotions")
    ]


def attributes(predictor, processor, recipe) -> dict:
    """Accuracy of each perceived attribute, of all faces and of those of each group as the data set has them."""
    rows = [
        (recipe.meant(record.attributes), record.attributes, said["perceived"])
        for record, said in ask(predictor, processor, recipe.records("attributes", "valid"), "attributes")
    ]
    figures: dict = {"count": len(rows), "faces_found": sum(bool(found) for _, _, found in rows)}
    for task in recipe.settings["meanings"]:
        right = [true[task] == found.get(task) for true, _, found in rows]
        groups: dict[str, dict[str, list[bool]]] = {}
        for (_, named, _), hit in zip(rows, right, strict=True):
            for group, value in named.items():
                groups.setdefault(group, {}).setdefault(value, []).append(hit)
        figures[task] = {
            "accuracy": float(np.mean(right)),
            "groups": {
                group: {value: {"accuracy": float(np.mean(hits)), "count": len(hits)} for value, hits in parts.items()}
                for group, parts in groups.items()
            },
        }
    return figures


def clips(pipe, chats: Chats, count: int) -> dict:
    """Clips that change once, made of unseen faces: whether both emotions are named, and in their order."""
    asked, named, exact = 0, 0, 0
    words = re.compile("|".join(chats.labels))
    for sample in tqdm(chats.draw(count), "clips"):
        answer = sample["messages"][1]["content"]
        true = words.findall(answer)
        if not answer.startswith("The expression changes") or len(true) != 2:
            continue
        asked += 1
        said = words.findall(_said(pipe, sample, _question(sample)))
        named += set(said) == set(true)
        exact += said == true
    return {
        "count": asked,
        "both_named": named / asked,
        "in_order_if_named": exact / max(named, 1),
        "exact": exact / asked,
    }


def choices(pipe, chats: Chats, count: int) -> dict:
    """Questions that name the labels to choose from: whether one of these is the answer, and the right one."""
    named, right = [], []
    for sample in tqdm(chats.draw(count), "choices"):
        question, expected = _question(sample), sample["messages"][1]["content"]
        said = _said(pipe, sample, question)
        named.append(re.search(rf"\b{re.escape(said)}\b", question) is not None)
        right.append(said == expected)
    return {"count": count, "named": float(np.mean(named)), "right": float(np.mean(right))}


def language(pipe, chats: Chats, count: int) -> dict:
    """
    Whether answers are sentences that it was taught, and of the question's intent; whether yes and no agree with the
    emotion that was named, and the age with the prompt; whether that emotion is named without the suggestion, too.
    """
    patterns = _answers(chats)
    taught, right, agrees, steady = [], [], [], []
    for sample in tqdm(chats.draw(count), "language"):
        question, expected = _question(sample), sample["messages"][1]["content"]
        said = _said(pipe, sample, question)
        intents = {name for name, pattern in patterns.items() if pattern.fullmatch(said)}
        taught.append(bool(intents))
        right.append(any(patterns[name].fullmatch(expected) for name in intents))
        if found := re.fullmatch(r"The person looks (\w+), so (yes|no)\.", said):
            asked = set(re.findall(r"\w+", question.lower())) & set(chats.sayings["words"]["adjectives"][found[1]])
            agrees.append((found[2] == "yes") == bool(asked))
            steady.append(found[1] in _said(pipe, sample, "What emotion do you see?"))
        elif patterns["age"].fullmatch(expected):
            agrees.append(said == expected)
    return {
        "count": count,
        "taught_sentence": float(np.mean(taught)),
        "right_intent": float(np.mean(right)),
        "agrees": float(np.mean(agrees)),
        "agrees_count": len(agrees),
        "steady": float(np.mean(steady)),
        "steady_count": len(steady),
    }


def _answers(chats: Chats) -> dict[str, re.Pattern]:
    """What the answers of each intent look like, whatever the emotion."""
    words = {
        "emotion": chats.labels,
        "signs": chats.sayings["signs"].values(),
        "mood": chats.sayings["mood"].values(),
        "kind": ["image", "video"],
        "verdict": ["yes", "no"],
        **chats.attributes,
    }
    intents = {**chats.sayings["picture"], "no_face": chats.sayings["no_face"]}
    answers = {name: [*intent["answers"], *intent.get("unknown", [])] for name, intent in intents.items()}

    def pattern(answer: str) -> str:
        """The answer with any word in each of its gaps."""
        return re.sub(r"\\{(\w+)\\}", lambda gap: f"(?:{'|'.join(map(re.escape, words[gap[1]]))})", re.escape(answer))

    return {name: re.compile("|".join(map(pattern, texts))) for name, texts in answers.items()}


def _question(sample: dict) -> str:
    return sample["messages"][0]["content"][-1]["text"]


def _said(pipe, sample: dict, question: str) -> str:
    """The answer to a question about what a sample shows."""
    part = sample["messages"][0]["content"][0]
    shown = {part["type"]: part[part["type"]], "attributes": sample["attributes"] or False}
    return pipe(shown, question=question)["generated_text"]


def measure(recipe) -> None:
    """Finish the checkpoint: half precision, calibrated; write `results.json`, the pictures and the card."""
    output, here = recipe.output, Path(__file__).resolve().parent
    processor = EmoLlamaProcessor.from_pretrained(recipe.work / "start")
    # The figures are those of the weights as they are stored.
    last = f"alignment_{len(recipe.settings['alignment'])}"
    model = EmoLlamaForConditionalGeneration.from_pretrained(recipe.work / last, dtype=torch.float16)
    model = model.float().eval()
    predictor = EmoLlamaPredictor(model, processor, recipe.config.emotion_labels)
    found = emotions(predictor, processor, recipe.records("emotions", "valid"))
    temperature = best_temperature(found, predictor.labels)
    processor.label_temperature = temperature
    scores = (log_scores(found, predictor.labels) / temperature).softmax(-1).tolist()
    found = [
        {**row, "scores": dict(zip(predictor.labels, scaled, strict=True))}
        for row, scaled in zip(found, scores, strict=True)
    ]
    report = make_report(found, predictor.labels)
    results = {
        "emotions": report,
        "label_temperature": temperature,
        "attributes": attributes(predictor, processor, recipe),
        "clips": clips(predictor.pipeline, recipe.chats("valid", seed=1).only("clip"), 800),
        "choices": choices(predictor.pipeline, recipe.chats("valid", seed=3).only("category"), 300),
        "language": language(predictor.pipeline, recipe.chats("valid", seed=2).only("conversation", "no_face"), 200),
        "held_out": HeldOut(predictor.pipeline, recipe.chats("valid").by_emotion).measure(),
        "parameters": model.num_parameters(),
        "hours": json.loads((recipe.work / "hours.json").read_text("utf-8")),
    }
    for protocol in ("generation", "likelihood"):
        save_confusion_matrix(report[protocol], here / f"confusion-{protocol}.png", protocol)
    for curve in recipe.work.glob("*/loss_curve.png"):
        shutil.copy(curve, here / f"loss-{curve.parent.name.replace('_', '-')}.png")
    (here / "results.json").write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    processor.save_pretrained(output)
    shutil.copy(recipe.work / "start" / "tokenizer.model", output)
    shutil.copy(Path(default_model()) / "face_detector" / "LICENSE", output / "face_detector")
    model.half().save_pretrained(output)
    # Half the size on disk, but computed in single precision, which CPUs are faster in.
    settings = json.loads((output / "config.json").read_text("utf-8"))
    (output / "config.json").write_text(json.dumps({**settings, "dtype": "float32"}, indent=2) + "\n", "utf-8")
    save_card(output, model.config, results)
    for copy in output.glob("*.py"):  # the package has this code
        copy.unlink()
    for weights in output.rglob("*.safetensors"):
        weights.chmod(0o644)
