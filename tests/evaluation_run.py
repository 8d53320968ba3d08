"""An evaluation of drawn faces, as a program: alone, or under torchrun. `evaluation_run.py MODEL OUTPUT BATCH_SIZE`"""

import sys

from accelerate import PartialState

from emo_llama_hf.evaluation import evaluate
from emo_llama_hf.evaluation.load_predictor import load_predictor
from emotion_samples import EMOTIONS, clip, face_samples, picture, sample


def evaluation_samples() -> list[dict]:
    """Seven pictures and two clips; of some people more is known, and there are two folds."""
    samples = [
        *face_samples(6),
        sample(picture("sad", 9), "sad", id="known", attributes={"age": "20-29", "gender": "female", "race": "Asian"}),
        sample(clip(3), "sad", id="clip"),
        sample(clip(2, "happy"), "happy", id="other clip"),
    ]
    return [{**one, "fold": str(1 + number % 2)} for number, one in enumerate(samples)]


def run(model: str, output, batch_size: int = 4) -> dict:
    predictor, processor = load_predictor(model, EMOTIONS, device="cpu", max_new_tokens=6)
    return evaluate(predictor, evaluation_samples(), processor, output, batch_size=batch_size, progress=False)


if __name__ == "__main__":
    run(*sys.argv[1:3], int(sys.argv[3]))
    PartialState().destroy_process_group()
