"""The model card of emo-llama-mini, from its figures."""

from pathlib import Path

from emo_llama_hf import EmoLlamaConfig
from emo_llama_hf.model_card import model_card

DESCRIPTION = """\
**emo-llama-mini** is the small checkpoint that comes with the package: {millions:.1f} million parameters, half
precision, trained from scratch on two public sets of face crops by `recipes/emo_llama_mini`. It knows seven emotions,
understands a few dozen kinds of questions about them, in English, and answers in the sentences of `chats.json`. It
looks at one face at a time. For anything beyond faces use an EmoLlama with a large language model.

## Figures

On the validation files, which chose the temperature of the scores and what to try in the recipe. Made by
`python recipes/emo_llama_mini/train.py DATA WORK OUTPUT`; all of them are in `recipes/emo_llama_mini/results.json`.

| | |
|---|---|
| emotion (FER2013 PublicTest, {generation[count]} faces), free generation | \
{generation[war]:.1%} of faces, {generation[uar]:.1%} mean over emotions |
| the same, likeliest label | {likelihood[war]:.1%}, calibration error {likelihood[ece]:.3f} |
| perceived gender (FairFace, {attributes[count]} faces) | {attributes[gender][accuracy]:.1%} |
| perceived age, eight groups | {attributes[age][accuracy]:.1%} |
| perceived race, five classes | {attributes[race][accuracy]:.1%} |
| clips that change once (built of unseen stills) | \
{clips[both_named]:.1%} both emotions named, {clips[in_order_if_named]:.1%} of these in order |
| questions ({language[count]}) | \
{language[taught_sentence]:.1%} answered in a sentence that it was taught, \
{language[right_intent]:.1%} with the right one |
| questions in words of others, in six languages ({held_out[count]}, `held_out_questions.json`) | \
{held_out[relevant]:.1%} answered relevantly, by rules fixed before; of the English ones {held_out[language][en]:.1%} |
| yes or no, and age ({language[agrees_count]} of these) | \
{language[agrees]:.1%} agree with the named emotion or the prompt |
| named emotion with "is this person happy?", say, the same as with "what emotion do you see?" | \
{language[steady]:.1%} of {language[steady_count]} |
| choosing from labels in the question: other words, two to seven of them ({choices[count]}) | \
{choices[named]:.1%} one of them, {choices[right]:.1%} the right one |
| training | {hours:.1f} hours on {device} |

About every third emotion is wrong, and a clip needs several right ones at once; questions far from those of
`chats.json` get an answer to one of those. Asked to choose from words of which none fits, it may name another one. It
would not learn to repeat the gender of the prompt and says no gender and no race; an age only where that head is at
least 40% sure (`attribute_threshold`). The first round of the face map ran before its batches were seeded, the
second and third began with new heads, and two questions of the chats, dropped since, were garbled at times: a new run
will give somewhat other weights.

Recall of each emotion: {recalls}.

{groups}
"""

TRAINING_DATA = """\
- Emotions: FER2013 (ICML 2013 challenge), the 28,709 training faces: grey 48x48 pictures collected from the web, for
  research. Their labels are wrong or disputable for a good part of the faces.
- Perceived age, gender and race: 15,000 faces of FairFace (CC BY 4.0, joojs/fairface). Its seven races became the five
  classes of the head: East and Southeast Asian are "Asian", Latino and Middle Eastern are "other".
- Landmarks: the five points that MTCNN finds on these faces.
- Chats: filled from `recipes/emo_llama_mini/chats.json`; clips are sequences of stills of different people.

No picture is part of this repository. Head pose, face attributes, visibility and parsing were not learned, so the
configuration's `tasks` leave them out."""


def save_card(folder: Path, config: EmoLlamaConfig, results: dict) -> None:
    """Write `README.md` beside the weights."""
    generation, hours = results["emotions"]["generation"], results["hours"]
    description = DESCRIPTION.format(
        **results["emotions"],
        **{part: results[part] for part in ("attributes", "clips", "choices", "language", "held_out")},
        millions=results["parameters"] / 1e6,
        hours=sum(hours["steps"].values()),
        device=hours["device"],
        recalls=", ".join(f"{label} {share:.0%}" for label, share in generation["recall"].items()),
        groups="\n\n".join(_table(group, results["attributes"]) for group in ("race", "gender", "age")),
    )
    card = model_card("emo-llama-mini", config, description, training_data=TRAINING_DATA, packaged=True)
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
