"""FaceXFormer's converted weights give what the original code gives."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from emo_llama_hf import EmoLlamaFacePriorModel
from emo_llama_hf.conversion.checkpoint_files import read_checkpoint
from emo_llama_hf.conversion.conversion_error import ConversionError
from emo_llama_hf.conversion.facexformer_weights import KEY, face_config, plan_face_prior
from emo_llama_hf.conversion.plan import check_plan

FIXTURES = Path(__file__).parent / "fixtures" / "facexformer"


def build(image_size: int) -> EmoLlamaFacePriorModel:
    source = read_checkpoint([FIXTURES / "model.pt"], KEY)
    model = EmoLlamaFacePriorModel(face_config(source, image_size)).eval()
    plan = plan_face_prior(source)
    check_plan(plan, model.state_dict())
    model.load_state_dict({name: planned.tensor() for name, planned in plan.items()})
    return model


@pytest.mark.parametrize("size", [112, 224])
@torch.no_grad()
def test_outputs_equal_the_originals(size):
    expected = load_file(FIXTURES / f"outputs_{size}.safetensors")
    outputs = build(size)(expected.pop("pixel_values").float(), output_parsing=True)
    step = size // 112  # maps are stored thinned out: every cell at 112 pixels, every second at 224
    strides = {"face_map": step, "parsing_logits": 4 * step}
    assert len(expected) == 10
    for name, tensor in expected.items():
        stride = strides.get(name)
        ours = outputs[name] if stride is None else outputs[name][..., ::stride, ::stride]
        # The original returns the 68 x 2 landmark coordinates in one row.
        difference = (ours.reshape(tensor.shape) - tensor).abs().max()
        assert difference < 1e-4, name


def test_configuration_is_read_from_the_shapes():
    config = face_config(read_checkpoint([FIXTURES / "model.pt"], KEY))
    backbone = config.backbone_config
    assert (backbone.embed_dim, backbone.depths, backbone.num_heads) == (8, [2, 2, 4, 2], [1, 2, 4, 8])
    assert (backbone.window_size, backbone.mlp_ratio, config.hidden_size) == (7, 4, 32)
    assert (config.decoder_config.num_hidden_layers, config.decoder_config.mlp_dim) == (2, 48)


@pytest.mark.parametrize("change", ["face_decoder.expression_token.weight", "backbone.0.1.0.attn.extra.weight"])
def test_an_unknown_tensor_is_named(tmp_path, change):
    content = torch.load(FIXTURES / "model.pt", weights_only=True)
    content[KEY][change] = torch.zeros(1, 32)
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ConversionError, match=change):
        plan_face_prior(read_checkpoint([tmp_path / "model.pt"], KEY))


def test_a_missing_tensor_is_named(tmp_path):
    content = torch.load(FIXTURES / "model.pt", weights_only=True)
    del content[KEY]["linear_c.2.proj.bias"]
    torch.save(content, tmp_path / "model.pt")
    source = read_checkpoint([tmp_path / "model.pt"], KEY)
    expected = EmoLlamaFacePriorModel(face_config(source)).state_dict()
    with pytest.raises(ConversionError, match=r"projections\.2\.bias"):
        check_plan(plan_face_prior(source), expected)


def test_another_file_is_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "model.pt")
    with pytest.raises(ConversionError, match=KEY):
        read_checkpoint([tmp_path / "model.pt"], KEY)
