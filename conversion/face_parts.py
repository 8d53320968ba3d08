"""What a face prior adds to a model: FaceXFormer's weights, and Face Info Mining that changes nothing yet."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ..default_model import default_model
from ..modeling.modeling_emo_llama import EmoLlamaPreTrainedModel
from ..modeling.modeling_face_info_mining import EmoLlamaFaceInfoMining
from ..processing.face_detection import EmoLlamaFaceDetector
from .checkpoint_files import Checkpoint
from .facexformer_weights import plan_face_prior, read_facexformer
from .mtcnn_weights import read_mtcnn
from .plan import Plan, PlannedTensor

SEED = 0
MINING_PREFIX = "model.face_info_mining."
PRIOR_PREFIX = "model.face_prior."


@dataclass(frozen=True)
class FaceSources:
    """
    Where the parts that look at faces come from.

    Args:
        facexformer (`str` or `Path`): FaceXFormer's `model.pt`, or a folder or hub id that has it.
        mtcnn (`str` or `Path`, *optional*):
            facenet-pytorch's wheel, or a folder with `pnet.pt`, `rnet.pt` and `onet.pt`; by default the detector that
            comes with this package.
    """

    facexformer: str | Path
    mtcnn: str | Path | None = None

    def read_prior(self) -> Checkpoint:
        """FaceXFormer's tensors, not read yet; see [`read_facexformer`] for errors."""
        return read_facexformer(self.facexformer)

    def read_detector(self) -> EmoLlamaFaceDetector:
        """The face detector; see [`read_mtcnn`] for errors."""
        if self.mtcnn is not None:
            return read_mtcnn(self.mtcnn).detector
        detector: EmoLlamaFaceDetector = EmoLlamaFaceDetector.from_pretrained(Path(default_model()) / "face_detector")
        return detector


def plan_face_parts(prior: Checkpoint, model: EmoLlamaPreTrainedModel) -> Plan:
    """
    The face prior and Face Info Mining. The latter starts as a new model's does, its gates at zero and the rest the
    same each time, so that a converted model still gives LLaMA-VID's logits.

    Args:
        prior (`Checkpoint`): FaceXFormer's tensors.
        model ([`EmoLlamaPreTrainedModel`]): a model with `face_config`, on any device, that knows how its weights are
            initialised.

    Raises:
        `ConversionError`: a tensor is missing, or is not FaceXFormer's.
    """
    plan = plan_face_prior(prior, PRIOR_PREFIX)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        mining = EmoLlamaFaceInfoMining(model.config)
        mining.apply(model._init_weights)
    for name, tensor in mining.state_dict().items():
        plan[MINING_PREFIX + name] = PlannedTensor(
            MINING_PREFIX + name, tuple(tensor.shape), tensor.dtype, (), partial(torch.Tensor.detach, tensor)
        )
    return plan
