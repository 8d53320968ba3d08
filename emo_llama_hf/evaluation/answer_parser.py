"""The label that an answer in free text names, or that it names none."""

import re
from collections.abc import Iterable

from ..data.label_map import LabelMap

WORD = r"[^\W_]+(?:['’-][^\W_]+)*"
# An answer may say what it is after it said much else.
VERDICT = re.compile(r"\b(?:final answer|answer|verdict|conclusion)\b\s*(?:is|would be|:|=)+", re.IGNORECASE)
NEGATIONS = {"not", "no", "never", "without", "neither", "nor", "hardly", "barely", "lack", "lacks", "lacking", "than"}
NEGATING_PHRASES = (("instead", "of"), ("absence", "of"), ("opposed", "to"), ("far", "from"))
# "No emotion" and "not only happy" deny nothing.
NO_NEGATIONS = (("not", "only"), ("not", "just"), ("no", "doubt"), ("no", "question"))
REACH = 5  # words that a negation reaches over: "not a sign of being happy"
CONTRAST = {"but", "although", "though", "however", "while", "whereas", "yet", "rather", "instead", "because", "since"}


class AnswerParser:
    """
    Finds labels, and other words for them, in answers. Words are taken whole ("unhappy" is not "happy"), negated ones
    do not count ("not happy, but sad" is "sad"), and an answer that names several labels, or none, has none: nothing
    is guessed.

    Args:
        labels (`list[str]`): the label set.
        words (`LabelMap`, *optional*): other words for the labels; by default `data/labels/common.json`.
    """

    def __init__(self, labels: list[str], words: LabelMap | None = None) -> None:
        words = LabelMap.from_file("common") if words is None else words
        self.labels = list(labels)
        self._words: dict[tuple[str, ...], str] = {}
        for label in labels:
            for way in words.words(label):
                self._words[tuple(_split(way))] = label
        for label in labels:  # the label set's own words come before another label's synonyms
            self._words[tuple(_split(label))] = label
        self._longest = max(map(len, self._words))

    def __call__(self, answer: str) -> str | None:
        """
        The one label that an answer names; `None` where it names none or several.

        Args:
            answer (`str`): in words.
        """
        after = VERDICT.split(answer)
        named = self._named(after[-1]) if len(after) > 1 else set()
        named = named or self._named(answer)
        return named.pop() if len(named) == 1 else None

    def _named(self, text: str) -> set[str]:
        return {label for clause in _clauses(text) for label in self._affirmed(clause)}

    def _affirmed(self, words: list[str]) -> Iterable[str]:
        negated_until = -1
        at = 0
        while at < len(words):
            label, length = self._label_at(words, at)
            if label is not None:
                if at >= negated_until:
                    yield label
                elif at + length < len(words) and words[at + length] in ("or", "nor", "and"):
                    negated_until = at + length + REACH  # "neither happy nor sad"
                at += length
                continue
            word, pair = words[at], tuple(words[at : at + 2])
            if word in CONTRAST and pair[1:] not in (("than",), ("of",)):
                negated_until = -1
            elif pair not in NO_NEGATIONS and (
                word in NEGATIONS or word.endswith(("n't", "n’t")) or pair in NEGATING_PHRASES
            ):
                negated_until = at + 1 + REACH
            at += 1

    def _label_at(self, words: list[str], at: int) -> tuple[str | None, int]:
        for length in range(min(self._longest, len(words) - at), 0, -1):
            label = self._words.get(tuple(words[at : at + length]))
            if label is not None:
                return label, length
        return None, 1


def _split(text: str) -> list[str]:
    return re.findall(WORD, text.casefold())


def _clauses(text: str) -> list[list[str]]:
    """The words between marks that end what a negation speaks of."""
    return [_split(clause) for clause in re.split(r"[.,;:!?\n()\[\]{}\"“”*]", text)]
