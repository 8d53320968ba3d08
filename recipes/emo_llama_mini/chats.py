"""What emo-llama-mini learns to say: the sentences of `sayings` about face crops, and clips made of them."""

import json
import math
import random
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageFilter, ImageOps
from typing_errors import as_typed

from emo_llama_hf.chat.told_emotion import NO_FACE, told_emotion
from emo_llama_hf.closed_set import closed_question
from emo_llama_hf.instruct import CategoryQuestions
from emo_llama_hf.processing.face_detection import Face
from emo_llama_hf.processing.prompts import ATTRIBUTE_PHRASES, EMOTION, attribute_sentence
from emo_llama_hf.processing.visual import Visual
from emo_llama_hf.training import FaceCrops

SAYINGS = Path(__file__).with_name("sayings")

# Sets that some label has no name in: whose face that is, none of them is right.
LABEL_SETS = {
    "valence": ["negative", "negative", "negative", "positive", "negative", None, "neutral"],
    "good or bad": ["bad", "bad", "bad", "good", "bad", None, None],
    "pleasant or unpleasant": ["unpleasant", "unpleasant", "unpleasant", "pleasant", "unpleasant", None, None],
    "calm or tense": ["tense", "tense", "tense", None, None, None, "calm"],
}
# The names of FER2013 ask for its labels, any others for what FER+'s ten voters would say.
FER2013_NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]

# Intents about the face, which nobody can answer where there is none.
ABOUT_FACE = (
    *("emotion", "describe", "why", "yes_or_no", "other_than", "either", "which_not", "second", "top_three"),
    *("percent", "certainty", "json", "one_word", "valence", "age", "gender", "race", "wrong", "sure_again"),
    *("change", "begin", "end", "labels"),
)
PHRASES = {**ATTRIBUTE_PHRASES, EMOTION: "emotion {value}"}  # how prompts tell the emotion, as talks and processor do
SURE = 0.55  # from here on an answer names one emotion only


