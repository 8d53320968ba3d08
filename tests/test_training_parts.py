"""The parts of training one by one: order of samples, closed-set loss, augmentation, feature cache, samples."""

import random
from collections import Counter

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from emo_llama_hf.data.record import Record
from emo_llama_hf.data.samples import attributes_of, load_visuals
from emo_llama_hf.training import (
    Augmentation,
    ClosedSetLoss,
    EmoLlamaDataCollator,
    EmotionDataset,
    EpochSampler,
    FeatureCache,
    answer_tokens,
    fill_cache,
    samples_of,
)
from emotion_samples import EMOTIONS, FACE, clip, drawn_face, face_samples, picture, sample


@pytest.fixture(scope="module")
def processor(tiny):
    return AutoProcessor.from_pretrained(tiny)


class TestEpochSampler:
    def test_every_sample_once_an_epoch_in_another_order(self):
        sampler = EpochSampler(["a"] * 50, seed=3)
        first = list(sampler)
        assert list(sampler) == first and sorted(first) == list(range(50))
        sampler.set_epoch(1)
        assert list(sampler) != first and sorted(sampler) == list(range(50))
        assert list(EpochSampler(["a"] * 50, seed=4)) != first

    def test_balanced(self):
        emotions = ["happy"] * 900 + ["sad"] * 90 + [None] * 10

        def shares(balance):
            sampler = EpochSampler(emotions, balance)
            drawn = Counter()
            for epoch in range(20):
                sampler.set_epoch(epoch)
                drawn.update(emotions[index] for index in sampler)
            return [drawn[emotion] / sum(drawn.values()) for emotion in ("happy", "sad", None)]

        assert shares(0.0) == pytest.approx([0.9, 0.09, 0.01])
        assert shares(1.0) == pytest.approx([1 / 3] * 3, abs=0.02)
        roots = [900**0.5, 90**0.5, 10**0.5]
        assert shares(0.5) == pytest.approx([root / sum(roots) for root in roots], abs=0.02)

    def test_refused(self):
        with pytest.raises(ValueError, match="`balance`"):
            EpochSampler(["a"], balance=2)


class TestClosedSetLoss:
    def test_against_all_answers_written_out(self, processor):
        """The trie's loss is the likelihood of the answer among all answers, each step among what may follow."""
        answers = [[5, 7, 2], [5, 8, 2], [6, 2], [5, 7, 9, 2]]
        torch.manual_seed(0)
        logits = torch.randn(1, 6, 12)
        labels = torch.tensor([[-100, -100, 5, 7, 2, -100]])
        at = logits[0]
        expected = at[1, [5, 6]].log_softmax(0)[0] + at[2, [7, 8]].log_softmax(0)[0] + at[3, [2, 9]].log_softmax(0)[0]
        assert ClosedSetLoss([answers], 1.0).closed_set_sum(logits, labels) == pytest.approx(
            -expected.item(), rel=1e-5
        )

    def test_only_answers_that_are_labels_count(self, tiny, processor):
        model = AutoModelForImageTextToText.from_pretrained(tiny).eval()
        collator = EmoLlamaDataCollator(processor)
        answers = answer_tokens(collator, EMOTIONS)
        loss = ClosedSetLoss([answers], 0.7)
        talk = collator([sample(picture(), "happy, with a smile"), sample(None, "Hello.", "Hi")])
        labelled = collator([sample(picture(), "happy"), sample(None, "Hello.", "Hi")])
        with torch.no_grad():
            for batch, counts in ((talk, False), (labelled, True)):
                outputs = model(**batch)
                total = loss(outputs, batch["labels"])
                assert (total > outputs.loss + 1e-4) if counts else torch.isclose(total, outputs.loss)
        count = (labelled["labels"] != -100).sum()
        extra = (total - outputs.loss).item() * count / 0.7
        first = torch.tensor([answer[0] for answer in answers])
        if len(set(first.tolist())) == len(EMOTIONS):
            start = (labelled["labels"][0] != -100).nonzero()[0].item()
            expected = -outputs.logits[0, start - 1, first].log_softmax(0)[0]
            assert extra == pytest.approx(expected.item(), rel=1e-3)

    def test_accumulated_batches_add_up(self, tiny, processor):
        model = AutoModelForImageTextToText.from_pretrained(tiny).eval()
        collator = EmoLlamaDataCollator(processor)
        loss = ClosedSetLoss([answer_tokens(collator, EMOTIONS)], 0.7)
        samples = face_samples(4)
        whole = collator(samples)
        count = (whole["labels"] != -100).sum()
        with torch.no_grad():
            together = loss(model(**whole), whole["labels"], count)
            parts = sum(
                loss(model(**batch), batch["labels"], count)
                for batch in (collator(samples[:1]), collator(samples[1:]))
            )
        assert torch.isclose(together, parts, atol=1e-5)

    def test_answer_tokens_are_what_a_chat_learns(self, processor):
        collator = EmoLlamaDataCollator(processor)
        labels = collator([sample(picture(), "sad")])["labels"][0]
        assert labels[labels != -100].tolist() == answer_tokens(collator, EMOTIONS)[1]

    def test_it_pulls_the_label_up(self, processor):
        """Its gradient raises the true label's word and lowers only the other labels' words."""
        logits = torch.zeros(1, 3, 12, requires_grad=True)
        loss = ClosedSetLoss([[[5, 2], [6, 2], [7, 2]]], 1.0)
        loss.closed_set_sum(logits, torch.tensor([[-100, 5, 2]])).backward()
        gradient = logits.grad[0, 0]
        assert gradient[5] < 0 < gradient[6] and gradient[6] == gradient[7]
        assert not gradient[[0, 1, 2, 3, 4, 8, 9, 10, 11]].any() and not logits.grad[0, 1:].any()


