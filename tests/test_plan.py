"""What training is said to cost, against what it does cost a small model, and against known sizes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from emo_llama_command import main
from emo_llama_hf.modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from emo_llama_hf.plan.gpus import GIB, gpus
from emo_llama_hf.plan.measure import ATTENTION, measure, operations, optimizer_bytes
from emo_llama_hf.plan.methods import METHODS, NF4_BYTES
from emo_llama_hf.plan.plan import fits, needed, plan
from emo_llama_hf.plan.shapes import plan_config
from tiny_model import tiny_config

BATCH, FRAMES, TEXT = 2, 3, 20
LAYERS = 4


def config():
    made = tiny_config()
    made.text_config.num_hidden_layers = made.vision_config.num_hidden_layers = LAYERS
    return made


@pytest.fixture(scope="module")
def measured():
    return measure(config(), "lora", BATCH, FRAMES, TEXT)


def step(checkpointing):
    """A real step on the CPU: model, bytes of the tensors that autograd kept, operations, states of the optimizer."""
    torch.manual_seed(0)
    model = METHODS["lora"].make_trainable(
        EmoLlamaForConditionalGeneration._from_config(config(), dtype=torch.bfloat16)
    )
    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable()
    settings = model.config
    shown = FRAMES * settings.tokens_per_frame
    tokens = torch.randint(3, 400, (BATCH, TEXT + shown))
    labels = tokens.clone()
    tokens[:, :shown] = settings.image_token_id
    inputs = {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "labels": labels,
        "pixel_values": torch.randn(BATCH * FRAMES, 3, 56, 56),
        "frame_counts": torch.tensor([FRAMES] * BATCH),
        "qformer_input_ids": torch.randint(3, 200, (BATCH, TEXT // 4)),
        "qformer_attention_mask": torch.ones(BATCH, TEXT // 4, dtype=torch.long),
        "face_pixel_values": torch.randn(BATCH * FRAMES, 3, 64, 64),
        "face_mask": torch.ones(BATCH * FRAMES, dtype=torch.bool),
    }
    inputs["attention_mask"][0, -1] = 0  # as in any batch whose samples differ in length
    not_kept = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers(), *inputs.values()]}
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    counter = FlopCounterMode(display=False, custom_mapping=ATTENTION)
    with counter:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(**inputs, use_cache=False).loss
        loss.backward()
    activations = sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in not_kept)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    optimizer.step()
    return model, activations, counter.get_total_flops(), optimizer


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_step_takes_what_a_real_one_takes(measured, checkpointing):
    said = measured[checkpointing]
    model, activations, flops, optimizer = step(checkpointing)
    parameters = list(model.parameters())
    trainable = [p for p in parameters if p.requires_grad]
    assert said.parameters == sum(p.numel() for p in parameters)
    assert said.trainable == sum(p.numel() for p in trainable)
    assert said.weights == sum(t.nbytes for t in [*parameters, *model.buffers()])
    assert said.gradients == sum(p.grad.nbytes for p in trainable)
    states = [value for state in optimizer.state.values() for value in state.values()]
    assert said.optimizer == sum(value.nbytes for value in states)
    # Fake tensors take the statistics of layer norms, two numbers a row, to be in half precision; they are not.
    assert said.activations == pytest.approx(activations, rel=0.01)
    assert said.flops == flops


def test_checkpointing_keeps_less_and_computes_more(measured):
    assert measured[True].activations < measured[False].activations
    assert measured[True].flops > measured[False].flops


@pytest.mark.filterwarnings("error::FutureWarning")
@pytest.mark.parametrize("checkpointing", [False, True])
def test_operations_are_those_of_a_step(measured, checkpointing):
    assert operations(config(), "lora", checkpointing, BATCH, FRAMES, TEXT) == measured[checkpointing].flops


def test_keys_and_values(measured):
    text = config().text_config
    heads = text.num_key_value_heads * text.hidden_size // text.num_attention_heads
    assert measured[False].kv_cache == 2 * LAYERS * heads * torch.bfloat16.itemsize


def test_published_sizes():
    for name, billions in (("7b", 6_738_415_616), ("13b", 13_015_864_320)):
        with torch.device("meta"):
            language_model = AutoModelForCausalLM.from_config(plan_config(name).text_config)
            vision = EmoLlamaForConditionalGeneration._from_config(plan_config(name)).model.vision_model
        rows = 2 * language_model.config.hidden_size  # of the placeholder, in the embedding and in the head
        assert sum(p.numel() for p in language_model.parameters()) - rows == billions
        assert vision.encoder.layers[0].mlp.fc1.weight.shape == (6144, 1408) and len(vision.encoder.layers) == 39


def test_four_bits_a_weight():
    with torch.device("meta"):
        model = EmoLlamaForConditionalGeneration._from_config(config(), dtype=torch.bfloat16)
    linear = [m.weight for m in model.model.language_model.modules() if isinstance(m, torch.nn.Linear)]
    count = sum(weight.numel() for weight in linear)
    trainable = METHODS["lora"].make_trainable(model)
    saved = METHODS["lora"].weight_bytes(trainable) - METHODS["qlora"].weight_bytes(trainable)
    assert saved == 2 * count - round(count * NF4_BYTES)
    assert 8 * NF4_BYTES == pytest.approx(4.127, abs=1e-3)  # the figure of QLoRA's authors


def test_the_optimizer_s_states_are_found_on_any_device():
    for device in ("cpu", "meta"):
        weights = [
            torch.nn.Parameter(torch.zeros(3, 5, device=device)),
            torch.nn.Parameter(torch.zeros(2, device=device)),
        ]
        assert optimizer_bytes(weights) == 2 * 4 * 17 + 2 * 4  # two moments, and a step count each


def test_hours_and_steps(monkeypatch, measured):
    monkeypatch.setattr("emo_llama_hf.plan.plan.measure", lambda *_: measured)
    made = plan(
        config(),
        "qlora",
        videos=1000,
        epochs=2,
        batch_size=BATCH,
        accumulation=5,
        frames=FRAMES,
        gpu="T4",
        gpu_count=4,
    )
    assert made.steps == 2 * 25
    assert made.flops == 2 * 500 * measured[True].flops
    assert made.hours * 3600 * 65e12 * 0.3 * 4 == pytest.approx(made.flops)
    assert made.step.weights < made.methods["lora"][True].weights
    assert made.step.activations == made.methods["lora"][True].activations
    assert fits(made.step, gpus()["T4"]) and needed(made.step) < 3 * GIB
    for wrong in ({"method": "prayer"}, {"gpu": "Z80"}, {"videos": 0}, {"batch_size": 0}, {"utilization": 2}):
        with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`"):
            plan(config(), **{"videos": 1, **wrong})


@pytest.mark.filterwarnings("error::FutureWarning")
def test_the_command(tiny, tmp_path, monkeypatch, measured, capsys):
    monkeypatch.setattr("emo_llama_hf.plan.plan.measure", lambda *_: measured)
    (tmp_path / "sad").mkdir()
    (tmp_path / "sad/a.png").write_bytes(b"x")
    assert main(["plan", str(tmp_path), "--model", str(tiny), "--videos", "2", "--gpu", "V100"]) == 0
    said = capsys.readouterr().out
    assert "1 images, 2 videos" in said and "hours on V100, if 30% of its 125 teraflops" in said
    assert "use --fp16" in said and "fits its 32 GiB" in said
    assert said.count("--load-in-4bit") == 2 and said.count("--gradient-checkpointing") == 3
    assert main(["plan", "--model", str(tiny)]) == 1
    assert "give DATA, --images or --videos" in capsys.readouterr().err
