"""Training of the face prior from labelled crops: batches, losses, stages."""

import io
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, TrainingArguments

from emo_llama_hf import EmoLlamaConfig, EmoLlamaFaceConfig, EmoLlamaFacePriorModel
from emo_llama_hf.data import Record
from emo_llama_hf.training import (
    Augmentation,
    FaceBatches,
    FaceCrops,
    FaceMapForTraining,
    FaceTasksForTraining,
    taught,
    train_face_prior,
)
from emo_llama_hf.training.augmentation import MIRRORED
from emo_llama_hf.training.face_prior.training import class_loss, views_apart
from tiny_model import tiny_config

SAMPLES = Path(__file__).parent / "samples"
CLASSES = {"emotion": 3, "age": 8, "gender": 2, "race": 5}
TASKS = ["landmarks", "age", "gender", "race"]


def face_prior(tasks=TASKS, **kwargs) -> EmoLlamaFacePriorModel:
    torch.manual_seed(0)
    config = tiny_config().face_config.to_dict()
    return EmoLlamaFacePriorModel(EmoLlamaFaceConfig(**{**config, "tasks": tasks, "num_landmarks": 5, **kwargs}))


def batches(**kwargs) -> FaceBatches:
    return FaceBatches([0.0] * 3, [1.0] * 3, **kwargs)


