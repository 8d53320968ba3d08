"""How the closed question is asked, as data: `{kind}` is image or video, `{labels}` the label set."""

from typing import Any

CATEGORY_QUESTIONS = (
    "What is the emotion of the person in the {kind}? Answer with one of these words: {labels}.",
    "Which emotion does the face in the {kind} show? Choose from: {labels}.",
    "Look at the person in this {kind}. Which of the following describes how they seem to feel: {labels}?",
    "Classify the facial expression in the {kind} as one of {labels}. Reply with the word only.",
    "Pick the word that fits the facial expression in the {kind} best: {labels}.",
    "How does the person in the {kind} appear to feel? Options: {labels}.",
    "From the facial cues in this {kind}, decide on one emotion out of {labels}.",
    "Judging by the face in the {kind}, is this person {labels}? Name the one that fits.",
    "Name the perceived emotion of the person in the {kind}, using one of: {labels}.",
    "Given the labels {labels}, which one matches the expression in the {kind}?",
    "The {kind} shows a person's face. Its expression is best described as one of {labels}. Which one?",
    "Recognize the emotion in this {kind}. Possible answers: {labels}.",
    "What feeling does the person's face in the {kind} convey? Answer with a single word from this list: {labels}.",
    "Read the expression in the {kind} and answer with exactly one of these labels: {labels}.",
    "Assign one of the emotion labels ({labels}) to the person in the {kind}.",
    "If you had to describe the person's mood in this {kind} with one of {labels}, which would it be?",
    "Observe the eyes, brows and mouth in the {kind}. Which of {labels} do they suggest?",
    "Tell me which emotion you perceive in the {kind}: {labels}.",
    "Select the emotion that the face in this {kind} expresses most clearly: {labels}.",
    "Emotion recognition: {labels}. Which one applies to the person in the {kind}?",
)
"""The first is what is asked unless the processor's `prompt` says otherwise."""

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "source": "EMO-LLaMA's instruction data, as its authors' examples show it; the braces are theirs",
        "question": (
            "What is the facial expression of the person in the {kind}? "
            "Choose one from the following options: {{labels}}."
        ),
        "label_sets": {
            "*": ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"],
            "mafw": [
                "anger",
                "disgust",
                "fear",
                "happiness",
                "neutral",
                "sadness",
                "surprise",
                "contempt",
                "anxiety",
                "helplessness",
                "disappointment",
            ],
        },
    },
}
"""Others' ways to ask, with their label sets: of a data set by its layout's name, of all others under `*`."""
