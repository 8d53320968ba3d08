"""The model card of emo-llama-mini, from its figures."""

from pathlib import Path

from chats import SURE
from huggingface_hub import EvalResult

from emo_llama_hf import EmoLlamaConfig
from emo_llama_hf.model_card import model_card

DESCRIPTION = """\
**emo-llama-mini** is the small checkpoint that comes with the package: {millions:.1f} million parameters, half
precision, trained from scratch on public sets of face crops by `recipes/emo_llama_mini`. It knows seven emotions,
looks at one face at a time, and answers in English, French, Spanish, German, Chinese and Hindi with the sentences of
`recipes/emo_llama_mini/sayings`. What it was not taught to answer gets a sentence that says so. For anything beyond
faces use an EmoLlama with a large language model.

`emotion_labels` are what ten voters see in a face (FER+): that is the default question. Asked with FER2013's own names
(`labels=["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]`) it answers as FER2013 was labelled,
which differs for every third face. Contempt, FER+'s eighth emotion, is none of the labels. Below {sure:.0%} an answer
names the second likeliest emotion too. Any other question is answered by what the default question found, told in the
prompt.

## Figures

On faces that chose nothing: FER2013's and FairFace's validation files. The temperature of the scores and the price of
a change in clips were chosen on every tenth training face, which was not trained on. Made by
`python recipes/emo_llama_mini/train.py DATA WORK OUTPUT`; all of them are in `recipes/emo_llama_mini/results.json`.

| | |
|---|---|
| emotion that most of FER+'s voters see ({voters[likelihood][count]} faces), likeliest label | \
{voters[likelihood][war]:.1%} of faces, {voters[likelihood][uar]:.1%} mean over emotions |
| the same with the {contempt} faces of contempt, which it cannot name | {voters[with_contempt][war]:.1%} |
| the same, calibration error | {voters[likelihood][ece]:.3f} |
| FER2013's own labels ({fer2013[likelihood][count]} faces) | \
{fer2013[likelihood][war]:.1%}, {fer2013[likelihood][uar]:.1%} mean over emotions |
| the same answer at 48, 96 and 224 pixels, in a photo and as JPEG ({framings[count]} faces) | \
{framings[all_the_same]:.1%} of faces |
| perceived gender (FairFace, {attributes[count]} faces) | {attributes[gender][accuracy]:.1%} |
| perceived age, eight groups | {attributes[age][accuracy]:.1%} |
| perceived race, five classes | {attributes[race][accuracy]:.1%} |
| clips built of stills: {clips[changing]} that change once, {clips[constant]} that do not | \
{clips[exact]:.1%} both emotions in order; {clips[false_changes]:.1%} false changes |
| answers to {forms[count]} questions in ten forms that name the emotion which the pipeline gives | {forms[same]:.1%} |
| questions written apart from those it learned ({held_out[count]}) | \
{held_out[relevant]:.1%} answered relevantly, by rules fixed before |
| training | {hours_spent:.1f} hours on {device} |

Recall of each emotion, by the voters: {recalls}.

{groups}
"""

TRAINING_DATA = """\
- Emotions: FER2013 (ICML 2013 challenge), nine tenths of the 28,709 training faces: grey 48x48 pictures collected from
  the web, for research; with its labels, and with the votes of FER+ (microsoft/FERPlus, MIT), ten people a face.
- Perceived age, gender and race: 36,000 training faces of FairFace (CC BY 4.0, joojs/fairface). Its seven races became
  the five classes of the head: East and Southeast Asian are "Asian", Latino and Middle Eastern are "other".
- Landmarks: the five points that MTCNN finds on these faces.
- Chats: filled from `recipes/emo_llama_mini/sayings`; clips are sequences of stills of different people.

No picture is part of this repository. Head pose, face attributes, visibility and parsing were not learned, so the
configuration's `tasks` leave them out."""


def save_card(folder: Path, config: EmoLlamaConfig, results: dict) -> None:
    """Write `README.md` beside the weights, with the figures as metadata of the hub too."""
    voters, hours = results["voters"]["likelihood"], results["hours"]
    description = DESCRIPTION.format(
        **results,
        millions=results["parameters"] / 1e6,
        contempt=results["voters"]["with_contempt"]["count"] - voters["count"],
        sure=SURE,
        hours_spent=sum(hours["steps"].values()),
        device=hours["device"],
        recalls=", ".join(f"{label} {share:.0%}" for label, share in voters["recall"].items()),
        groups="\n\n".join(_table(group, results["attributes"]) for group in ("race", "gender", "age")),
    )
    measured = [
        ("FER+ (validation)", "ferplus", "accuracy", voters["war"]),
        ("FER+ (validation)", "ferplus", "recall", voters["uar"]),
        ("FER2013 (PublicTest)", "fer2013", "accuracy", results["fer2013"]["likelihood"]["war"]),
    ]
    card = model_card(
        "emo-llama-mini",
        config,
        description,
        training_data=TRAINING_DATA,
        packaged=True,
        datasets=["fer2013", "microsoft/FERPlus", "HuggingFaceM4/FairFace"],
        language=["en", "fr", "es", "de", "zh", "hi"],
        model_name="emo-llama-mini",
        eval_results=[
            EvalResult("image-classification", kind, name, metric, round(value, 4), task_name="perceived emotion")
            for name, kind, metric, value in measured
        ],
    )
    card.save(folder / "README.md")


def _table(group: str, attributes: dict) -> str:
    """How often each perceived attribute is right in the groups of FairFace."""
    tasks = ("gender", "age", "race")
    rows = [f"| FairFace's {group} | faces | " + " | ".join(tasks) + " |", "|---|---|---|---|---|"]
    parts = {task: attributes[task]["groups"][group] for task in tasks}
    for value, figures in sorted(parts["gender"].items()):
        shares = " | ".join(f"{parts[task][value]['accuracy']:.0%}" for task in tasks)
        rows.append(f"| {value} | {figures['count']} | {shares} |")
    return "\n".join(rows)
