"""The model's promises: batching, padding, caches, generation, precision, saving, the zero gate."""

import copy
import json

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoModelForMultimodalLM, TextIteratorStreamer

from emo_llama_hf import EmoLlamaConfig, EmoLlamaFacePriorModel, EmoLlamaForConditionalGeneration, EmoLlamaModel
from emo_llama_hf.modeling.modeling_face_prior import EmoLlamaFacePriorOutput, cell_centres
from tiny_model import tiny_config, tiny_tokenizer

TEXT = slice(5, 300)  # ordinary tokens of the toy vocabulary


def make_model(open_gate: bool = True, seed: int = 0, **config) -> EmoLlamaForConditionalGeneration:
    """A tiny model whose weights are large enough for differences to show; the gate is open unless said otherwise."""
    torch.manual_seed(seed)
    model = EmoLlamaForConditionalGeneration(tiny_config(**config)).eval()
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            parameter.data.mul_(4)
        if name.endswith(".gate"):
            parameter.data.fill_(0.5 if open_gate else 0.0)
    return model


def make_sample(model, frames: list[int], seed: int, text: int = 6) -> dict:
    """One sample that shows a visual of each number of frames before some text."""
    generator = torch.Generator().manual_seed(seed)
    config = model.config
    total = sum(frames)
    words = torch.randint(TEXT.start, TEXT.stop, (text + 1,), generator=generator)
    placeholders = torch.full((total * config.tokens_per_frame,), config.image_token_id)
    sample = {"input_ids": torch.cat([words[:1], placeholders, words[1:]])[None]}
    if total:
        sample |= {
            "pixel_values": torch.randn(total, 3, 56, 56, generator=generator),
            "frame_counts": torch.tensor(frames),
            "qformer_input_ids": torch.randint(5, 200, (len(frames), 5), generator=generator),
        }
        if config.face_config is not None:
            sample |= {
                "face_pixel_values": torch.randn(total, 3, 64, 64, generator=generator),
                "face_mask": torch.ones(total, dtype=torch.bool),
            }
    return sample