class TestAugmentation:
    def test_mirror_moves_face_and_landmarks(self):
        changed = Augmentation(mirror=1, color=0, grey=0, crop=0, erase=0, face_shift=0)(picture(), random.Random(0))
        original = drawn_face("happy")
        assert changed.frames[0].getpixel((0, 5)) == original.getpixel((63, 5))
        (face,) = changed.faces
        assert face.box == (8, 4, 56, 60)
        assert face.landmarks == ((23, 23), (41, 23), (32, 34), (20, 48), (44, 48))
        assert face.landmarks[0][0] < face.landmarks[1][0]

    def test_cropping_keeps_the_face(self):
        augmentation = Augmentation(mirror=0, color=0, grey=0, crop=1, erase=0, face_shift=0)
        for seed in range(20):
            visual = picture()
            changed = augmentation(visual, random.Random(seed))
            (face,), (frame,) = changed.faces, changed.frames
            x0, y0, x1, y1 = face.box
            assert x0 >= 0 and y0 >= 0 and x1 <= frame.width and y1 <= frame.height
            box = tuple(round(value) for value in face.box)
            expected = visual.frames[0].crop(tuple(round(v) for v in FACE.box))
            assert frame.crop(box).tobytes() == expected.tobytes()

    def test_frames_of_a_clip_change_alike(self):
        still = clip(3)
        still.frames[:] = [drawn_face("sad")] * 3
        for seed in range(5):
            changed = Augmentation()(still, random.Random(seed))
            assert len({frame.tobytes() for frame in changed.frames}) == 1

    def test_same_dice_same_picture(self):
        results = [Augmentation()(picture(), random.Random(seed)) for seed in (1, 1, 2)]
        assert results[0].frames[0].tobytes() == results[1].frames[0].tobytes()
        assert results[0].frames[0].tobytes() != results[2].frames[0].tobytes()
        assert picture().frames[0].tobytes() == drawn_face("happy").tobytes()

    def test_off_changes_nothing(self):
        off = Augmentation(mirror=0, color=0, grey=0, crop=0, erase=0, face_shift=0)
        changed = off(clip(2), random.Random(0))
        assert [f.tobytes() for f in changed.frames] == [f.tobytes() for f in clip(2).frames]
        assert changed.faces == clip(2).faces

    def test_refused(self):
        with pytest.raises(ValueError, match="`mirror`"):
            Augmentation(mirror=2)


