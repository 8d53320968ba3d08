"""What emo-llama-mini can do: figures and pictures, of the part that only the report looks at."""

import io
import json
import os
import random
import re
import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from card import save_card
from chats import FER2013_NAMES, Chats
from held_out import HeldOut
from PIL import Image, ImageEnhance
from tqdm.auto import tqdm

from emo_llama_hf import EmoLlamaForConditionalGeneration, EmoLlamaProcessor, default_model
from emo_llama_hf.chat.told_emotion import course_of
from emo_llama_hf.data.record import Record
from emo_llama_hf.evaluation import EmoLlamaPredictor, make_report, save_confusion_matrix
from emo_llama_hf.processing.visual import Visual

HERE = Path(__file__).resolve().parent
BATCH = 32
SWITCHES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
TEMPERATURES = np.arange(0.5, 3.01, 0.05)
FRAMINGS = ("48 pixels", "96 pixels", "224 pixels", "in a photo", "JPEG 40")
FIGURES = ("fer2013", "voters", "clips", "attributes", "framings", "held_out", "forms", "switches")
# What is asked to see whether all answers about an input name the same emotion.
NAMING = ("emotion", "describe", "why", "yes_or_no", "either", "one_word", "json", "certainty", "wrong", "sure_again")


def score_table(results: list[dict], labels: list[str]) -> torch.Tensor:
    """Each label's score (faces, labels)."""
    return torch.tensor([[row["scores"][label] for label in labels] for row in results], dtype=torch.float64)


def best_temperature(results: list[dict], labels: list[str]) -> float:
    """The temperature of the scores that makes the targets likeliest."""
    logits = score_table(results, labels).clamp(min=1e-12).log()
    targets = torch.tensor([labels.index(row["target"]) for row in results])

    def loss(temperature: float) -> float:
        return torch.nn.functional.cross_entropy(logits / temperature, targets).item()

    return float(min(TEMPERATURES, key=loss).round(2))