def crops(count: int = 96, side: int = 32) -> FaceCrops:
    """Crops whose class anyone can see: the emotion is a third that is bright, the gender the brightest channel."""
    torch.manual_seed(1)
    emotion, gender = torch.arange(count) % 3, torch.arange(count) // 3 % 2
    pixels = torch.randint(0, 60, (count, 3, side, side), dtype=torch.uint8)
    for index in range(count):
        third = slice(emotion[index] * side // 3, (emotion[index] + 1) * side // 3)
        pixels[index, :, third] += 100
        pixels[index, gender[index]] += 60
    known = {"emotion": torch.eye(3)[emotion], "gender": torch.eye(2)[gender]}
    return FaceCrops(
        pixels,
        {task: known.get(task, torch.zeros(count, classes)) for task, classes in CLASSES.items()},
        torch.zeros(count, 5, 2).masked_fill(emotion[:, None, None] == 0, torch.nan),
    )


class TestBatches:
    def test_landmarks_go_where_the_pixels_go(self):
        axis = (torch.arange(64) + 0.5) / 32 - 1
        places = torch.rand(40, 1, 2, generator=torch.Generator().manual_seed(0)) - 0.5
        distance = (axis[None, None, :] - places[..., :1]) ** 2 + (axis[None, :, None] - places[..., 1:]) ** 2
        pixels = (255 * (-distance / 0.02).exp()).byte()[:, None].expand(-1, 3, -1, -1)  # one soft spot each
        data = FaceCrops(pixels, {}, places.expand(-1, 5, -1))
        torch.manual_seed(0)
        batch = batches(color=0, grey=0, erase=0, mixup=0)([data[index] for index in range(40)])
        weights = batch["pixel_values"][:, 0]
        x, y = (weights * axis).sum((1, 2)), (weights * axis[:, None]).sum((1, 2))
        found = torch.stack([x, y], 1) / weights.sum((1, 2))[:, None]
        assert (found - places[:, 0]).norm(dim=1).max() > 0.2  # they did move
        torch.testing.assert_close(batch["landmarks"], found[:, None].expand(-1, 5, -1), atol=0.03, rtol=0)

    def test_a_mirrored_left_eye_is_a_right_eye(self):
        landmarks = torch.tensor([[-0.4, -0.2], [0.4, -0.3], [0.1, 0.0], [-0.3, 0.4], [0.3, 0.5]])
        sample = {**crops(1)[0], "landmarks": landmarks}
        torch.manual_seed(0)
        batch = batches(mirror=1, rotate=0, shift=0, scale=0, stretch=0, color=0, grey=0, erase=0, mixup=0)([sample])
        expected = (landmarks * torch.tensor([-1.0, 1.0]))[list(MIRRORED)]
        torch.testing.assert_close(batch["landmarks"][0], expected)
        torch.testing.assert_close(batch["pixel_values"][0], sample["pixels"].flip(-1) / 255, atol=1e-5, rtol=0)

    def test_evaluation_changes_nothing(self):
        samples = [crops(4)[index] for index in range(4)]
        batch = batches().plain()(samples)
        torch.testing.assert_close(batch["pixel_values"], torch.stack([s["pixels"] for s in samples]) / 255)
        assert batch["gender"].tolist() == [[1, 0]] * 3 + [[0, 1]]
        assert batch["age"].abs().sum() == 0

    def test_the_knobs_are_those_of_the_augmentation(self):
        """What both changes have means the same in both, and off is off."""
        for name in ("mirror", "color", "grey", "erase"):
            for changes in (batches, Augmentation):
                assert getattr(changes(**{name: 0}), name) == 0
                with pytest.raises(ValueError, match=f"`{name}` must lie between 0"):
                    changes(**{name: 1.5})
        with pytest.raises(ValueError, match="`rotate` must be at least 0"):
            batches(rotate=-1)

    def test_mixed_targets_sum_to_what_is_known(self):
        torch.manual_seed(0)
        batch = batches(mixup=1)([crops(8)[index] for index in range(8)])
        torch.testing.assert_close(batch["emotion"].sum(1), torch.ones(8))
        assert ((batch["emotion"] > 0) & (batch["emotion"] < 1)).any()
        assert batch["landmarks"].isnan().all()

    def test_views_are_of_the_same_crops_in_the_same_order(self):
        samples = [crops(6)[index] for index in range(6)]
        batch = batches(views=2, mixup=1)(samples)
        first, second = batch["pixel_values"].chunk(2)
        assert first.shape[0] == 6 and (first - second).abs().mean() > 0.01
        for task in ("emotion", "gender"):  # mixed with the same mates
            torch.testing.assert_close(*batch[task].chunk(2))
        assert len(batches(views=2).plain()(samples)["pixel_values"]) == 6
        with pytest.raises(ValueError, match="`views`"):
            batches(views=0)

    def test_coarse_and_compressed_crops_lose_detail_only(self):
        off = dict.fromkeys(("mirror", "rotate", "shift", "scale", "stretch", "color", "grey", "erase", "mixup"), 0)
        samples = [crops(4)[index] for index in range(4)]
        pixels = batches().plain()(samples)["pixel_values"]
        for change in ("coarse", "compress"):
            changed = batches(**off, **{change: 1})(samples)["pixel_values"]
            assert 0.002 < (changed - pixels).abs().mean() < 0.1
            assert changed.var() < pixels.var()
            torch.testing.assert_close(changed.mean((2, 3)), pixels.mean((2, 3)), atol=0.02, rtol=0)


class TestLosses:
    def test_views_that_look_the_same_are_not_apart(self):
        logits = torch.randn(5, 4)
        assert views_apart(torch.cat([logits, logits + 3])) == pytest.approx(0, abs=1e-6)
        sure = torch.tensor([[50.0, 0.0], [0.0, 50.0]])
        assert views_apart(sure) == pytest.approx(math.log(2), rel=1e-3)

    def test_with_every_class_known_it_is_torch_s_cross_entropy(self):
        logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
        target = torch.nn.functional.one_hot(labels, 4).float()
        expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
        torch.testing.assert_close(class_loss(logits, target, 0.1), expected)

    def test_unknown_classes_teach_nothing(self):
        logits = torch.randn(2, 4, requires_grad=True)
        class_loss(logits, torch.tensor([[0.0, 1, 0, 0], [0, 0, 0, 0]]), 0.1).backward()
        assert logits.grad[0].abs().sum() > 0 and logits.grad[1].abs().sum() == 0

    def test_the_short_way_to_the_maps_mean_is_the_mean_of_the_map(self):
        model = face_prior().eval()
        stage = FaceMapForTraining(model, CLASSES).eval()
        pixels = torch.randn(2, 3, 64, 64)
        mean = model.fused_map(pixels).mean((2, 3))
        logits = stage(pixels, emotion=torch.zeros(2, 3))["emotion"]
        torch.testing.assert_close(logits, stage.heads["emotion"](mean), atol=1e-5, rtol=1e-4)

    def test_a_task_with_a_weight_counts_that_often(self):
        model, pixels = face_prior().eval(), torch.randn(2, 3, 64, 64)
        plain = FaceMapForTraining(model, CLASSES).eval()
        weighted = FaceMapForTraining(model, CLASSES, weights={"gender": 3}).eval()
        weighted.load_state_dict(plain.state_dict())
        targets = {"emotion": torch.eye(3)[:2], "gender": torch.eye(2)}
        alone = plain(pixels, gender=targets["gender"])["loss"]
        torch.testing.assert_close(weighted(pixels, **targets)["loss"], plain(pixels, **targets)["loss"] + 2 * alone)

    def test_in_the_second_stage_too(self):
        model, batch = face_prior().eval(), batches().plain()([crops(6)[index] for index in range(6)])

        def loss(**weights: float) -> torch.Tensor:
            weights = {**dict.fromkeys(TASKS, 0.0), **weights}
            return FaceTasksForTraining(model, weights)(**batch)["loss"]

        torch.testing.assert_close(loss(gender=3), 3 * loss(gender=1))
        torch.testing.assert_close(loss(gender=1, landmarks=2), loss(gender=1) + 2 * loss(landmarks=1))
        assert loss(landmarks=1) > 0 and loss(gender=1) > 0

    def test_the_second_stage_leaves_the_map_as_it_is(self):
        stage = FaceTasksForTraining(face_prior()).train()
        batch = batches()([crops(6)[index] for index in range(6)])
        before = {name: value.clone() for name, value in stage.face_prior.state_dict().items()}
        stage(**batch)["loss"].backward()
        learns = {name.split(".")[1] for name, p in stage.named_parameters() if p.grad is not None}
        assert learns == {"decoder", "heads", "task_tokens"}
        for name, value in stage.face_prior.state_dict().items():  # batch norms of a frozen part count nothing
            assert torch.equal(value, before[name]), name


def arguments(folder, steps: int, **kwargs) -> TrainingArguments:
    return TrainingArguments(
        str(folder),
        max_steps=steps,
        per_device_train_batch_size=16,
        learning_rate=5e-3,
        eval_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        **{"save_strategy": "no", **kwargs},
    )


def test_both_stages_learn_what_can_be_seen(tmp_path):
    model, data = face_prior(), crops()
    changes = batches(mirror=0, rotate=5, erase=0.1, mixup=0.1)
    options = arguments(tmp_path / "map", 80)
    before = options.to_dict()
    trainer = train_face_prior(FaceMapForTraining(model, CLASSES), options, data, data, changes, average_decay=0.9)
    assert options.to_dict() == before and trainer.args.label_names == list(CLASSES)
    assert trainer.evaluate()["eval_emotion_accuracy"] > 0.8
    trainer = train_face_prior(
        FaceTasksForTraining(model), arguments(tmp_path / "tasks", 60), data, data, changes, average_decay=0.9
    )
    assert trainer.evaluate()["eval_gender_accuracy"] > 0.8
    assert model.analyze(torch.zeros(1, 3, 32, 32)).landmarks.shape == (1, 5, 2)


def test_a_stopped_stage_goes_on_to_the_same_weights(tmp_path):
    def run(folder, steps: int, resume: bool = False):
        stage = FaceMapForTraining(face_prior(), CLASSES)
        options = arguments(
            folder, 8, save_strategy="steps", save_steps=4, lr_scheduler_type="constant", resume_from_checkpoint=resume
        )
        options.max_steps = steps
        train_face_prior(stage, options, crops(), crops(), batches(), average_decay=0.9)
        return stage.state_dict()

    whole = run(tmp_path / "whole", 8)
    run(tmp_path / "parts", 4)
    for name, value in run(tmp_path / "parts", 8, resume=True).items():
        torch.testing.assert_close(value, whole[name], msg=name)


def test_what_is_no_number_is_no_prediction(tmp_path):
    """Diverged weights have a largest class all the same."""
    stage = FaceMapForTraining(face_prior(), CLASSES)
    trainer = train_face_prior(stage, arguments(tmp_path, 1), crops(6), crops(6), batches())
    with torch.no_grad():
        next(trainer.average.module.heads.parameters()).fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        trainer.evaluate()


class TestTeachers:
    def test_unlabelled_crops_learn_what_a_teacher_sees(self, tmp_path):
        everything = crops()
        teacher = FaceMapForTraining(face_prior(), CLASSES)
        changes = batches(mirror=0, rotate=5, erase=0.1, mixup=0.1)
        train_face_prior(teacher, arguments(tmp_path, 80), everything, everything, changes, average_decay=0.9)
        nothing = {task: torch.zeros_like(values) for task, values in everything.targets.items()}
        unlabelled = FaceCrops(everything.pixels, nothing, everything.landmarks)
        found = taught(unlabelled, [teacher], changes, share=0.4)
        right = found.targets["emotion"].argmax(1) == everything.targets["emotion"].argmax(1)
        assert right.float().mean() > 0.8
        torch.testing.assert_close(found.targets["emotion"].sum(1), torch.full((96,), 0.4))
        assert torch.equal(found.pixels, everything.pixels) and not unlabelled.targets["emotion"].any()

    def test_a_teacher_whose_weights_diverged_teaches_nothing(self):
        teacher = FaceMapForTraining(face_prior(), CLASSES)
        with torch.no_grad():
            next(teacher.heads.parameters()).fill_(torch.nan)
        with pytest.raises(FloatingPointError, match="not finite"):
            taught(crops(6), [teacher], batches(), share=0.25)

    def test_a_label_keeps_its_share(self):
        teachers = [FaceMapForTraining(face_prior(), CLASSES) for _ in range(2)]
        data = crops(6)
        found = taught(data, teachers, batches(), share=0.25).targets["gender"]
        torch.testing.assert_close(found.sum(1), torch.ones(6))
        assert (found[data.targets["gender"] == 1] >= 0.75).all()

    def test_a_crop_and_its_mirror_image_are_taught_the_same(self):
        data, teacher = crops(6), FaceMapForTraining(face_prior(), CLASSES)
        mirrored = FaceCrops(data.pixels.flip(-1), data.targets, data.landmarks)
        one, other = (taught(faces, [teacher], batches(), share=1).targets for faces in (data, mirrored))
        for task in CLASSES:
            torch.testing.assert_close(one[task], other[task])


class TestCrops:
    @pytest.fixture
    def processor(self, tiny):
        return AutoProcessor.from_pretrained(tiny)

    def test_a_real_face(self, processor, tmp_path):
        picture = Image.open(SAMPLES / "astronaut.png").convert("RGB").crop((150, 0, 300, 220))
        content = io.BytesIO()
        picture.save(content, "PNG")
        record = Record("a", content.getvalue(), emotion="happy", attributes={"gender": "Female", "race": "White"})
        labels = {"emotion": ["sad", "happy"], "age": ["0-9"], "gender": ["male", "female"], "race": ["White"]}
        data = FaceCrops.from_records([record], processor, labels, {"gender": {"Female": "female"}})
        assert {task: values.tolist() for task, values in data.targets.items()} == {
            "emotion": [[0, 1]],
            "age": [[0]],
            "gender": [[0, 1]],
            "race": [[1]],
        }
        [face] = processor.faces.detector.detect([picture])[0]
        expected = torch.tensor(face.landmarks) / torch.tensor([75.0, 110.0]) - 1
        torch.testing.assert_close(data.landmarks[0], expected)
        inputs = processor.image_processor([picture], face_boxes=[(0, 0, *picture.size)], return_tensors="pt")
        pictures = processor.image_processor
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (pictures.face_mean, pictures.face_std))
        torch.testing.assert_close((data.pixels / 255 - mean) / std, inputs["face_pixel_values"], atol=0.01, rtol=0)
        data.save(tmp_path / "crops.safetensors")
        again = FaceCrops.load(tmp_path / "crops.safetensors")
        assert torch.equal(again.pixels, data.pixels) and again.targets.keys() == data.targets.keys()
        both = data.joined(again)
        assert (len(both), len(both.having("gender")), len(both.having("age"))) == (2, 2, 0)

    def test_a_class_that_nobody_knows(self, processor):
        record = Record("a", str(SAMPLES / "astronaut.png"), attributes={"gender": "Female"}, row="table:2")
        with pytest.raises(ValueError, match="table:2: the gender 'Female' is none of male, female"):
            FaceCrops.from_records([record], processor, {"gender": ["male", "female"]})

    def test_no_records(self, processor):
        with pytest.raises(ValueError, match="`records` is empty"):
            FaceCrops.from_records([], processor, {})