def make_batch(samples: list[dict], side: str) -> dict:
    """Samples in one batch, padded on one side; visual inputs are strung together."""
    longest = max(sample["input_ids"].shape[1] for sample in samples)
    rows, masks = [], []
    for sample in samples:
        ids = sample["input_ids"][0]
        pad = torch.zeros(longest - len(ids), dtype=torch.long)
        parts = [(pad, pad), (ids, torch.ones_like(ids))]
        parts = parts if side == "left" else parts[::-1]
        rows.append(torch.cat([ids for ids, _ in parts]))
        masks.append(torch.cat([mask for _, mask in parts]))
    batch = {"input_ids": torch.stack(rows), "attention_mask": torch.stack(masks)}
    for name in ("pixel_values", "frame_counts", "qformer_input_ids", "face_pixel_values", "face_mask"):
        values = [sample[name] for sample in samples if name in sample]
        if values:
            batch[name] = torch.cat(values)
    return batch


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def samples(model):
    """An image, a clip, text only, and two visuals of different length in one sample."""
    return [make_sample(model, frames, seed) for seed, frames in enumerate(([1], [4], [], [2, 1]))]


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_mixed_batch_gives_each_sample_its_own_logits(model, samples, side):
    batch = make_batch(samples, side)
    positions = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
    logits = model(**batch, position_ids=positions).logits
    for row, sample in enumerate(samples):
        alone = model(**sample).logits[0]
        torch.testing.assert_close(logits[row][batch["attention_mask"][row].bool()], alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_visuals_and_question_change_the_logits(model, samples):
    base = model(**samples[0]).logits
    for name, change in (
        ("pixel_values", lambda value: value.flip(-1)),
        ("face_pixel_values", lambda value: value.flip(-1)),
        ("qformer_input_ids", lambda value: value + 1),
    ):
        changed = model(**{**samples[0], name: change(samples[0][name])}).logits
        assert (changed - base).abs().max() > 1e-3, name


@torch.no_grad()
def test_closed_gate_equals_a_model_without_face_prior(samples):
    with_prior = make_model(open_gate=False)
    without = make_model(face=False)
    missing = without.load_state_dict(with_prior.state_dict(), strict=False).missing_keys
    assert not missing
    plain = {name: value for name, value in samples[3].items() if not name.startswith("face_")}
    torch.testing.assert_close(with_prior(**samples[3]).logits, without(**plain).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("mined", "closed"), [("global", "local"), ("local", "global"), ("none", "both"), ("both", "")]
)
@torch.no_grad()
def test_face_info_mining_in_part_equals_the_whole_with_the_other_gate_closed(model, samples, tmp_path, mined, closed):
    """One checkpoint opens with any part of it, and each part learns alone."""
    model.save_pretrained(tmp_path)
    whole = copy.deepcopy(model)
    for name in ("global", "local"):
        if closed in (name, "both"):
            getattr(whole.model.face_info_mining, f"{name}_attention").gate.zero_()
    config = EmoLlamaConfig.from_pretrained(tmp_path, face_info_mining=mined)
    part, report = EmoLlamaForConditionalGeneration.from_pretrained(tmp_path, config=config, output_loading_info=True)
    assert not any(report.values())
    torch.testing.assert_close(part(**samples[3]).logits, whole(**samples[3]).logits)
    with torch.enable_grad():
        part(**samples[3], labels=samples[3]["input_ids"].clamp(max=419)).loss.backward()
    still = [name for name, weight in part.named_parameters() if weight.grad is None and "face_info_mining" in name]
    assert still == [] and (part.model.face_info_mining is None) == (mined == "none")


@torch.no_grad()
def test_frames_without_a_face_are_not_touched_by_the_prior(model, samples):
    clip = samples[1]
    plain = {name: value for name, value in clip.items() if not name.startswith("face_")}
    masked = {**clip, "face_mask": torch.zeros(4, dtype=torch.bool)}
    torch.testing.assert_close(model(**masked).logits, model(**plain).logits)
    unreadable = {**masked, "face_pixel_values": clip["face_pixel_values"] * 1e4}
    torch.testing.assert_close(model(**unreadable).logits, model(**plain).logits)
    partly = model.get_image_features(
        **{n: v for n, v in clip.items() if n != "input_ids" and n != "face_mask"},
        face_mask=torch.tensor([True, False, True, False]),
    ).pooler_output
    without = model.get_image_features(**{n: v for n, v in plain.items() if n != "input_ids"}).pooler_output
    changed = (partly - without).abs().amax((1, 2)) > 1e-5
    assert changed.tolist() == [True, False, True, False]


@torch.no_grad()
def test_precomputed_visual_tokens_give_the_same_logits(model, samples):
    outputs = model(**samples[3])
    again = model(input_ids=samples[3]["input_ids"], visual_embeds=outputs.image_hidden_states)
    torch.testing.assert_close(again.logits, outputs.logits)


@torch.no_grad()
def test_precomputed_vision_features_give_the_same_logits(model, samples):
    visual = {name: value for name, value in samples[3].items() if name != "input_ids"}
    features = model.get_image_features(**visual).last_hidden_state
    given = {name: value for name, value in samples[3].items() if name != "pixel_values"}
    torch.testing.assert_close(model(**given, vision_features=features).logits, model(**samples[3]).logits)
    beams = {**GREEDY, "num_beams": 2}
    assert torch.equal(
        model.generate(**given, vision_features=features, **beams), model.generate(**samples[3], **beams)
    )


@torch.no_grad()
def test_precomputed_face_features_give_the_same_logits(model, samples):
    sample = {**samples[3], "face_mask": torch.tensor([True, False, True])}
    features = model.get_face_features(sample["face_pixel_values"])
    given = {name: value for name, value in sample.items() if name != "face_pixel_values"}
    given |= {"face_map": features.face_map, "face_landmarks": features.landmarks}
    torch.testing.assert_close(model(**given).logits, model(**sample).logits)
    beams = {**GREEDY, "num_beams": 2}
    assert torch.equal(model.generate(**given, **beams), model.generate(**sample, **beams))
    assert (
        model(**{**given, "face_map": features.face_map.flip(0)}).logits - model(**sample).logits
    ).abs().max() > 1e-3


@torch.no_grad()
def test_face_features_are_what_faces_are_analyzed_from(model, samples):
    faces = samples[1]["face_pixel_values"]
    features, analysis = model.get_face_features(faces), model.analyze_faces(faces)
    torch.testing.assert_close(features.age_logits.softmax(-1), analysis.age)
    torch.testing.assert_close((features.landmarks + 1) / 2, analysis.landmarks)


@torch.no_grad()
def test_the_face_prior_tells_what_its_decoder_computed(samples):
    prior = make_model().model.face_prior
    prior.set_attn_implementation("eager")
    faces = samples[1]["face_pixel_values"]
    plain = prior(faces)
    assert plain.hidden_states is plain.attentions is plain.cross_attentions is None
    outputs = prior(faces, output_hidden_states=True, output_attentions=True)
    tokens, blocks = plain.task_tokens.shape[1], prior.decoder.layers
    cells = plain.face_map.shape[-2] * plain.face_map.shape[-1]
    assert [state.shape for state in outputs.hidden_states] == [(4, 1, tokens, 32)] * len(blocks)
    assert [weights.shape for weights in outputs.attentions] == [(4, 4, tokens, tokens)] * len(blocks)
    assert [weights.shape for weights in outputs.cross_attentions] == [(4, 4, tokens, cells)] * (len(blocks) + 1)

    queries = torch.cat([prior.task_tokens.weight, prior.parsing_tokens.weight]).expand(4, 1, -1, -1)
    where = prior.position(cell_centres(plain.face_map)).flatten(0, 1).expand(4, 1, -1, -1)
    state, keys = queries, plain.face_map.flatten(2).transpose(1, 2).unsqueeze(1)
    for block, given, weights in zip(blocks, outputs.hidden_states, outputs.attentions, strict=True):
        asking = state if block is blocks[0] else state + queries
        torch.testing.assert_close(weights, block.self_attn(query=asking, key=asking, value=state)[1])
        state, keys, _ = block(state, keys, queries, where, None)
        torch.testing.assert_close(given, state)
    _, weights = prior.decoder.final_attn_token_to_image(query=state + queries, key=keys + where, value=keys)
    torch.testing.assert_close(outputs.cross_attentions[-1], weights)
    torch.testing.assert_close(outputs.face_map, plain.face_map)
    assert len(prior(faces, output_attentions=True, return_dict=False)) == len(plain) + 2


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_face_info_mining_in_half_precision(dtype):
    """torch's CPU `grid_sample` reads garbage from a large half precision map in channels_last."""
    model = make_model()
    config, mining = model.config, model.model.face_info_mining
    features, mask = torch.randn(4, 16, config.vision_config.hidden_size), torch.ones(4, dtype=torch.bool)
    face_map, landmarks = torch.randn(4, config.face_config.hidden_size, 56, 56), torch.rand(4, 68, 2) * 2 - 1
    landmarks = landmarks.to(dtype).float()  # where they lie is the same in both
    for attention in (mining.global_attention, mining.local_attention):
        attention.gate.fill_(10)
        attention.output.weight.mul_(20)
    expected = mining(features, face_map, landmarks, mask)
    mining.to(dtype)
    face_map = face_map.to(dtype).contiguous(memory_format=torch.channels_last)
    rounded = mining(features.to(dtype), face_map, landmarks.to(dtype), mask)
    assert rounded.dtype == dtype
    torch.testing.assert_close(rounded.float(), expected, atol=0.05, rtol=0.05)


@torch.no_grad()
def test_face_info_mining_tells_where_it_looked(samples):
    model = make_model()
    model.set_attn_implementation("eager")
    model.model.face_prior.set_attn_implementation("eager")  # up to transformers 5.17 parts of parts keep theirs
    visual = {name: value for name, value in samples[1].items() if name != "input_ids"}
    plain = model.get_image_features(**visual)
    assert plain.face_hidden_states is plain.cross_attentions is None
    outputs = model.get_image_features(**visual, output_hidden_states=True, output_attentions=True)
    assert len(outputs.hidden_states) == 3 and len(outputs.attentions) == 2  # the vision encoder's
    assert [weights.shape for weights in outputs.cross_attentions] == [(4, 4, 16, 256), (4, 4, 16, 68)]

    mining, faces = model.model.face_info_mining, model.get_face_features(visual["face_pixel_values"])
    features, mask = plain.last_hidden_state[:, 1:], visual["face_mask"]
    seen = []
    for attention in (mining.global_attention, mining.local_attention):
        attention.attention.register_forward_hook(lambda module, args, output: seen.append(output[1]))
    mined = mining(features, faces.face_map, faces.landmarks, mask)
    torch.testing.assert_close(outputs.face_hidden_states, (features, mined))
    assert (mined - features).abs().max() > 1e-4
    torch.testing.assert_close(outputs.cross_attentions, tuple(seen))
    queries = model.model._aggregate_clues(
        model.model.vision_model.post_layernorm(plain.last_hidden_state),
        visual["frame_counts"],
        visual["qformer_input_ids"],
        None,
    )
    torch.testing.assert_close(outputs.pooler_output, model.model.visual_tokens(mined, queries))
    faceless = {name: value for name, value in visual.items() if not name.startswith("face_")}
    nothing = model.get_image_features(**faceless, output_hidden_states=True, output_attentions=True)
    assert nothing.face_hidden_states is nothing.cross_attentions is None


@torch.no_grad()
def test_every_turn_is_guided_by_its_own_question(model, samples):
    """Two visuals of one sample see only their own question: LLaMA-VID's rule that keeps the cache valid."""
    sample = samples[3]
    tokens = model.get_image_features(**{n: v for n, v in sample.items() if n != "input_ids"}).pooler_output
    other = sample["qformer_input_ids"].clone()
    other[1] += 1
    changed = model.get_image_features(
        **{n: v for n, v in sample.items() if n not in ("input_ids", "qformer_input_ids")}, qformer_input_ids=other
    ).pooler_output
    torch.testing.assert_close(changed[:2], tokens[:2])
    assert (changed[2] - tokens[2]).abs().max() > 1e-4


@torch.no_grad()
def test_qformer_padding_does_not_matter(model, samples):
    sample = samples[0]
    mask = torch.ones_like(sample["qformer_input_ids"])
    padded = {
        **sample,
        "qformer_input_ids": torch.cat([sample["qformer_input_ids"], torch.zeros(1, 3, dtype=torch.long)], 1),
        "qformer_attention_mask": torch.cat([mask, torch.zeros(1, 3, dtype=torch.long)], 1),
    }
    torch.testing.assert_close(model(**padded).logits, model(**sample).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "grid"), [("mean", None), ("grid:2", 2), ("grid:3", 4), ("all", 4), ("grid:4", 4)]
)
def test_tokens_per_frame_is_what_the_model_makes(content, grid):
    model = make_model(content_tokens=content)
    sample = make_sample(model, [3], 0)
    features = model.get_image_features(**{n: v for n, v in sample.items() if n != "input_ids"})
    assert model.config.tokens_per_frame == 1 + (1 if grid is None else grid**2)
    assert features.pooler_output.shape == (3, model.config.tokens_per_frame, 64)
    assert model(**sample).logits.shape == (1, sample["input_ids"].shape[1], 421)