class Measure:
    """
    Asks the finished checkpoint.

    Args:
        recipe ([`Recipe`])
        folder (`Path`): the checkpoint.
    """

    def __init__(self, recipe: Any, folder: Path):
        self.recipe, self.labels = recipe, recipe.config.emotion_labels
        self.model = EmoLlamaForConditionalGeneration.from_pretrained(folder).eval()
        self.processor = EmoLlamaProcessor.from_pretrained(folder)
        self.predictor = EmoLlamaPredictor(self.model, self.processor, self.labels)
        self.pipe = self.predictor.pipeline
        self.dice = random.Random(1)

    @cached_property
    def chats(self) -> Chats:
        """For what they say, and for backgrounds."""
        made: Chats = self.recipe.chats(self.recipe.read_crops(), self.recipe.settings["alignment"][0], seed=1)
        return made

    def asked(self, records: Iterable[Record], labels: list[str] | None = None, name: str = "") -> list[dict]:
        """What is said of each record: `answer`, `scores` and `perceived`."""
        rows, found = list(records), []
        for start in tqdm(range(0, len(rows), BATCH), name):
            batch = rows[start : start + BATCH]
            visuals = [record.load(self.processor) for record in batch]
            found += self.predictor(visuals, [None] * len(batch), labels)
        return found

    def voters(self) -> dict:
        """The report of what most voters see; and how many are right where contempt is an answer too."""
        rows = self.voted("report")
        right = [max(row["scores"], key=row["scores"].get) == row["target"] for row in rows]
        return {
            **make_report([row for row in rows if row["target"] in self.labels], self.labels),
            "with_contempt": {"count": len(rows), "war": float(np.mean(right))},
        }

    def voted(self, part: str) -> list[dict]:
        """The faces that more than half of FER+'s voters agree about, with what is said of them."""
        targets = self.recipe.parts.majority(part)
        kept = [row for row in zip(targets, self.recipe.parts.records("emotions", part), strict=True) if row[0]]
        said = self.asked((record for _, record in kept), name=f"FER+, {part}")
        return [
            {"target": target, "kind": "static", "attributes": one["perceived"], **one}
            for (target, _), one in zip(kept, said, strict=True)
        ]

    def fer2013(self) -> dict:
        """The report of all faces, asked with FER2013's own names of the emotions for its own labels."""
        records = list(self.recipe.parts.records("emotions", "report"))
        names = dict(zip(self.labels, FER2013_NAMES, strict=True))
        said = self.asked(records, FER2013_NAMES, "FER2013")
        rows = [
            {"target": names[record.emotion], "kind": "static", "attributes": one["perceived"], **one}
            for record, one in zip(records, said, strict=True)
        ]
        return make_report(rows, FER2013_NAMES)

    def held_out(self) -> dict:
        """The questions that it never learned from."""
        return HeldOut(self.pipe, self.recipe.pictures("report")).measure()

    def attributes(self) -> dict:
        """Accuracy of each perceived attribute, of all faces and of those of each group as the data set has them."""
        records = list(self.recipe.parts.records("attributes", "report"))
        rows = [
            (self.recipe.meant(record.attributes), record.attributes, said["perceived"])
            for record, said in zip(records, self.asked(records, name="FairFace"), strict=True)
        ]
        figures: dict = {"count": len(rows), "faces_found": sum(bool(found) for _, _, found in rows)}
        for task in self.recipe.settings["meanings"]:
            right = [true[task] == found.get(task) for true, _, found in rows]
            groups: dict[str, dict[str, list[bool]]] = {}
            for (_, named, _), hit in zip(rows, right, strict=True):
                for group, value in named.items():
                    groups.setdefault(group, {}).setdefault(value, []).append(hit)
            figures[task] = {
                "accuracy": float(np.mean(right)),
                "groups": {
                    group: {
                        value: {"accuracy": float(np.mean(hits)), "count": len(hits)} for value, hits in parts.items()
                    }
                    for group, parts in groups.items()
                },
            }
        return figures

    def framings(self) -> dict:
        """Whether a face gets the same answer however it comes."""
        faces = self._some_faces(400)
        framed = [picture for face in faces for picture in self._framed(face)]
        said = self.pipe(framed, batch_size=BATCH, max_new_tokens=8)
        rows = [said[start : start + len(FRAMINGS)] for start in range(0, len(said), len(FRAMINGS))]
        emotions = [[result["emotion"] for result in row] for row in rows]
        return {
            "count": len(faces),
            "all_the_same": float(np.mean([len(set(row)) == 1 for row in emotions])),
            "as_at_48_pixels": {
                name: float(np.mean([row[0] == row[place] for row in emotions])) for place, name in enumerate(FRAMINGS)
            },
            "face_found": {
                name: float(np.mean([row[place] is not None for row in emotions]))
                for place, name in enumerate(FRAMINGS)
            },
        }

    def _some_faces(self, count: int) -> list[Image.Image]:
        """Faces of the report that most voters agree about."""
        return self.dice.sample([face for part in self.recipe.pictures("report").values() for face in part], count)

    def _framed(self, face: Image.Image) -> list[Image.Image]:
        photo = self.dice.choice(self.chats.backgrounds).resize((480, 360))
        side = self.dice.randint(100, 240)
        at = self.dice.randint(0, 480 - side), self.dice.randint(0, 360 - side)
        photo.paste(face.resize((side, side), Image.Resampling.BICUBIC), at)
        large, file = face.resize((224, 224), Image.Resampling.BICUBIC), io.BytesIO()
        large.save(file, "JPEG", quality=40)
        return [face, face.resize((96, 96), Image.Resampling.BICUBIC), large, photo, Image.open(file).convert("RGB")]

    def clips(self) -> dict:
        """Clips built of stills: whether changes, and only these, are told, with both emotions in order."""
        faces, english = self.recipe.pictures("report"), self.chats.sayings["en"]
        questions, answers = (english["intents"]["change"][name] for name in ("questions", "answers"))
        adjectives = {label: english["emotions"][label]["adjectives"][0] for label in self.labels}
        changes, stays = [], []
        for number in tqdm(range(300), "clips"):
            course, frames = self._clip(faces, number % 2 == 1)
            visual = Visual(frames, [index / 2 for index in range(len(frames))], is_video=True)
            said = self.pipe({"video": visual}, question=self.dice.choice(questions))["generated_text"]
            found = next((match for text in answers["changes"] if (match := _pattern(text).fullmatch(said))), None)
            if number % 2:
                told = (found["first"], found["last"]) if found else ()
                true = (adjectives[course[0]], adjectives[course[-1]])
                changes.append({"told": found is not None, "named": set(told) == set(true), "exact": told == true})
            else:
                stays.append(found is not None)
        return {
            "changing": len(changes),
            **{name: float(np.mean([row[name] for row in changes])) for name in ("told", "named", "exact")},
            "constant": len(stays),
            "false_changes": float(np.mean(stays)),
        }

    def switches(self) -> dict:
        """What every price of a change would find in clips of the part to choose by, by the scores of their frames."""
        faces = self.recipe.pictures("choose")
        clips = [self._clip(faces, number % 2 == 1) for number in range(200)]
        said = self.pipe([frame for _, frames in clips for frame in frames], batch_size=BATCH)
        scores = score_table(said, self.labels).split([len(frames) for _, frames in clips])
        found = {}
        for price in SWITCHES:
            rows = [
                ([emotion for emotion, _ in groupby(course)], course_of(self.labels, frames, price))
                for (course, _), frames in zip(clips, scores, strict=True)
            ]
            found[str(price)] = {
                "exact": float(np.mean([said == true for true, said in rows if len(true) > 1])),
                "false_changes": float(np.mean([len(said) > 1 for true, said in rows if len(true) == 1])),
            }
        return found

    def _clip(self, faces: dict[str, list[Image.Image]], changes: bool) -> tuple[list[str], list[Image.Image]]:
        """The emotion of each of six frames, which changes once or not at all, and the frames."""
        course = [self.dice.choice(self.labels)] * 6
        if changes:
            cut = self.dice.randint(2, 4)
            course[cut:] = [self.dice.choice([label for label in self.labels if label != course[0]])] * (6 - cut)
        stills = {emotion: self.dice.choice(faces[emotion]) for emotion in dict.fromkeys(course)}
        return course, [self._noisy(stills[emotion]) for emotion in course]

    def _noisy(self, face: Image.Image) -> Image.Image:
        """A frame of a face that stays as it is, as a camera sees it: light, noise and the crop tremble."""
        shift = [self.dice.uniform(-1.5, 1.5) for _ in range(2)]
        frame = face.resize((96, 96), Image.Resampling.BICUBIC, (1.5 + shift[0], 1.5 + shift[1], 46.5, 46.5))
        frame = ImageEnhance.Brightness(frame).enhance(self.dice.uniform(0.9, 1.1))
        noise = np.random.default_rng(self.dice.randrange(2**32)).normal(0, 4, (96, 96, 3))
        return Image.fromarray((np.asarray(frame) + noise).clip(0, 255).astype(np.uint8))

    def forms(self) -> dict:
        """Whether every answer about a face names the emotion that the pipeline gives, whatever was asked."""
        english = self.chats.sayings["en"]
        same, misses = [], []
        for face in tqdm(self._some_faces(60), "forms"):
            for name in NAMING:
                intent = english["intents"][name]
                words = {
                    key: self.chats.word("en", self.dice.choice(self.labels), form)
                    for key, form in (
                        ("asked", "adjectives"), ("asked_noun", "nouns"), ("one", "adjectives"), ("two", "adjectives")
                    )
                }  # fmt: skip
                question = self.dice.choice(intent["questions"]).format(**words, kind="picture")
                result = self.pipe({"image": face}, question=question)
                named = english["emotions"][result["emotion"]]
                said = result["generated_text"]
                right = any(
                    word in said for word in (*named["adjectives"][:1], *named["nouns"][:1], result["emotion"])
                )
                same.append(right or said.lower().startswith(("yes", "that is")))
                if not same[-1]:
                    misses.append({"question": question, "emotion": result["emotion"], "said": said})
        return {"count": len(same), "same": float(np.mean(same)), "misses": misses[:20]}


