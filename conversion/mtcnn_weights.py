"""facenet-pytorch's trained MTCNN -> the folder that `EmoLlamaFaceDetector.from_pretrained` reads.

pip download --no-deps facenet-pytorch==2.6.0
python -m emo_llama_hf.conversion.mtcnn_weights facenet_pytorch-2.6.0-py3-none-any.whl face_detector
"""

import argparse
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from transformers.utils import logging

from ..processing.face_detection import SMALLEST_FACE, EmoLlamaFaceDetector, EmoLlamaFaceDetectorConfig
from .checkpoint_files import read_checkpoint
from .conversion_error import ConversionError
from .output_folder import new_folder
from .plan import Planner, check_plan

logger = logging.get_logger(__name__)

LARGEST_MEMBER = 2**26  # bytes of a file in a wheel; the largest of MTCNN's has 1.6 million

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


@dataclass(frozen=True)
class Mtcnn:
    """
    facenet-pytorch's trained MTCNN.

    Args:
        detector ([`EmoLlamaFaceDetector`]): in evaluation mode, on the CPU.
        licence (`bytes`, *optional*): the text of its licence, where the source has one.
    """

    detector: EmoLlamaFaceDetector
    licence: bytes | None = None


def convert_mtcnn(source: str | Path, output: str | Path) -> None:
    """
    Write `config.json`, `model.safetensors` and, where the source has one, `LICENSE`; all of them or nothing.

    Args:
        source (`str` or `Path`): see [`read_mtcnn`].
        output (`str` or `Path`): the folder to make.

    Raises:
        `FileNotFoundError`: `source` or one of its weight files does not exist.
        `FileExistsError`: `output` is there already and not an empty folder.
        `ConversionError`: see [`read_mtcnn`].
    """
    with new_folder(output) as folder:
        mtcnn = read_mtcnn(source)
        mtcnn.detector.save_pretrained(folder)
        if mtcnn.licence is not None:
            (folder / "LICENSE").write_bytes(mtcnn.licence)


def read_mtcnn(source: str | Path) -> Mtcnn:
    """
    The face detector with facenet-pytorch's weights.

    Args:
        source (`str` or `Path`):
            The facenet-pytorch wheel, or a folder with `pnet.pt`, `rnet.pt`, `onet.pt` and the licence as `LICENSE*`.

    Raises:
        `FileNotFoundError`: `source` or one of its weight files does not exist.
        `ConversionError`: `source` is neither wheel nor folder, or a weight file is broken, holds Python objects,
            lacks a tensor, has one too many or one of a wrong shape.
    """
    with _as_folder(Path(source)) as folder:
        detector = _detector(folder)
        licences = sorted(folder.glob("LICENSE*"))
        if licences:
            return Mtcnn(detector, licences[0].read_bytes())
        logger.warning("%s has no LICENSE: add that of the weights before you pass them on.", source)
        return Mtcnn(detector)


def _detector(folder: Path) -> EmoLlamaFaceDetector:
    detector = EmoLlamaFaceDetector(EmoLlamaFaceDetectorConfig(min_face_fraction=SMALLEST_FACE))
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
    detector.eval()
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
        raise ConversionError(f"`source` {source} is neither a wheel nor a folder.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / source.name  # so that messages name the wheel
        folder.mkdir()
        try:
            _unpack(source, folder)
        except ConversionError:
            raise
        except Exception as error:  # zipfile raises all kinds on what is malformed
            raise ConversionError(f"`source` {source} is damaged: {error}") from error
        yield folder


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            name = re.split(r"[/\\]", member.filename)[-1]  # whatever folders it asks for, `..` too
            if name.endswith(".pt") or name.startswith("LICENSE"):
                if member.file_size > LARGEST_MEMBER:
                    raise ConversionError(
                        f"`source` {wheel} has {name!r} of {member.file_size} bytes, far more than MTCNN's weights "
                        "take: is it facenet-pytorch's wheel?"
                    )
                (folder / name).write_bytes(archive.read(member))


def main() -> None:
    """Convert from the command line."""
    parser = argparse.ArgumentParser(description="facenet-pytorch's MTCNN as an EmoLlama face detector.")
    parser.add_argument("source", help="the facenet-pytorch wheel, or a folder with pnet.pt, rnet.pt and onet.pt")
    parser.add_argument("output", help="the folder to make")
    arguments = parser.parse_args()
    convert_mtcnn(arguments.source, arguments.output)


if __name__ == "__main__":
    main()