GREEDY = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}


def test_cache_gives_what_no_cache_gives(model, samples):
    for sample in samples:
        cached = model.generate(**sample, **GREEDY, use_cache=True)
        assert torch.equal(cached, model.generate(**sample, **GREEDY, use_cache=False))


def test_left_padded_batch_generates_what_each_sample_does(model, samples):
    batch = model.generate(**make_batch(samples, "left"), **GREEDY)
    for row, sample in enumerate(samples):
        assert torch.equal(batch[row, -6:], model.generate(**sample, **GREEDY)[0, -6:])


def test_beam_search_keeps_each_samples_visuals(model, samples):
    """Beams repeat samples, and with them visuals of different length: each must find its own again."""
    settings = {**GREEDY, "num_beams": 3, "num_return_sequences": 2}
    batch = model.generate(**make_batch(samples, "left"), **settings)
    for row, sample in enumerate(samples):
        alone = model.generate(**sample, **settings)
        assert torch.equal(batch[2 * row : 2 * row + 2, -6:], alone[:, -6:])


def test_beams_over_precomputed_visual_tokens(model, samples):
    batch = make_batch(samples, "left")
    settings = {**GREEDY, "num_beams": 2}
    embeds = model.get_image_features(
        **{n: v for n, v in batch.items() if n not in ("input_ids", "attention_mask")}
    ).pooler_output.flatten(0, 1)
    given = model.generate(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], visual_embeds=embeds, **settings
    )
    assert torch.equal(given, model.generate(**batch, **settings))