def _pattern(answer: str) -> re.Pattern[str]:
    """An answer with any word in each of its gaps."""
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\w+)", re.escape(answer)))


def figures(recipe: Any, folder: Path, name: str) -> dict:
    """One of `FIGURES`, in a process of its own."""
    torch.set_num_threads(1)
    found: dict = getattr(Measure(recipe, folder), name)()
    return found


def measure(recipe: Any) -> None:
    """Finish the checkpoint: half precision, calibrated; write `results.json`, the pictures and the card."""
    output = recipe.output
    processor = EmoLlamaProcessor.from_pretrained(recipe.work / "start")
    last = f"alignment_{len(recipe.settings['alignment'])}"
    model = EmoLlamaForConditionalGeneration.from_pretrained(recipe.work / last, dtype=torch.float16)
    processor.save_pretrained(output)
    shutil.copy(recipe.work / "start" / "tokenizer.model", output)
    shutil.copy(Path(default_model()) / "face_detector" / "LICENSE", output / "face_detector")
    model.save_pretrained(output)
    # Half the size on disk, but computed in single precision, which CPUs are faster in.
    settings = json.loads((output / "config.json").read_text("utf-8"))
    (output / "config.json").write_text(json.dumps({**settings, "dtype": "float32"}, indent=2) + "\n", "utf-8")

    asks = Measure(recipe, output)
    chosen_by = asks.voted("choose")
    temperature = best_temperature([row for row in chosen_by if row["target"] in asks.labels], asks.labels)
    asks.processor.label_temperature = temperature
    asks.processor.save_pretrained(output)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        asked = {name: pool.submit(figures, recipe, output, name) for name in FIGURES}
        found = {name: future.result() for name, future in asked.items()}
    voters, fer2013 = found["voters"], found["fer2013"]
    results = {
        **found,
        "label_temperature": temperature,
        "parameters": model.num_parameters(),
        "hours": json.loads((recipe.work / "hours.json").read_text("utf-8")),
    }
    for name, report in (("voters", voters), ("fer2013", fer2013)):
        save_confusion_matrix(report["likelihood"], HERE / f"confusion-{name}.png", name)
    for curve in recipe.work.glob("*/loss_curve.png"):
        shutil.copy(curve, HERE / f"loss-{curve.parent.name.replace('_', '-')}.png")
    (HERE / "results.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", "utf-8")
    save_card(output, model.config, results)
    for copy in output.glob("*.py"):  # the package has this code
        copy.unlink()
    for weights in output.rglob("*.safetensors"):
        weights.chmod(0o644)
