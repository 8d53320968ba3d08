"""A writer that needs no language model: it fills templates, and says only what the label and its usual signs say."""

import json
import random

from ..writers import Reply, Request
from .texts import read_json


class TemplateWriter:
    """Conversations from `texts/conversation_templates.json`, drawn by the request's seed."""

    name = "template"

    def __init__(self) -> None:
        self._templates = read_json("conversation_templates.json")

    def write(self, request: Request) -> Reply:
        """
        The [`Reply`] to a request, drawn by its seed.

        Args:
            request ([`Request`])
        """
        random_ = random.Random(request.seed)
        further = self._templates["further"]
        chosen = [random_.choice(self._templates["first"])]
        while len(chosen) < request.turns:
            chosen += random_.sample(further, min(len(further), request.turns - len(chosen)))
        signs = self._templates["signs"]
        values = {
            "kind": "video" if request.is_video else "image",
            "emotion": request.emotion,
            "signs": signs.get(request.emotion, signs["*"]),
        }
        turns = [
            {"question": question.format(**values), "answer": answer.format(**values)} for question, answer in chosen
        ]
        return Reply(json.dumps({"refused": False, "emotion": request.emotion, "turns": turns}))
