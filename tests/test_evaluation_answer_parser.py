"""Labels out of answers as models really phrase them."""

import pytest

from emo_llama_hf.data.label_map import LabelMap
from emo_llama_hf.evaluation.answer_parser import AnswerParser

SEVEN = ["angry", "disgusted", "afraid", "happy", "sad", "surprised", "neutral"]
PHRASINGS = {
    "happy": "happy",
    "Happy.": "happy",
    "  **Happy** ": "happy",
    '"Happiness"': "happy",
    "The emotion of the person in the image is happy.": "happy",
    "The person in the image appears to be experiencing joy, with a broad smile on their face.": "happy",
    "Based on the raised eyebrows and open mouth, the person seems surprised": "surprised",
    "Emotion: Fear": "afraid",
    "She looks frightened; her eyes are wide open.": "afraid",
    "I would say this is anger (furrowed brow).": "angry",
    "unhappy": "sad",
    "He isn't happy, he's sad.": "sad",
    "The person does not look happy. They look sad.": "sad",
    "not angry but disgusted": "disgusted",
    "The expression is neither happy nor sad but neutral.": "neutral",
    "There is no sign of anger or fear; the face is neutral.": "neutral",
    "sad rather than angry": "sad",
    "It is sadness, not anger.": "sad",
    "He seems sad instead of angry": "sad",
    "Without any trace of fear, the man is happy.": "happy",
    "The woman doesn’t seem afraid, she is surprised!": "surprised",
    "At first one might think of anger or sadness. Final answer: disgust": "disgusted",
    "The options are angry, sad and happy.\nAnswer: sad": "sad",
    "Happy, happy, happy!": "happy",
    "He is far from happy; he is angry": "angry",
    # Several labels, or none, are no answer.
    "The person looks happy and surprised.": None,
    "not only happy but also surprised": None,
    "Either sad or neutral.": None,
    "angry, disgusted, afraid, happy, sad, surprised, neutral": None,
    "The person is not happy.": None,
    "I cannot determine the emotion of the person.": None,
    "I'm sorry, but I can't help with identifying people.": None,
    "The sadist smiled, maddeningly": None,
    "": None,
    "😀": None,
    "surprisingly calm": None,
}


@pytest.mark.parametrize(("answer", "label"), PHRASINGS.items())
def test_phrasings(answer, label):
    assert AnswerParser(SEVEN)(answer) == label


def test_the_sets_own_words_come_first():
    """Where "fear" and "disappointment" are labels, they are what they say; `mad` is still anger."""
    parser = AnswerParser(["anger", "fear", "disappointment", "sadness"])
    assert parser("The man is disappointed.") == "disappointment"
    assert parser("afraid") == "fear"
    assert parser("mad") == "anger"
    assert parser("happy") is None


def test_labels_of_several_words():
    parser = AnswerParser(["very happy", "happy", "deeply sad"], LabelMap({}))
    assert parser("She is very happy") == "very happy"
    assert parser("She is happy") == "happy"
    assert parser("deeply   sad") == "deeply sad"
    assert parser("sad") is None


@pytest.mark.parametrize("label", SEVEN)
def test_every_label_in_the_closed_questions_own_words(label):
    parser = AnswerParser(SEVEN)
    for frame in (
        "{}",
        "The person looks {}.",
        "This face is {}!",
        "Perceived emotion: {}",
        "{}</s>",
        "It's {}, clearly.",
    ):
        assert parser(frame.format(label)) == label
        assert parser(frame.format(label.upper())) == label
    assert parser(f"The person is not {label}") is None
