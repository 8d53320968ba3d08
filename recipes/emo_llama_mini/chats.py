"""What emo-llama-mini learns to say: the texts of `chats.json` about faces of data sets, and clips made of them."""

import json
import random
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

from emo_llama_hf.closed_set import closed_question
from emo_llama_hf.instruct import CategoryQuestions
from emo_llama_hf.processing.face_detection import Face
from emo_llama_hf.processing.prompts import attribute_sentence
from emo_llama_hf.processing.visual import Visual


class Chats:
    """
    Draws samples (see [`emo_llama_hf.data.sample.Sample`]) from a seed.

    Args:
        faces (`list[tuple[Image, str]]`): face crops and their emotions.
        people (`list[tuple[Image, dict]]`): face crops and their perceived attributes, in the face prior's classes.
        shares (`dict[str, float]`): how often each kind of sample is drawn.
        weights (`dict[str, float]`): how often each intent of a conversation is; 1 if it is not there.
        yes_share (`float`): how many of the questions whether a face is happy, say, are answered with yes.
        attributes (`dict[str, list[str]]`): classes of each perceived attribute.
        margin (`float`): the processor's `face_margin`.
        seed (`int`)
    """

    def __init__(
        self,
        faces: Sequence[tuple[Image.Image, str]],
        people: Sequence[tuple[Image.Image, dict]],
        shares: dict[str, float],
        weights: dict[str, float],
        yes_share: float,
        attributes: dict[str, list[str]],
        margin: float,
        seed: int,
    ):
        self.sayings = json.loads(Path(__file__).with_name("chats.json").read_text("utf-8"))
        self.faces, self.people, self.shares, self.attributes = faces, people, shares, attributes
        self.weights, self.yes_share, self.margin = weights, yes_share, margin
        self.labels = list(self.sayings["signs"])
        self.by_emotion = {label: [face for face, emotion in faces if emotion == label] for label in self.labels}
        self.questions = [*CategoryQuestions().questions, *self.sayings["choose"]]
        self.dice = random.Random(seed)
        self.backgrounds = [_background(self.dice, [face for face, _ in people]) for _ in range(500)]

    def draw(self, count: int) -> list[dict]:
        """`count` samples; every face crop is shown about equally often."""
        order: list[int] = []
        kinds = self.dice.choices(list(self.shares), list(self.shares.values()), k=count)
        samples = []
        for kind in kinds:
            if not order:
                order = self.dice.sample(range(len(self.faces)), len(self.faces))
            if kind in ("clip", "person", "no_face", "told"):
                samples.append(getattr(self, f"_{kind}")())
            else:
                face, emotion = self.faces[order.pop()]
                samples.append(getattr(self, f"_{kind}")(face, emotion))
        return samples

    def only(self, *kinds: str) -> "Chats":
        """Draw nothing but samples of these kinds from now on."""
        self.shares = {kind: self.shares[kind] for kind in kinds}
        return self

    def texts(self, count: int) -> list[str]:
        """What is said in `count` samples, and every question once, for the tokenizers."""
        said = [
            part if isinstance(part, str) else part[-1]["text"]
            for sample in self.draw(count)
            for part in (message["content"] for message in sample["messages"])
        ]
        asked = [
            question
            for part in ("picture", "clip")
            for intent in self.sayings[part].values()
            for question in intent["questions"]
        ]
        return [*(f"USER: {text} ASSISTANT: {text}" for text in said), *asked, *self.questions]

    def _closed(self, face, emotion: str) -> dict:
        return self._sample(
            [self._show(face)], [(closed_question("image", self.labels), emotion)], emotion, self._some_attributes()
        )

    def _category(self, face, emotion: str) -> dict:
        return self._sample([self._show(face)], [self._category_turn(emotion)], emotion, self._some_attributes())

    def _conversation(self, face, emotion: str) -> dict:
        attributes = self._some_attributes()
        turns = [self._turn(self._intent(), emotion, attributes) for _ in range(self.dice.randint(1, 2))]
        return self._sample([self._show(face)], turns, emotion, attributes)

    def _person(self) -> dict:
        face, attributes = self.dice.choice(self.people)
        told = attributes if self.dice.random() < 0.7 else None
        return self._sample([self._show(face)], [self._turn("age", "neutral", told)], None, told)

    def _clip(self) -> dict:
        shown = self._course()
        attributes, chance = self._some_attributes(), self.dice.random()
        if len(set(shown)) == 1 and chance < 0.4:
            turn = (closed_question("video", self.labels), shown[0])
        elif len(set(shown)) == 1 and chance < 0.7:
            turn = self._turn(self._intent(), shown[0], attributes, "video")
        else:
            turn = self._clip_turn(shown)
        faces = [self.dice.choice(self.by_emotion[emotion]) for emotion, _ in groupby(shown)]
        frames = [face for face, (_, run) in zip(faces, groupby(shown), strict=True) for _ in run]
        return self._sample([self._show_all(frames, is_video=True)], [turn], None, attributes)

    def _told(self) -> dict:
        """A face or clip in words instead of pictures, to practise reading what was said."""
        if self.dice.random() < 0.4:
            shown = self._course()
            told, turn = self.sayings["told"]["clip"].format(each=", ".join(shown)), self._clip_turn(shown)
        else:
            emotion, attributes = self.dice.choice(self.labels), self._some_attributes()
            words = {"emotion": emotion, "noun": self.dice.choice(self.sayings["words"]["nouns"][emotion])}
            told = self.dice.choice(self.sayings["told"]["picture"]).format(**words)
            told = f"{told} {attribute_sentence(attributes)}"
            asks_for_one = self.dice.random() < 0.35
            # Nothing is to be seen, so that nothing can be suggested: yes and no are as frequent.
            turn = (
                self._category_turn(emotion)
                if asks_for_one
                else self._turn(self._intent(), emotion, attributes, yes_share=0.5)
            )
        return self._sample([], [(f"{told.strip()} {turn[0]}", turn[1])], None, None)

    def _course(self) -> list[str]:
        """The emotion of every frame of a clip, in which up to three follow each other."""
        emotions = self.dice.sample(self.labels, self.dice.choice([1, 2, 2, 2, 3]))
        length = self.dice.randint(3, 6)
        cuts = sorted(self.dice.sample(range(1, length), len(emotions) - 1))
        parts = zip(emotions, [0, *cuts], [*cuts, length], strict=True)
        return [emotion for emotion, start, end in parts for _ in range(start, end)]

    def _clip_turn(self, shown: list[str]) -> tuple[str, str]:
        clip, emotions = self.sayings["clip"], list(dict.fromkeys(shown))
        intent = self.dice.choice(["change", "change", "frames", "begin", "end"])
        answers = clip[intent]["answers"] if intent != "change" else clip[intent][str(len(emotions))]
        words = {"first": emotions[0], "last": emotions[-1], "second": emotions[len(emotions) // 2]}
        answer = self.dice.choice(answers).format(**words, each=", ".join(shown))
        return self._as_typed(self.dice.choice(clip[intent]["questions"]), "video"), answer

    def _no_face(self) -> dict:
        is_video = self.dice.random() < 0.25
        kind, count = ("video", self.dice.randint(2, 6)) if is_video else ("image", 1)
        frames = [self.dice.choice(self.backgrounds)] * count
        nobody: list[Face | None] = [None] * count
        visual = Visual(frames, [index / 2 for index in range(count)], is_video, detections=[[]] * count, faces=nobody)
        intents = list(self.sayings["picture"].values())
        questions = self.dice.choice([self.questions, self.dice.choice(intents)["questions"], None])
        question = closed_question(kind, self.labels)
        if questions is not None:
            one, two = self.dice.sample(self.labels, 2)
            words = {"asked": one, "one": one, "two": two, "kind": kind}
            question = self.dice.choice(questions).format(**words, labels=", ".join(self.labels))
        answer = self.sayings["no_face"]["answers"][0].format(kind=kind)
        return self._sample([visual], [(question, answer)], None, None)

    def _category_turn(self, emotion: str) -> tuple[str, str]:
        names = self._label_set(emotion)
        chosen = list(dict.fromkeys(names.values()))
        self.dice.shuffle(chosen)
        chosen = chosen[: self.dice.randint(2, len(chosen))]
        if names[emotion] not in chosen:
            chosen[self.dice.randrange(len(chosen))] = names[emotion]
        # Users who name labels to the pipeline ask its closed question: that one is the most frequent.
        asked = self.questions[0] if self.dice.random() < 0.3 else self.dice.choice(self.questions)
        return asked.replace("{kind}", "image").replace("{labels}", ", ".join(chosen)), names[emotion]

    def _label_set(self, emotion: str) -> dict[str, str]:
        """A name of each emotion; of those that a set has no name for, none."""
        sets = [{label: label for label in self.labels}]
        sets += [
            {label: self.dice.choice(words[label]) for label in self.labels}
            for words in self.sayings["words"].values()
        ]
        sets += [
            {label: name for label, name in names.items() if name is not None}
            for names in self.sayings["label_sets"].values()
            if names[emotion] is not None
        ]
        names, case = self.dice.choice(sets), self.dice.choice([str, str, str.capitalize])
        return {label: case(name) for label, name in names.items()}

    def _intent(self) -> str:
        intents = list(self.sayings["picture"])
        return self.dice.choices(intents, [self.weights.get(intent, 1) for intent in intents])[0]

    def _turn(
        self, name: str, emotion: str, attributes: dict | None, kind: str = "image", yes_share: float | None = None
    ) -> tuple[str, str]:
        intent = self.sayings["picture"][name]
        other = self.dice.choice([label for label in self.labels if label != emotion])
        pair = self.dice.sample([emotion, other], 2)
        yes = self.dice.random() < (self.yes_share if yes_share is None else yes_share)
        words = {
            "kind": kind, "emotion": emotion, "one": pair[0], "two": pair[1],
            "asked": emotion if yes else other, "verdict": "yes" if yes else "no",
            "signs": self.sayings["signs"][emotion], "mood": self.sayings["mood"][emotion], **(attributes or {}),
        }  # fmt: skip
        answers = intent["answers"]
        if "unknown" in intent and (not attributes or name not in attributes):
            answers = intent["unknown"]
        asked = {**words, **{name: self._reworded(words[name]) for name in ("asked", "one", "two")}}
        question = self.dice.choice(intent["questions"])
        if "closers" in intent and "{kind}" not in question and self.dice.random() < 0.15:
            question = question[:-1] + self.dice.choice(intent["closers"]) + question[-1]
        question = question.format(**asked)
        question = self._as_typed(question[0].upper() + question[1:], kind)
        return question, self.dice.choice(answers).format(**words)

    def _as_typed(self, question: str, kind: str) -> str:
        """A question as people type it: at times with an opener, or without capitals and punctuation."""
        if question.endswith("?") and self.dice.random() < 0.1:
            opener = self.dice.choice(self.sayings["openers"]).format(kind=kind)
            question = opener + question[0].lower() + question[1:]
        return question.lower().rstrip("?.!") if self.dice.random() < 0.1 else question

    def _reworded(self, emotion: str) -> str:
        """Another word for an emotion, at times."""
        return self.dice.choice(self.sayings["words"]["adjectives"][emotion]) if self.dice.random() < 0.4 else emotion

    def _some_attributes(self) -> dict | None:
        """Attributes drawn evenly, whatever the emotion: the answer about the emotion must not lean on them."""
        if self.dice.random() < 0.4:
            return None
        drawn = {name: self.dice.choice(classes) for name, classes in self.attributes.items()}
        return {name: value for name, value in drawn.items() if self.dice.random() < 0.8} or None

    def _show(self, face: Image.Image) -> Visual:
        return self._show_all([face], is_video=False)

    def _show_all(self, faces: list[Image.Image], is_video: bool) -> Visual:
        """Face crops as they are or in the colours of skin, and each maybe as part of a larger picture."""
        if self.dice.random() < 0.5:
            dark = tuple(self.dice.randint(0, most) for most in (60, 40, 40))
            light = tuple(self.dice.randint(least, 255) for least in (190, 160, 140))
            faces = [ImageOps.colorize(face.convert("L"), dark, light) for face in faces]
        background = self.dice.choice(self.backgrounds) if self.dice.random() < 0.5 else None
        shown = [self._whole(face) if background is None else self._paste(background, face) for face in faces]
        return Visual(
            [frame for frame, _ in shown],
            [index / 2 for index in range(len(shown))],
            is_video,
            detections=[[face] for _, face in shown],
            faces=[face for _, face in shown],
        )

    def _whole(self, face: Image.Image) -> tuple[Image.Image, Face]:
        return face, self._face((0, 0, *face.size))

    def _paste(self, background: Image.Image, face: Image.Image) -> tuple[Image.Image, Face]:
        """A face crop somewhere on a background, and where it is."""
        frame = background.copy()
        side = self.dice.randint(40, frame.width)
        left, top = self.dice.randint(0, frame.width - side), self.dice.randint(0, frame.height - side)
        frame.paste(face.resize((side, side), Image.Resampling.BICUBIC), (left, top))
        return frame, self._face((left, top, left + side, top + side))

    def _face(self, part: tuple[int, int, int, int]) -> Face:
        """The face for which the processor cuts out this part of a frame: its box is the part without the margin."""
        left, top, right, bottom = part
        inset = (right - left) * (1 - 1 / (1 + self.margin)) / 2
        return Face(box=(left + inset, top + inset, right - inset, bottom - inset), confidence=1.0, landmarks=())

    def _sample(
        self, visuals: list[Visual], turns: list[tuple[str, str]], emotion: str | None, attributes: dict | None
    ) -> dict:
        messages: list[dict] = []
        for number, (question, answer) in enumerate(turns):
            content: list[dict] = [{"type": "text", "text": question}]
            if number == 0:
                kinds = ["video" if visual.is_video else "image" for visual in visuals]
                content = [{"type": kind, kind: visual} for kind, visual in zip(kinds, visuals, strict=True)] + content
            messages += [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
        return {"messages": messages, "emotion": emotion, "attributes": attributes}


def _background(dice: random.Random, people: Sequence[Image.Image]) -> Image.Image:
    """Something without a face: colours, or a part of a picture beyond recognition."""
    side = dice.randint(100, 140)
    picture = dice.choice(people)
    corner = dice.choice([(0, 0), (picture.width - 16, 0), (0, picture.height - 16)])
    part = picture.crop((*corner, corner[0] + 16, corner[1] + 16)).transpose(dice.choice(list(Image.Transpose)))
    scene = part.resize((side, side), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(dice.uniform(0, 6)))
    for _ in range(dice.randint(0, 4)):
        size = dice.randint(10, side // 2)
        patch = dice.choice(people).crop((0, 0, 12, 12)).resize((size, dice.randint(10, side // 2)))
        scene.paste(patch, (dice.randint(-10, side), dice.randint(-10, side)))
    return scene