def test_sampling_follows_the_seed_and_the_temperature(model, samples):
    def draw(seed, **settings):
        torch.manual_seed(seed)
        return model.generate(**samples[0], **{**GREEDY, "do_sample": True, **settings})

    assert torch.equal(draw(0, temperature=5.0), draw(0, temperature=5.0))
    assert not torch.equal(draw(0, temperature=5.0), draw(1, temperature=5.0))
    assert torch.equal(draw(0, temperature=1e-4), model.generate(**samples[0], **GREEDY))


def test_streamer_gets_the_generated_text(model, samples, tmp_path):
    tokenizer = tiny_tokenizer(tmp_path)
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True)
    generated = model.generate(**samples[1], **GREEDY, streamer=streamer)
    assert "".join(streamer) == tokenizer.decode(generated[0, -6:])


def test_static_cache_generates_the_same(model, samples):
    for sample in (samples[1], make_batch(samples, "left")):
        static = model.generate(**sample, **GREEDY, cache_implementation="static", disable_compile=True)
        assert torch.equal(static, model.generate(**sample, **GREEDY))


@pytest.mark.slow
@torch.no_grad()
def test_compiled_forward_equals_eager(model, samples):
    compiled = torch.compile(model, backend="aot_eager")
    for sample in (samples[0], samples[2]):
        torch.testing.assert_close(compiled(**sample).logits, model(**sample).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_compiled_generation_with_static_cache(model, samples):
    sample = samples[1]
    compiled = copy.deepcopy(model)
    compiled.forward = torch.compile(compiled.forward)
    generated = compiled.generate(**sample, **GREEDY, cache_implementation="static")
    assert torch.equal(generated, model.generate(**sample, **GREEDY))


@torch.no_grad()
def test_eager_attention_equals_sdpa(model, samples):
    assert model.config._attn_implementation == "sdpa"
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    assert eager.config.face_config.decoder_config._attn_implementation == "eager"
    batch = make_batch(samples, "left")
    keep = batch["attention_mask"].bool()
    torch.testing.assert_close(eager(**batch).logits[keep], model(**batch).logits[keep], atol=1e-4, rtol=1e-4)


def test_a_closed_gate_learns(samples):
    """At zero the gate is the only part of Face Info Mining with a gradient: it must have one, or it stays shut."""
    model = make_model(open_gate=False)
    model(**samples[0], labels=samples[0]["input_ids"].clamp(max=419)).loss.backward()
    mining = model.model.face_info_mining
    assert mining.global_attention.gate.grad.abs() > 0
    assert mining.local_attention.gate.grad.abs() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_half_precision_stays_near_float32(model, samples, dtype):
    half = copy.deepcopy(model).to(dtype)
    logits = half(**samples[1]).logits
    assert logits.dtype == dtype
    reference = model(**samples[1]).logits
    error = (logits.float() - reference).norm() / reference.norm()
    assert error < (0.1 if dtype == torch.bfloat16 else 0.02)


def test_device_map_auto_and_dtype(model, samples, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = EmoLlamaForConditionalGeneration.from_pretrained(tmp_path, device_map="auto", dtype=torch.bfloat16)
    assert {parameter.device.type for parameter in loaded.parameters()} <= {"cpu", "cuda"}
    assert loaded.dtype == torch.bfloat16
    assert torch.isfinite(loaded(**{n: v.to(loaded.device) for n, v in samples[1].items()}).logits).all()


@torch.no_grad()
def test_a_face_prior_offloaded_to_disk_perceives_the_same(model, samples, tmp_path):
    prior = model.model.face_prior
    prior.save_pretrained(tmp_path / "model")
    parts = dict.fromkeys((name for name, _ in prior.named_children()), "disk") | {"fuse": "cpu"}
    loaded = EmoLlamaFacePriorModel.from_pretrained(
        tmp_path / "model", device_map=parts, offload_folder=tmp_path / "offload"
    )
    assert loaded.task_tokens.weight.device.type == "meta"
    faces = samples[1]["face_pixel_values"]
    torch.testing.assert_close(loaded.analyze(faces).age, prior.analyze(faces).age)


@pytest.mark.parametrize("shard", ["10GB", "200KB"])
@torch.no_grad()
def test_save_and_load(model, samples, tmp_path, shard):
    model.save_pretrained(tmp_path, max_shard_size=shard)
    files = sorted(path.name for path in tmp_path.glob("*.safetensors*"))
    assert (files == ["model.safetensors"]) == (shard == "10GB")
    assert ("model.safetensors.index.json" in files) == (shard == "200KB")
    loaded = EmoLlamaForConditionalGeneration.from_pretrained(tmp_path)
    assert EmoLlamaConfig.from_pretrained(tmp_path).to_diff_dict() == model.config.to_diff_dict()
    torch.testing.assert_close(loaded(**samples[1]).logits, model(**samples[1]).logits, atol=0, rtol=0)
    base = EmoLlamaModel.from_pretrained(tmp_path)
    hidden = base(**samples[1]).last_hidden_state
    words = slice(model.config.image_token_id)  # the placeholder's logit is none of the head's
    torch.testing.assert_close(
        model.lm_head(hidden)[..., words], model(**samples[1]).logits[..., words], atol=0, rtol=0
    )


@pytest.mark.parametrize("auto", [AutoModelForImageTextToText, AutoModelForMultimodalLM])
@torch.no_grad()
def test_auto_classes_open_a_saved_model(model, samples, tmp_path, auto):
    model.save_pretrained(tmp_path)
    loaded = auto.from_pretrained(tmp_path)
    assert type(loaded) is EmoLlamaForConditionalGeneration
    torch.testing.assert_close(loaded(**samples[0]).logits, model(**samples[0]).logits, atol=1e-5, rtol=1e-5)
    auto_map = json.loads((tmp_path / "config.json").read_text())["auto_map"]  # for `trust_remote_code`
    assert auto_map[auto.__name__] == "modeling_emo_llama.EmoLlamaForConditionalGeneration"


@torch.no_grad()
def test_resize_token_embeddings_keeps_old_logits(samples):
    model = make_model()
    before = model(**samples[0]).logits
    model.resize_token_embeddings(430)
    after = model(**samples[0]).logits
    assert model.config.text_config.vocab_size == 430
    torch.testing.assert_close(after[..., :421], before)
    assert after.shape[-1] == 430


@pytest.mark.parametrize(
    "text",
    [
        {"model_type": "gpt2", "n_embd": 48, "n_layer": 2, "n_head": 4, "vocab_size": 420},
        {
            "model_type": "qwen2",
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 420,
            "tie_word_embeddings": True,
        },
    ],
    ids=lambda text: text["model_type"],
)
def test_any_decoder_only_language_model(text, tmp_path):
    model = make_model(text_config=text)
    sample = make_sample(model, [2], 0)
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == model.config.tie_word_embeddings
    model.save_pretrained(tmp_path)
    loaded = EmoLlamaForConditionalGeneration.from_pretrained(tmp_path)
    assert torch.equal(loaded.generate(**sample, **GREEDY), model.generate(**sample, **GREEDY))


def test_analyze_faces(model, tmp_path):
    faces = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    analysis = model.analyze_faces(faces)
    face = model.config.face_config
    assert analysis.landmarks.shape == (3, 68, 2)
    assert analysis.head_pose.shape == (3, 3)
    for name, labels in (("age", face.age_labels), ("gender", face.gender_labels), ("race", face.race_labels)):
        assert analysis[name].shape == (3, len(labels))
        torch.testing.assert_close(analysis[name].sum(1), torch.ones(3))
    assert analysis.attributes.shape == (3, 40)
    assert ((analysis.attributes >= 0) & (analysis.attributes <= 1)).all()
    assert analysis.visibility.shape == (3, 29)
    # the face prior alone, saved and loaded, perceives the same
    model.model.face_prior.save_pretrained(tmp_path)
    prior = EmoLlamaFacePriorModel.from_pretrained(tmp_path)
    torch.testing.assert_close(prior.analyze(faces).age, analysis.age)
    parsing = prior(faces, output_parsing=True).parsing_logits
    assert parsing.shape == (3, 11, 64, 64)


@torch.no_grad()
def test_perceived_attributes_are_the_mean_over_frames_that_show_a_face(model):
    config = model.config.face_config
    frames = {
        "age_logits": torch.tensor([[0.9] + [0.1 / 7] * 7] + [[0.4, 0.6] + [0.0] * 6] * 3).log(),
        "gender_logits": torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6], [0.1, 0.9]]).log(),
        "race_logits": torch.tensor([[0.2] * 5, [1.0, 0, 0, 0, 0], [0, 1.0, 0, 0, 0], [0, 1.0, 0, 0, 0]]).log(),
    }
    faces = EmoLlamaFacePriorOutput(**frames)
    mask = torch.tensor([True, True, False, False])
    for asked in (model, model.model):
        assert asked.perceived_attributes(faces, mask, torch.tensor([3, 1])) == [
            {
                "age": (config.age_labels[0], pytest.approx(0.65)),
                "gender": ("male", pytest.approx(0.65)),  # the first frame is surer than the second
                "race": ("White", pytest.approx(0.6)),
            },
            None,
        ]
    alone = model.perceived_attributes(faces, mask, torch.ones(4, dtype=torch.long))
    assert [None if seen is None else seen["gender"] for seen in alone] == [
        ("male", pytest.approx(0.9)),
        ("female", pytest.approx(0.6)),
        None,
        None,
    ]
    assert [values["gender"] for values in model.perceived_attributes(faces, mask | True, torch.tensor([1, 3]))] == [
        ("male", pytest.approx(0.9)),
        ("female", pytest.approx(0.7)),
    ]


