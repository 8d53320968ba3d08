"""Questions as people type them: without capitals, in shorthand, with slips."""

import random
import re

SHORTHAND = {
    "you": "u", "are": "r", "your": "ur", "what": "wat", "this": "dis", "the": "da", "is": "iz", "please": "pls",
    "because": "cuz", "right now": "rn", "about": "abt", "people": "ppl", "why": "y", "see": "c", "and": "n",
    "going": "goin", "feeling": "feelin", "looking": "lookin", "what's": "whats", "he's": "hes", "she's": "shes",
    "that": "dat", "with": "w", "to": "2", "for": "4", "really": "rly", "person": "persn", "picture": "pic",
}  # fmt: skip
OPENERS = (
    *("Please tell me: ", "Can you tell me: ", "Look at it. ", "I have a question: ", "I wonder: ", "OK, ", "So, "),
    *("And ", "Now ", "Hi, ", "Hello! ", "Tell me, ", "Say, ", "In your opinion, ", "hey ", "um, ", "well, "),
)


def as_typed(question: str, language: str, dice: random.Random) -> str:
    """
    A question, at times changed in one or several ways.

    Args:
        question (`str`), language (`str`): shorthand and openers are for English ones.
        dice (`random.Random`)
    """
    if language == "en" and dice.random() < 0.08:
        question = dice.choice(OPENERS) + question[:1].lower() + question[1:]
    if language == "en" and dice.random() < 0.08:
        question = re.sub(r"[\w']+", lambda word: _short(word[0], dice), question)
    if dice.random() < 0.25:
        question = question.lower()
    if dice.random() < 0.25:
        question = question.rstrip("?.!。？！।") or question  # "?" stays one
    if dice.random() < 0.2:
        for _ in range(dice.choice([1, 1, 2])):
            question = _slip(question, dice)
    if dice.random() < 0.03:
        question += dice.choice(["??", "?!", "!!", "...", " ?", " lol", " pls", " thx"])
    return question


def _short(word: str, dice: random.Random) -> str:
    return SHORTHAND.get(word.lower(), word) if dice.random() < 0.7 else word


def _slip(text: str, dice: random.Random) -> str:
    """One letter left out, doubled, exchanged with its neighbour, or another one."""
    places = [index for index, letter in enumerate(text) if letter.isascii() and letter.isalpha()]
    if len(places) < 4:
        return text
    at = dice.choice(places[1:])
    change = dice.randrange(4)
    if change == 0:
        return text[:at] + text[at + 1 :]
    if change == 1:
        return text[:at] + text[at] + text[at:]
    if change == 2:
        return text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :]
    return text[:at] + dice.choice("abcdefghijklmnopqrstuvwxyz") + text[at + 1 :]