class TestDataset:
    def test_augmentation_depends_on_seed_epoch_and_sample(self, processor):
        def pixels(dataset, index=0):
            return dataset[index]["messages"][0]["content"][0]["image"].frames[0].tobytes()

        samples = [sample(picture(), "happy")] * 2
        dataset = EmotionDataset(samples, processor, Augmentation(), seed=1)
        first = pixels(dataset)
        assert pixels(dataset) == first != pixels(dataset, 1)
        dataset.set_epoch(1)
        assert pixels(dataset) != first
        dataset.set_epoch(0)
        assert pixels(dataset) == first
        assert pixels(EmotionDataset(samples, processor, Augmentation(), seed=2)) != first

    def test_workers_that_live_on_see_the_epoch(self, processor):
        dataset = EmotionDataset([sample(picture(), "happy")], processor, Augmentation())
        loader = torch.utils.data.DataLoader(
            dataset, num_workers=1, persistent_workers=True, collate_fn=EmoLlamaDataCollator(processor)
        )
        first = next(iter(loader))["pixel_values"]
        assert torch.equal(next(iter(loader))["pixel_values"], first)
        dataset.set_epoch(1)
        assert not torch.equal(next(iter(loader))["pixel_values"], first)

    def test_an_unreadable_picture_is_named_not_replaced(self, processor, tmp_path):
        (tmp_path / "broken.png").write_bytes(b"\x89PNG")
        chat = sample(None, "happy")
        chat["messages"][0]["content"].insert(0, {"type": "image", "image": str(tmp_path / "broken.png")})
        with pytest.raises(ValueError, match=r"Sample 1 cannot be read: .*picture"):
            EmotionDataset([face_samples(1)[0], chat], processor)[1]

    def test_sources_of_every_kind(self, processor, tmp_path):
        drawn_face("sad").save(tmp_path / "face.png")
        path = str(tmp_path / "face.png")
        content = open(path, "rb").read()
        frames = []
        for source in (path, content, drawn_face("sad")):
            chat = {"messages": [{"role": "user", "content": [{"type": "image", "image": source}]}]}
            (visual,) = load_visuals(processor, chat)
            assert visual.detections is not None
            frames.append(visual.frames[0].tobytes())
        assert len(set(frames)) == 1

    def test_records(self, processor, tmp_path):
        drawn_face("sad").save(tmp_path / "face.png")
        talk = [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Why?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Because."}]},
        ]
        records = [
            Record("a", str(tmp_path / "face.png"), emotion="sad", attributes={"age": "20-29", "pose": "left"}),
            Record("b", str(tmp_path / "face.png"), conversation=talk),
        ]
        samples = samples_of(records, EMOTIONS)
        assert [one["emotion"] for one in samples] == ["sad", None]
        assert samples[0]["messages"][-1]["content"] == "sad"
        assert "happy, sad, neutral" in samples[0]["messages"][0]["content"][1]["text"]
        assert attributes_of(processor, samples[0], 1) == [{"age": "20-29"}]
        (asked,) = samples_of(records[:1], ["happy", "sad"], phrasing="Which {{labels}}?")
        assert asked["messages"][0]["content"][1]["text"] == "Which {happy, sad}?"
        batch = EmoLlamaDataCollator(processor)(samples)
        assert batch["frame_counts"].tolist() == [1, 1]
        for row, answer in enumerate(("sad</s>", "Because.</s>")):
            labels = batch["labels"][row]
            assert processor.tokenizer.decode(labels[labels != -100]) == answer


class TestFeatureCache:
    @pytest.fixture
    def model(self, tiny):
        return AutoModelForImageTextToText.from_pretrained(tiny).eval()

    @pytest.fixture
    def cache(self, model, tmp_path):
        return lambda: FeatureCache(tmp_path, model.model.vision_model, model.model.face_prior)

    @pytest.fixture
    def inputs(self, processor):
        return EmoLlamaDataCollator(processor).visual_inputs([picture("sad"), clip(3)])

    def test_features_are_what_the_model_sees(self, model, cache, inputs):
        filled = cache()
        assert fill_cache(filled, model, [inputs, {}]) == 2 == len(filled)
        assert fill_cache(cache(), model, [inputs]) == 0
        features = cache().features(inputs)
        assert not {"pixel_values", "face_pixel_values"} & features.keys()
        with torch.no_grad():
            expected = model.get_image_features(**inputs)
            found = model.get_image_features(**features)
        assert torch.allclose(found.pooler_output, expected.pooler_output, atol=1e-6)
        assert torch.allclose(features["vision_features"], expected.last_hidden_state, atol=1e-6)

    @pytest.mark.parametrize("part", ["vision_model", "face_prior"])
    def test_other_weights_and_settings_find_nothing(self, model, cache, inputs, part, tmp_path):
        fill_cache(cache(), model, [inputs])
        model.model.face_prior.config.average_mirrored = not model.model.face_prior.config.average_mirrored
        assert len(cache()) == 0
        model.model.face_prior.config.average_mirrored = not model.model.face_prior.config.average_mirrored
        assert len(cache()) == 2
        with torch.no_grad():
            next(getattr(model.model, part).parameters()).add_(1e-3)
        with pytest.raises(ValueError, match="fill_cache"):
            cache().features(inputs)
        assert not list(tmp_path.rglob("*.part"))

    @pytest.mark.parametrize("pixels", ["pixel_values", "face_pixel_values"])
    def test_other_pixels_find_nothing(self, model, cache, inputs, pixels):
        fill_cache(cache(), model, [inputs])
        with pytest.raises(ValueError, match="fill_cache"):
            cache().features({**inputs, pixels: inputs[pixels] + 1e-3})

    def test_of_the_vision_encoder_alone(self, model, inputs, tmp_path):
        """As where the face prior learns."""
        cache = FeatureCache(tmp_path, model.model.vision_model)
        fill_cache(cache, model, [inputs])
        features = cache.features(inputs)
        assert "face_pixel_values" in features and "face_map" not in features and "pixel_values" not in features