def test_a_mirrored_crop_has_the_mirrored_map():
    model, pixels = face_prior(average_mirrored=True).eval(), torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model.fused_map(pixels.flip(-1)), model.fused_map(pixels).flip(-1))
    plain = face_prior().eval()
    expected = (plain.fused_map(pixels) + plain.fused_map(pixels.flip(-1)).flip(-1)) / 2
    torch.testing.assert_close(model.fused_map(pixels), expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(plain.fused_map(pixels), expected)


class TestTasks:
    def test_what_was_not_learned_is_not_told(self):
        model = face_prior(["landmarks", "gender"])
        found = model.analyze(torch.zeros(1, 3, 64, 64))
        assert set(found) == {"landmarks", "gender"}
        assert model.config.perceived_labels == {"gender": ["male", "female"]}
        assert not any(name.startswith(("parsing", "upscale", "heads.age")) for name in model.state_dict())
        with pytest.raises(ValueError, match="`output_parsing` needs a network trained for it"):
            model(torch.zeros(1, 3, 64, 64), output_parsing=True)

    def test_they_are_saved(self, tmp_path):
        model = face_prior(["landmarks", "gender"])
        model.save_pretrained(tmp_path)
        again = EmoLlamaFacePriorModel.from_pretrained(tmp_path)
        pixels = torch.randn(1, 3, 64, 64)
        torch.testing.assert_close(again(pixels).gender_logits, model(pixels).gender_logits)

    def test_wrong_ones(self):
        with pytest.raises(ValueError, match="`tasks` has smile, but the tasks are landmarks"):
            EmoLlamaFaceConfig(tasks=["smile"])
        with pytest.raises(ValueError, match=r"`face_config\.tasks` must have 'landmarks'"):
            EmoLlamaConfig(face_config={"tasks": ["gender"]})
