"""What a face prior adds to a model: FaceXFormer's weights, and Face Info Mining that changes nothing yet."""

from functools import partial

import torch

from ..modeling.modeling_emo_llama import EmoLlamaPreTrainedModel
from ..modeling.modeling_face_info_mining import EmoLlamaFaceInfoMining
from .checkpoint_files import Checkpoint
from .facexformer_weights import plan_face_prior
from .plan import Plan, PlannedTensor

SEED = 0
MINING_PREFIX = "model.face_info_mining."
PRIOR_PREFIX = "model.face_prior."


def plan_face_parts(face_x_former: Checkpoint, model: EmoLlamaPreTrainedModel) -> Plan:
    """
    The face prior and Face Info Mining. The latter starts as a new model's does, its gates at zero and the rest the
    same each time, so that a converted model still gives LLaMA-VID's logits.

    Args:
        face_x_former (`Checkpoint`): FaceXFormer's tensors.
        model ([`EmoLlamaPreTrainedModel`]): a model with `face_config`, on any device, that knows how its weights are
            initialised.
    """
    plan = plan_face_prior(face_x_former, PRIOR_PREFIX)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        mining = EmoLlamaFaceInfoMining(model.config)
        mining.apply(model._init_weights)
    for name, tensor in mining.state_dict().items():
        plan[MINING_PREFIX + name] = PlannedTensor(
            MINING_PREFIX + name, tuple(tensor.shape), tensor.dtype, (), partial(torch.Tensor.detach, tensor)
        )
    return plan
