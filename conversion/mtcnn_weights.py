"""facenet-pytorch's trained MTCNN -> the folder that `EmoLlamaFaceDetector.from_pretrained` reads.

pip download --no-deps facenet-pytorch==2.6.0
python -m emo_llama_hf.conversion.mtcnn_weights facenet_pytorch-2.6.0-py3-none-any.whl face_detector
"""

import argparse
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor
from transformers.utils import logging

from ..input_error import InputError
from ..processing.face_detection import EmoLlamaFaceDetector, EmoLlamaFaceDetectorConfig
from .checkpoint_files import read_checkpoint
from .plan import Planner, check_plan

logger = logging.get_logger(__name__)

# Our layer names (`processing/mtcnn.py`) -> facenet-pytorch's (`models/mtcnn.py`).
LAYERS = {
    "pnet": {
        **{"features.0": "conv1", "features.1": "prelu1"},
        **{"features.3": "conv2", "features.4": "prelu2"},
        **{"features.5": "conv3", "features.6": "prelu3"},
        **{"face_head": "conv4_1", "box_head": "conv4_2"},
    },
    "rnet": {
        **{"features.0": "conv1", "features.1": "prelu1"},
        **{"features.3": "conv2", "features.4": "prelu2"},
        **{"features.6": "conv3", "features.7": "prelu3"},
        **{"dense.0": "dense4", "dense.1": "prelu4"},
        **{"face_head": "dense5_1", "box_head": "dense5_2"},
    },
    "onet": {
        **{"features.0": "conv1", "features.1": "prelu1"},
        **{"features.3": "conv2", "features.4": "prelu2"},
        **{"features.6": "conv3", "features.7": "prelu3"},
        **{"features.9": "conv4", "features.10": "prelu4"},
        **{"dense.0": "dense5", "dense.1": "prelu5"},
        **{"face_head": "dense6_1", "box_head": "dense6_2", "landmark_head": "dense6_3"},
    },
}


def convert_mtcnn(source: str | os.PathLike, output_dir: str | os.PathLike) -> None:
    """Writes config.json, model.safetensors and, where the source has one, LICENSE; all of them or nothing.

    Args:
        source: the facenet-pytorch wheel, or a folder with pnet.pt, rnet.pt, onet.pt and the licence as LICENSE*.
        output_dir: the folder to make; must not exist, or be empty.

    Raises:
        FileNotFoundError: `source` or one of its weight files does not exist.
        FileExistsError: `output_dir` has files in it.
        ValueError: `source` is neither wheel nor folder, or a weight file is broken, holds Python objects, lacks a
            tensor, has one too many or one of a wrong shape.
    """
    source, output_dir = Path(source), Path(output_dir)
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise FileExistsError(f"`output_dir` {output_dir} is not an empty folder: name a new one.")
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output_dir.with_name(f".{output_dir.name}.{os.getpid()}.unfinished")
    try:
        with _as_folder(source) as folder:
            _convert(folder).save_pretrained(unfinished)
            licences = sorted(folder.glob("LICENSE*"))
            if licences:
                shutil.copyfile(licences[0], unfinished / "LICENSE")
            else:
                logger.warning("%s has no LICENSE: add that of the weights before you pass them on.", source)
        unfinished.replace(output_dir)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _convert(folder: Path) -> EmoLlamaFaceDetector:
    detector = EmoLlamaFaceDetector(EmoLlamaFaceDetectorConfig())
    target = detector.state_dict()
    tensors: dict[str, Tensor] = {}
    for net, layers in LAYERS.items():
        planner = Planner(read_checkpoint([folder / f"{net}.pt"]), label=f"{folder / net}.pt")
        expected = {name: tensor for name, tensor in target.items() if name.startswith(f"mtcnn.{net}.")}
        for name in expected:
            layer, _, parameter = name.removeprefix(f"mtcnn.{net}.").rpartition(".")
            planner.add(name, f"{layers[layer]}.{parameter}")
        plan = planner.finish()
        check_plan(plan, expected)
        tensors |= {name: planned.sources[0].read() for name, planned in plan.items()}
    detector.load_state_dict(tensors)
    return detector


@contextmanager
def _as_folder(source: Path) -> Iterator[Path]:
    """A folder as it is; of a wheel, a temporary folder with its weights and licence, the wheel's folders left out."""
    if source.is_dir():
        yield source
        return
    if not source.exists():
        raise FileNotFoundError(f"`source` {source} does not exist: name the facenet-pytorch wheel or a folder.")
    if not zipfile.is_zipfile(source):
        raise InputError(f"`source` {source} is neither a wheel nor a folder.")
    with zipfile.ZipFile(source) as wheel, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / source.name  # so that messages name the wheel
        folder.mkdir()
        for member in wheel.namelist():
            name = member.split("/")[-1]
            if name.endswith(".pt") or name.startswith("LICENSE"):
                (folder / name).write_bytes(wheel.read(member))
        yield folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="the facenet-pytorch wheel, or a folder with pnet.pt, rnet.pt and onet.pt")
    parser.add_argument("output_dir", help="the folder to make")
    arguments = parser.parse_args()
    convert_mtcnn(arguments.source, arguments.output_dir)


if __name__ == "__main__":
    main()