class TestErrors:
    def test_too_few_and_too_many_placeholders(self, model, samples):
        for ids in (samples[1]["input_ids"][:, 1:2], torch.cat([samples[1]["input_ids"][:, 1:2]] * 9, 1)):
            with pytest.raises(ValueError, match=r"`input_ids` has \d visual placeholders.* 8 visual tokens"):
                model(**{**samples[1], "input_ids": ids})

    def test_placeholder_mask(self, model, samples):
        ids, embeds = samples[1]["input_ids"], torch.zeros(1, samples[1]["input_ids"].shape[1], 64)
        mask = model.model.get_placeholder_mask(ids, embeds, torch.zeros(8, 64))
        assert mask.shape == (*ids.shape, 1) and torch.equal(mask[..., 0], ids == model.config.image_token_id)
        with pytest.raises(ValueError, match=r"has 8 visual placeholders.* give 6 visual tokens .*one placeholder"):
            model.model.get_placeholder_mask(ids, embeds, torch.zeros(6, 64))

    def test_placeholders_without_visuals(self, model, samples):
        with pytest.raises(ValueError, match="give 0 visual tokens"):
            model(input_ids=samples[0]["input_ids"])

    def test_frame_counts(self, model, samples):
        with pytest.raises(ValueError, match="`frame_counts`"):
            model(**{**samples[1], "frame_counts": torch.tensor([3])})
        with pytest.raises(ValueError, match="1 questions for 4 visuals"):  # each frame is one by default
            model(**{n: v for n, v in samples[1].items() if n != "frame_counts"})

    def test_each_frame_is_a_visual_by_default(self, model):
        sample = make_sample(model, [1, 1], 5)
        without = {name: value for name, value in sample.items() if name != "frame_counts"}
        assert torch.equal(model(**sample).logits, model(**without).logits)

    def test_without_a_question_the_queries_look_alone(self, model):
        """A question whose every token is masked guides nothing either."""
        sample = make_sample(model, [1, 2], 5)
        without = {name: value for name, value in sample.items() if not name.startswith("qformer_")}
        masked = {**sample, "qformer_attention_mask": torch.zeros_like(sample["qformer_input_ids"])}
        torch.testing.assert_close(model(**without).logits, model(**masked).logits, atol=1e-5, rtol=1e-5)
        assert (model(**without).logits - model(**sample).logits).abs().max() > 1e-5

    def test_one_question_a_visual(self, model, samples):
        with pytest.raises(ValueError, match="`qformer_input_ids` has 1 questions for 2 visuals"):
            model(**{**samples[3], "qformer_input_ids": samples[3]["qformer_input_ids"][:1]})

    def test_one_face_row_a_frame(self, model, samples):
        with pytest.raises(ValueError, match="`face_pixel_values`"):
            model(**{**samples[1], "face_pixel_values": samples[1]["face_pixel_values"][:2]})

    def test_face_features_come_whole_and_once(self, model, samples):
        features = model.get_face_features(samples[1]["face_pixel_values"])
        with pytest.raises(ValueError, match="only one of `face_pixel_values` and `face_map`"):
            model(**samples[1], face_map=features.face_map, face_landmarks=features.landmarks)
        alone = {name: value for name, value in samples[1].items() if name != "face_pixel_values"}
        with pytest.raises(ValueError, match="both or neither of `face_map` and `face_landmarks`"):
            model(**alone, face_map=features.face_map)

    def test_both_or_neither_of_ids_and_embeddings(self, model, samples):
        with pytest.raises(ValueError, match="`input_ids`"):
            model()
        embeds = torch.zeros(1, 2, 64)
        with pytest.raises(ValueError, match="`input_ids`"):
            model(inputs_embeds=embeds, **{n: v for n, v in samples[0].items() if n != "input_ids"})

    @pytest.mark.parametrize("name", ["pixel_values", "face_pixel_values"])
    def test_pixels_that_are_no_numbers(self, model, samples, name):
        pixels = samples[0][name].clone()
        pixels[0, 0, 0, 0] = torch.nan
        with pytest.raises(ValueError, match=f"`{name}` has NaN"):
            model(**{**samples[0], name: pixels})

    def test_perceived_attributes_of_other_numbers_of_frames(self, model, samples):
        faces = model.get_face_features(samples[1]["face_pixel_values"])
        with pytest.raises(ValueError, match=r"`frame_counts` must sum to .*, but it gives 3 for {'face_mask': 4"):
            model.perceived_attributes(faces, torch.ones(4), torch.tensor([1, 2]))
        with pytest.raises(ValueError, match="'face_mask': 3, 'age': 4"):
            model.perceived_attributes(faces, torch.ones(3), torch.tensor([4]))

    def test_no_face_prior(self, samples):
        model = make_model(face=False)
        with pytest.raises(ValueError, match="no face prior"):
            model.perceived_attributes(EmoLlamaFacePriorOutput(), torch.ones(1), torch.ones(1, dtype=torch.long))
        with pytest.raises(ValueError, match="no face prior"):
            model.analyze_faces(torch.zeros(1, 3, 64, 64))
        with pytest.raises(ValueError, match="no face prior"):
            model.get_face_features(torch.zeros(1, 3, 64, 64))
        with pytest.raises(ValueError, match="`face_pixel_values`"):
            model(**samples[0])
        features = {"face_map": torch.zeros(1, 32, 16, 16), "face_landmarks": torch.zeros(1, 68, 2)}
        with pytest.raises(ValueError, match="`face_map`"):
            model(**{**samples[0], "face_pixel_values": None}, **features)

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("content_tokens", "grid:9"),
            ("content_tokens", "some"),
            ("projector_depth", 0),
            ("face_info_mining", "all"),
        ],
    )
    def test_configuration(self, argument, value):
        with pytest.raises(ValueError, match=f"`{argument}"):
            tiny_config(**{argument: value})