class Chats:
    """
    Draws samples (see [`emo_llama_hf.data.sample.Sample`]) from a seed.

    Args:
        crops ([`FaceCrops`]):
            Face crops; their targets `reading` (N, L) are the distributions that the emotions are drawn from, and
            `emotion` (N, L) FER2013's labels, all zero where it has none.
        labels (`list[str]`): the L emotions.
        shares (`dict[str, float]`): how often each kind of sample is drawn.
        weights (`dict[str, float]`): how often each intent of a talk is; 1 if it is not there.
        attributes (`dict[str, list[str]]`): classes of each perceived attribute.
        margin (`float`): the processor's `face_margin`.
        seed (`int`)
        plain (`bool`): one question a talk, the usual word for each emotion, and no typing errors, to begin with.
    """

    def __init__(
        self,
        crops: FaceCrops,
        labels: list[str],
        shares: dict[str, float],
        weights: dict[str, float],
        attributes: dict[str, list[str]],
        margin: float,
        seed: int,
        plain: bool = False,
    ):
        self.crops, self.labels, self.shares, self.weights = crops, labels, shares, weights
        self.attributes, self.margin, self.plain = attributes, margin, plain
        self.sayings = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(SAYINGS.glob("*.json"))}
        self.known = [index for index, row in enumerate(crops.targets["reading"]) if row.sum()]
        self.labelled = [index for index, row in enumerate(crops.targets["emotion"]) if row.sum()]
        self.asked = [*CategoryQuestions().questions, *self.sayings["en"]["intents"]["labels"]["questions"]]
        self.images: dict[int, Image.Image] = {}
        self.dice = random.Random(seed)
        self.backgrounds = [self._background() for _ in range(500)]

    def draw(self, count: int) -> list[dict]:
        """`count` samples."""
        kinds = self.dice.choices(list(self.shares), list(self.shares.values()), k=count)
        return [getattr(self, f"_{kind}")() for kind in kinds]

    def only(self, *kinds: str) -> "Chats":
        """Draw nothing but samples of these kinds from now on."""
        self.shares = {kind: self.shares[kind] for kind in kinds}
        return self

    def texts(self, count: int) -> list[str]:
        """What is said in `count` samples, and every question once, for the tokenizer."""
        said = [
            part if isinstance(part, str) else part[-1]["text"]
            for sample in self.draw(count)
            for part in (message["content"] for message in sample["messages"])
        ]
        told = [self._told(self._scores(self.dice.choice(self.labels)), None) for _ in range(count // 20)]
        asked = [
            question
            for sayings in self.sayings.values()
            for intent in sayings["intents"].values()
            for question in intent.get("questions", [])
        ]
        return [*(f"USER: {text} ASSISTANT: {text}" for text in said), *told, *asked]

    # Readings: the closed question, answered by what the face shows alone.

    def _closed(self) -> dict:
        index = self._face()
        return self._sample(
            [self._show([index])],
            [(closed_question("image", self.labels), self._seen(index))],
            self._some_attributes(),
        )

    def _closed_clip(self) -> dict:
        """The answer is what one frame shows, so that its probability is the mean of those of the frames."""
        frames = self._frames(self._course())
        seen = self._seen(self.dice.choice(frames))
        question = closed_question("video", self.labels)
        return self._sample([self._show(frames, is_video=True)], [(question, seen)], self._some_attributes())

    def _closed_nobody(self) -> dict:
        kind = self.dice.choice(["image", "image", "video"])
        answer = self._answer("en", "no_face", "any", {"kind": self.sayings["en"]["kind"][kind]})
        turns = [(closed_question(kind, self.labels), answer)]
        if self.dice.random() < 0.4:
            return self._told_sample(lambda: self._nobody(kind), turns, {"emotion": NO_FACE})
        told = {"emotion": NO_FACE} if self.dice.random() < 0.7 else None
        return self._sample([self._nobody(kind)], turns, told)

    def _untold(self) -> dict:
        """A talk in which nothing is told, for who writes prompts without the pipeline."""
        index = self._face()
        seen = self._seen(index)
        scores = [1.0 if label == seen else 0.0 for label in self.labels]
        intent = self.dice.choice(["emotion", "describe", "why", "yes_or_no", "either", "one_word", "valence"])
        turn = self._turn("en", intent, scores, None, None, "image")
        return self._sample([self._show([index])], [turn], self._some_attributes())

    def _fer2013(self) -> dict:
        index = self.dice.choice(self.labelled)
        name = FER2013_NAMES[int(self.crops.targets["emotion"][index].argmax())]
        reading = self.crops.targets["reading"][index]
        told = self._told((reading / reading.sum().clamp(min=1e-6)).tolist(), None)
        attributes = {**(self._some_attributes() or {}), "emotion": told}
        turn = (closed_question("image", FER2013_NAMES), name)
        return {**self._sample([self._show([index])], [turn], attributes), "emotion_labels": FER2013_NAMES}

    # Talks: answered by what is told.

    def _talk(self) -> dict:
        kind = "video" if self.dice.random() < 0.3 else "image"
        language = "en" if self.dice.random() < 0.62 else self.dice.choice([*self.sayings])
        attributes = self._some_attributes()
        if self.dice.random() < 0.04:
            return self._nobody_talk(language, kind)
        course = self._course() if kind == "video" else None
        scores = self._scores(self.dice.choice(course or self.labels))
        frames = self._frames(course) if course else [self._face()]
        told = self._told(scores, course)
        if self.dice.random() < 0.5:  # the face shows what is told, or else something else
            frames = frames if course else [self._face(self._ranked(scores)[0])]
        intents = self._intents(kind, 1 if self.plain else self.dice.choice([1, 1, 1, 2, 2, 3]))
        turns = [self._turn(language, intent, scores, course, attributes, kind) for intent in intents]
        known = {**(attributes or {}), "emotion": told}
        return self._told_sample(lambda: self._show(frames, kind == "video"), turns, known)

    def _nobody_talk(self, language: str, kind: str) -> dict:
        sayings = self.sayings[language]
        intent = self._intents(kind, 1)[0]
        question, answer = self._turn(language, intent, self._scores(self.dice.choice(self.labels)), None, None, kind)
        if intent in ABOUT_FACE:
            answer = self._answer(language, "no_face", "any", {"kind": sayings["kind"][kind]})
        return self._sample([self._nobody(kind)], [(question, answer)], {"emotion": NO_FACE})

    def _choose(self) -> dict:
        """Labels in the question's own words: by the pipeline's closed question most often, as `labels=` asks it."""
        scores = self._scores(self.dice.choice(self.labels))
        emotion = self._ranked(scores)[0]
        names = self._label_set()
        chosen = [name for name in dict.fromkeys(names.values()) if name is not None]
        self.dice.shuffle(chosen)
        chosen = chosen[: self.dice.randint(2, len(chosen))]
        name = names[emotion]
        if name is not None and name not in chosen and self.dice.random() < 0.9:
            chosen[self.dice.randrange(len(chosen))] = name
        answer = name if name in chosen else self._answer("en", "labels", "none", self._words("en", scores))
        asked = self.asked[0] if self.dice.random() < 0.4 else self.dice.choice(self.asked)
        question = asked.replace("{kind}", "image").replace("{labels}", ", ".join(chosen))
        attributes = {**(self._some_attributes() or {}), "emotion": self._told(scores, None)}
        return self._told_sample(lambda: self._show([self._face()]), [(question, answer)], attributes)

    def _told_sample(
        self, show: Callable[[], Visual], turns: list[tuple[str, str]], attributes: dict[str, str]
    ) -> dict:
        """A sample whose answers need only what is told: nine of ten show nothing, to save time."""
        if self.dice.random() < 0.1:
            return self._sample([show()], turns, attributes)
        (question, answer), *others = turns
        told = attribute_sentence(attributes, phrases=PHRASES)
        return self._sample([], [(f"{told}\n{question}", answer), *others], None)

    def _label_set(self) -> dict[str, str | None]:
        """A name of each emotion, or none."""
        language = "en" if self.dice.random() < 0.7 else self.dice.choice([*self.sayings])
        words = self.sayings[language]["emotions"]
        form = self.dice.choice(["adjectives", "nouns"])
        names: dict[str, str | None] = {label: self.dice.choice(words[label][form]) for label in self.labels}
        if self.dice.random() < 0.2:
            names = dict(zip(self.labels, self.dice.choice([*LABEL_SETS.values()]), strict=True))
        case = self.dice.choice([str, str, str, str.capitalize])
        return {label: name and case(name) for label, name in names.items()}

    def _intents(self, kind: str, count: int) -> list[str]:
        """What is asked one after the other; some things are said only after an answer."""
        names = [name for name in self.sayings["en"]["intents"] if name not in ("no_face", "labels")]
        first = [name for name in names if name != "sure_again"]
        if kind == "video" and not self.plain:  # what only clips can show is asked of them
            first += ["change"] * 8 + ["begin", "end"] * 3
        chosen = self.dice.choices(first, [self.weights.get(name, 1) for name in first])
        for _ in range(count - 1):
            often = ("sure_again", "wrong", "why", "second", "percent", "certainty")
            chosen.append(self.dice.choice(often) if self.dice.random() < 0.5 else self.dice.choice(names))
        return chosen

    def _turn(
        self,
        language: str,
        name: str,
        scores: list[float],
        course: list[str] | None,
        attributes: dict | None,
        kind: str,
    ) -> tuple[str, str]:
        """A question, and the answer that what is told gives to it."""
        sayings = self.sayings[language]
        intent, ranked = sayings["intents"][name], self._ranked(scores)
        emotion, top = ranked[0], scores[self.labels.index(ranked[0])]
        others = [label for label in self.labels if label != emotion]
        asked = emotion if self.dice.random() < 0.45 else self.dice.choice(others)
        pair = self.dice.sample(self.labels, 2)
        if self.dice.random() < 0.7 and emotion not in pair:
            pair[self.dice.randrange(2)] = emotion
        outcome = "any"
        if name in ("emotion", "certainty", "sure_again"):
            outcome = "sure" if top >= SURE else "unsure"
        elif name == "yes_or_no":
            outcome = "yes" if asked == emotion else "no"
        elif name == "other_than":
            outcome = "no" if asked == emotion else "yes"
        elif name == "either":
            outcome = "one" if emotion in pair else "neither"
        elif name == "percent":
            outcome = "known" if asked in ranked[:3] else "low"
        elif name == "wrong":
            outcome = "agree" if asked == emotion else "differ"
        elif name in ("age", "gender", "race"):
            outcome = "known" if name in (attributes or {}) else "unknown"
        elif name in ("change", "begin", "end"):
            outcome = "still" if course is None else "stays" if len(set(course)) == 1 else "changes"
        words = self._words(language, scores, asked, course, attributes)
        words["kind"] = sayings["kind"][kind]
        spoken = {
            "asked": self.word(language, asked, "adjectives"), "asked_noun": self.word(language, asked, "nouns"),
            "one": self.word(language, pair[0], "adjectives"), "two": self.word(language, pair[1], "adjectives"),
            "kind": sayings["kind"][kind],
        }  # fmt: skip
        question = self.dice.choice(intent["questions"])
        if name == "wrong" and "{asked" not in question:
            outcome = "differ"
        question = question.format(**spoken)
        if not self.plain:
            question = as_typed(question, language, self.dice)
        if name == "json":
            return question, f'{{"emotion": "{emotion}", "probability": {round(top, 2):.2f}}}'
        return question, self._answer(language, name, outcome, words)

    def _words(
        self,
        language: str,
        scores: list[float],
        asked: str | None = None,
        course: list[str] | None = None,
        attributes: dict | None = None,
    ) -> dict[str, str]:
        """What the gaps of an answer are filled with."""
        sayings, ranked = self.sayings[language], self._ranked(scores)

        def word(label: str) -> str:
            return sayings["emotions"][label]["adjectives"][0]

        def percent(label: str) -> str:
            return f"{scores[self.labels.index(label)]:.0%}"

        emotion, second, third, *rest = ranked
        words = {
            "emotion": word(emotion), "noun": sayings["emotions"][emotion]["nouns"][0], "percent": percent(emotion),
            "second": word(second), "second_percent": percent(second), "third": word(third),
            "third_percent": percent(third), "other": word(self.dice.choice(rest)),
            "signs": sayings["signs"][emotion], "valence": sayings["valence"][emotion],
        }  # fmt: skip
        if asked is not None:
            words |= {"asked": word(asked), "asked_percent": percent(asked)}
        if course:
            words |= {"first": word(course[0]), "last": word(course[-1])}
        for name, value in (attributes or {}).items():
            words[name] = sayings.get(f"{name}s", {}).get(value, value)
        return words

    def _answer(self, language: str, intent: str, outcome: str, words: dict[str, str]) -> str:
        return self.dice.choice(self.sayings[language]["intents"][intent]["answers"][outcome]).format(**words)

    def word(self, language: str, emotion: str, form: str) -> str:
        """The usual word for an emotion, or another one."""
        words = self.sayings[language]["emotions"][emotion][form]
        return words[0] if self.plain or self.dice.random() < 0.5 else self.dice.choice(words)

    # What is measured: probabilities, and how prompts tell them.

    def _scores(self, emotion: str) -> list[float]:
        """Probabilities whose largest is an emotion's."""
        logits = [self.dice.gauss(0, 1.3) for _ in self.labels]
        place = self.labels.index(emotion)
        logits[place] = max(logits) + self.dice.uniform(0.05, 4)
        total = sum(map(math.exp, logits))
        return [math.exp(logit) / total for logit in logits]

    def _told(self, scores: list[float], course: list[str] | None) -> str:
        runs = None if course is None else [emotion for emotion, _ in groupby(course)]
        return told_emotion(self.labels, scores, runs)

    def _ranked(self, scores: list[float]) -> list[str]:
        return [self.labels[index] for index in sorted(range(len(scores)), key=lambda index: -scores[index])]

    def _seen(self, index: int) -> str:
        """What somebody sees in a face."""
        return self.dice.choices(self.labels, self.crops.targets["reading"][index].tolist())[0]

    def _course(self) -> list[str]:
        """The emotion of every frame of a clip, in which up to three follow each other."""
        emotions = self.dice.sample(self.labels, self.dice.choice([1, 1, 2, 2, 2, 3]))
        length = self.dice.randint(3, 6)
        cuts = sorted(self.dice.sample(range(1, length), len(emotions) - 1))
        parts = zip(emotions, [0, *cuts], [*cuts, length], strict=True)
        return [emotion for emotion, start, end in parts for _ in range(start, end)]

    def _some_attributes(self) -> dict[str, str] | None:
        """Attributes drawn evenly, whatever the emotion: the answer about the emotion must not lean on them."""
        if self.dice.random() < 0.35:
            return None
        drawn = {name: self.dice.choice(classes) for name, classes in self.attributes.items()}
        return {name: value for name, value in drawn.items() if self.dice.random() < 0.8} or None

    # What is shown.

    def _face(self, emotion: str | None = None) -> int:
        """Any face, or one that most see an emotion in."""
        if emotion is None:
            return self.dice.choice(self.known)
        place = self.labels.index(emotion)
        tried = (self.dice.choice(self.known) for _ in range(60))
        return next((i for i in tried if int(self.crops.targets["reading"][i].argmax()) == place), self.known[0])

    def _image(self, index: int) -> Image.Image:
        """A crop as a picture, which all samples share that show it as it is."""
        if index not in self.images:
            self.images[index] = Image.fromarray(self.crops.pixels[index].permute(1, 2, 0).numpy())
        return self.images[index]

    def _frames(self, course: list[str]) -> list[int]:
        """A face for every frame: the same one as long as the emotion is."""
        return [face for emotion, run in groupby(course) for face in [self._face(emotion)] * len(list(run))]

    def _show(self, indices: list[int], is_video: bool = False) -> Visual:
        """Face crops as they are or in the colours of skin, and each maybe as part of a larger picture."""
        faces = [self._image(index) for index in indices]
        if self.dice.random() < 0.3:
            dark = tuple(self.dice.randint(0, most) for most in (60, 40, 40))
            light = tuple(self.dice.randint(least, 255) for least in (190, 160, 140))
            faces = [ImageOps.colorize(face.convert("L"), dark, light) for face in faces]
        background = self.dice.choice(self.backgrounds) if self.dice.random() < 0.3 else None
        shown = [self._whole(face) if background is None else self._paste(background, face) for face in faces]
        return Visual(
            [frame for frame, _ in shown],
            [index / 2 for index in range(len(shown))],
            is_video,
            detections=[[face] for _, face in shown],
            faces=[face for _, face in shown],
        )

    def _nobody(self, kind: str) -> Visual:
        """A background, or a face that was not found: it is the prompt that says whether there is one."""
        picture = self.dice.choice(self.backgrounds) if self.dice.random() < 0.5 else self._image(self._face())
        count = 1 if kind == "image" else self.dice.randint(2, 6)
        frames, nobody = [picture] * count, [None] * count
        times = [index / 2 for index in range(count)]
        return Visual(frames, times, kind == "video", detections=[[]] * count, faces=[*nobody])

    def _whole(self, face: Image.Image) -> tuple[Image.Image, Face]:
        return face, self._placed((0, 0, *face.size))

    def _paste(self, background: Image.Image, face: Image.Image) -> tuple[Image.Image, Face]:
        """A face crop somewhere on a background, and where it is."""
        frame = background.copy()
        side = self.dice.randint(40, frame.width)
        left, top = self.dice.randint(0, frame.width - side), self.dice.randint(0, frame.height - side)
        frame.paste(face.resize((side, side), Image.Resampling.BICUBIC), (left, top))
        return frame, self._placed((left, top, left + side, top + side))

    def _placed(self, part: tuple[int, int, int, int]) -> Face:
        """The face for which the processor cuts out this part of a frame: its box is the part without the margin."""
        left, top, right, bottom = part
        inset = (right - left) * (1 - 1 / (1 + self.margin)) / 2
        return Face(box=(left + inset, top + inset, right - inset, bottom - inset), confidence=1.0, landmarks=())

    def _background(self) -> Image.Image:
        """Something without a face: colours, or a part of a picture beyond recognition."""
        side = self.dice.randint(100, 140)

        def patch(size: tuple[int, int]) -> Image.Image:
            pixels: torch.Tensor = self.crops.pixels[self.dice.randrange(len(self.crops))]
            corner = pixels[:, :16, :16] if self.dice.random() < 0.5 else pixels[:, -16:, -16:]
            return Image.fromarray(corner.permute(1, 2, 0).numpy()).resize(size, Image.Resampling.BICUBIC)

        scene = patch((side, side)).transpose(self.dice.choice(list(Image.Transpose)))
        scene = scene.resize((side, side)).filter(ImageFilter.GaussianBlur(self.dice.uniform(0, 6)))
        for _ in range(self.dice.randint(0, 4)):
            part = patch((self.dice.randint(10, side // 2), self.dice.randint(10, side // 2)))
            scene.paste(part, (self.dice.randint(0, side), self.dice.randint(0, side)))
        return scene

    def _sample(self, visuals: list[Visual], turns: list[tuple[str, str]], attributes: dict[str, str] | None) -> dict:
        messages: list[dict[str, Any]] = []
        for number, (question, answer) in enumerate(turns):
            content: list[dict] = [{"type": "text", "text": question}]
            if number == 0:
                kinds = ["video" if visual.is_video else "image" for visual in visuals]
                content = [{"type": kind, kind: visual} for kind, visual in zip(kinds, visuals, strict=True)] + content
            messages += [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
        return {"messages": messages, "emotion": None, "attributes": attributes}
