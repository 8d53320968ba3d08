"""Finding faces at facenet-pytorch's settings, beside facenet-pytorch: the same boxes, to a pixel.

Pictures are in memory, with one to four faces; frames are given together. Where torchvision's compiled part does not
load, as beside a torch for CPUs, numpy suppresses facenet-pytorch's overlapping boxes, in 2 to 6% of its time."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.row import Row
from inputs.photos import photos
from inputs.pictures import CASES, load
from peers.facenet import FACENET

NEAR = 1.0  # pixels


def package(case: str, inputs: Path) -> Callable[[], Any]:
    from emo_llama_hf import default_model
    from emo_llama_hf.processing.face_detection import EmoLlamaFaceDetector, EmoLlamaFaceDetectorConfig

    settings = EmoLlamaFaceDetectorConfig()
    detector = EmoLlamaFaceDetector.from_pretrained(f"{default_model()}/face_detector", config=settings)
    pictures = load(case, inputs)
    return lambda: detector.detect(pictures)


def told(given: Any) -> list[list[list[float]]]:
    """Boxes of each picture, from left to right: of ours, or of facenet-pytorch, which has no list around one's."""
    if isinstance(given, tuple):
        boxes = given[0]
        found = [boxes] if getattr(boxes[0], "ndim", 2) == 1 else boxes
    else:
        found = [[face.box for face in faces] for faces in given]
    return [sorted([float(x) for x in box] for box in one) for one in found]


def check(case: str, answers: Mapping[str, Any]) -> None:
    ours = answers["ours"]
    for name, boxes in answers.items():
        counts = [len(one) for one in ours], [len(one) for one in boxes]
        assert counts[0] == counts[1] and all(counts[0]), f"{name} finds {counts[1]} faces, ours {counts[0]}"
        pairs = [pair for mine, other in zip(ours, boxes, strict=True) for pair in zip(mine, other, strict=True)]
        most = max(abs(a - b) for mine, other in pairs for a, b in zip(mine, other, strict=True))
        assert most <= NEAR, f"a box of {name} is {most:.2f} pixels from ours"


ROW = Row(cases=CASES, item="picture", package=package, peers={"facenet-pytorch": FACENET}, inputs=(photos,),
          told=told, check=check)  # fmt: skip
