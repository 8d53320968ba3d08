"""Questions that were written apart from those it learned, graded by rules that were fixed before it was asked."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from grading import relevant
from PIL import Image
from tqdm.auto import tqdm

from emo_llama_hf.processing.visual import Visual

CLEAR = 0.8  # probability from which on a face shows what it is chosen for: words are asked about, not eyes
SHIFTS = 2  # pixels that a frame trembles by


class HeldOut:
    """
    Asks them.

    Args:
        pipe ([`EmotionChatPipeline`])
        faces (`dict[str, list[Image]]`): face crops of each emotion, which the model was not trained on.
        seed (`int`): which of them are shown.
    """

    def __init__(self, pipe: Any, faces: dict[str, list[Image.Image]], seed: int = 0):
        self.pipe, self.faces, self.dice = pipe, faces, random.Random(seed)

    def measure(self) -> dict:
        """The share that is answered relevantly, of all, of each language and of what is expected; and the others."""
        items = json.loads(Path(__file__).with_name("held_out_questions.json").read_text("utf-8"))
        answers = [self._answer(item) for item in tqdm(items, "held-out questions")]
        good = [relevant(item, *answer) for item, answer in zip(items, answers, strict=True)]

        def shares(name: str) -> dict[str, float]:
            parts: dict[str, list[bool]] = {}
            for item, right in zip(items, good, strict=True):
                parts.setdefault(item[name], []).append(right)
            return {value: float(np.mean(parts[value])) for value in sorted(parts)}

        return {
            "count": len(items),
            "relevant": float(np.mean(good)),
            **{name: shares(name) for name in ("language", "expects")},
            "not_relevant": {
                item["id"]: said for item, (said, _), right in zip(items, answers, good, strict=True) if not right
            },
        }

    def _answer(self, item: dict) -> tuple[str, dict]:
        """What is said at the end of an item's turns, and what the model measured of what it was shown."""
        visual, measured = self._shown(item["visual"])
        kind = "video" if visual.is_video else "image"
        messages: list[dict] = []
        for question in item.get("turns") or [item["question"]]:
            shown = [] if messages else [{"type": kind, kind: visual}]
            messages.append({"role": "user", "content": [*shown, {"type": "text", "text": question}]})
            result = self.pipe(messages, return_perceived=True)
            messages.append({"role": "assistant", "content": result["generated_text"]})
        age = (result["perceived"] or {}).get("age")
        told = age is not None and age["score"] >= self.pipe.processor.prompt.attribute_threshold
        measured |= {"emotion": result["emotion"], "scores": result["scores"], "age": age["label"] if told else None}
        return result["generated_text"], measured

    def _shown(self, kind: str) -> tuple[Visual, dict]:
        """A photo or clip, and how its expression changes."""
        count = 2 if kind == "changing_clip" else 1
        emotions = self.dice.sample(["happy", "surprised", "neutral", "angry"], count)
        faces = [self._clear_face(emotion) for emotion in emotions]
        if kind == "photo":
            return Visual(faces, [0.0], is_video=False), {"changes": False, "first": None, "last": None}
        frames = [self._trembling(faces[min(index // 3, count - 1)]) for index in range(6)]
        clip = Visual(frames, [index / 2 for index in range(6)], is_video=True)
        return clip, {"changes": count > 1, "first": emotions[0], "last": emotions[-1]}

    def _clear_face(self, emotion: str) -> Image.Image:
        """A face in which the model surely reads an emotion."""
        for _ in self.faces[emotion]:
            face = self.dice.choice(self.faces[emotion])
            if self.pipe(face)["scores"][emotion] >= CLEAR:
                return face
        raise ValueError(f"The model is sure of no face that looks {emotion}: train it to the end before asking.")

    def _trembling(self, face: Image.Image) -> Image.Image:
        """A frame of a face that stays as it is: the part that is seen moves a little."""
        x, y = (self.dice.uniform(0, SHIFTS) for _ in range(2))
        box = (x, y, face.width - SHIFTS + x, face.height - SHIFTS + y)
        return face.resize((96, 96), Image.Resampling.BICUBIC, box)
