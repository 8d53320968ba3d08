"""The processor: pictures, clips and texts to model inputs."""

import base64
import io
import json
import shutil
import threading
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor
from transformers.video_utils import VideoMetadata

from emo_llama_hf import EmoLlamaForConditionalGeneration, EmoLlamaProcessor
from emo_llama_hf.processing.face_finder import FaceSettings
from emo_llama_hf.processing.visual import Visual
from media import clip, encoded, number_of, numbered
from tiny_model import tiny_processor

SAMPLES = Path(__file__).parent / "samples"
ASTRONAUT, HOPPER, COFFEE = (str(SAMPLES / name) for name in ("astronaut.png", "grace_hopper.jpg", "coffee.png"))
ASKED = "USER: {}\nWhy? ASSISTANT:"
LONG = " ".join(f"{'happy sad angry afraid image video'.split()[i * i % 6]} {i}" for i in range(1200))[:10_000]


@pytest.fixture(scope="module")
def processor(tiny):
    return AutoProcessor.from_pretrained(tiny)


@pytest.fixture(scope="module")
def video():
    return clip(frames=20)


def equal(first, second):
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


# -- order and structure


def test_visuals_come_in_the_order_of_the_texts(processor, video):
    texts = [ASKED.format("<video>\n<image>"), "Nothing to see", ASKED.format("<image>\n<video>")]
    inputs = processor(
        text=texts, images=[ASTRONAUT, HOPPER], videos=[video, [numbered(7), numbered(8)]], num_frames=3
    )
    assert inputs["frame_counts"].tolist() == [3, 1, 1, 2]
    alone = [processor.image_processor(picture)["pixel_values"] for picture in (ASTRONAUT, HOPPER, numbered(7))]
    assert torch.equal(inputs["pixel_values"][3:4], torch.as_tensor(np.asarray(alone[0])))
    assert torch.equal(inputs["pixel_values"][4:5], torch.as_tensor(np.asarray(alone[1])))
    assert torch.equal(inputs["pixel_values"][5:6], torch.as_tensor(np.asarray(alone[2])))
    places = (inputs["input_ids"] == processor.image_token_id).sum(1).tolist()
    assert places == [4 * processor.tokens_per_frame, 0, 3 * processor.tokens_per_frame]
    assert inputs["face_mask"].tolist() == [False] * 3 + [True, True] + [False] * 2


def test_flat_nested_and_single_inputs_are_the_same(processor):
    texts = [ASKED.format("<image>\n<image>"), ASKED.format("<image>")]
    flat = processor(text=texts, images=[ASTRONAUT, COFFEE, HOPPER])
    equal(flat, processor(text=texts, images=[[ASTRONAUT, COFFEE], [HOPPER]]))
    one = processor(text=texts[1], images=HOPPER)
    equal(one, processor(text=texts[1:], images=[HOPPER]))
    equal(one, processor(text=texts[1:], images=[[HOPPER]]))
    frames = [numbered(1), numbered(2)]
    clip_ = processor(text=ASKED.format("<video>"), videos=frames)
    equal(clip_, processor(text=ASKED.format("<video>"), videos=[frames]))
    equal(clip_, processor(text=ASKED.format("<video>"), videos=[[frames]]))


def test_text_only_and_visuals_only(processor):
    assert set(processor(text="Hello")) == {"input_ids", "attention_mask"}
    visual = processor(images=[ASTRONAUT, HOPPER])
    assert set(visual) == {"pixel_values", "face_pixel_values", "face_mask", "frame_counts"}
    assert visual["pixel_values"].shape[0] == 2
    with pytest.raises(ValueError, match="`images`, `text` and `videos`"):
        processor()


def test_the_model_takes_what_the_processor_gives(processor, tiny, video):
    model = EmoLlamaForConditionalGeneration.from_pretrained(tiny)
    texts = [ASKED.format("<video>\n<image>"), "Nothing to see", ASKED.format("<image>")]
    batch = processor(text=texts, images=[ASTRONAUT, HOPPER], videos=video, padding_side="left")
    alone = processor(text=texts[2], images=HOPPER)
    with torch.no_grad():
        together = model(**batch).logits[2, -alone["input_ids"].shape[1] :]
        assert torch.allclose(together, model(**alone).logits[0], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("images", {"text": "USER: <image><image> Why?", "images": [ASTRONAUT]}),
        ("images", {"text": "USER: <image> Why?", "images": [ASTRONAUT, HOPPER]}),
        ("images", {"text": "USER: Why?", "images": [ASTRONAUT]}),
        ("images", {"text": "USER: <image> Why?"}),
        ("videos", {"text": "USER: <image><video> Why?", "images": [ASTRONAUT]}),
        ("images", {"text": ["<image> a", "<image> b"], "images": [[ASTRONAUT, HOPPER], []]}),
        ("text", {"text": 3}),
        ("text", {"text": ["a", None]}),
        ("audio", {"text": "a", "audio": [0.0]}),
        ("questions", {"text": "<image> a", "images": ASTRONAUT, "questions": ["a", "b"]}),
        ("questions", {"text": "<image> a", "images": ASTRONAUT, "questions": [" "]}),
        ("attributes", {"text": "<image> a", "images": ASTRONAUT, "attributes": [None, None]}),
        ("attributes", {"text": "<image> a", "images": ASTRONAUT, "attributes": [{"height": "tall"}]}),
    ],
)
def test_wrong_arguments_are_named(processor, name, kwargs):
    with pytest.raises((ValueError, TypeError), match=f"`{name}`"):
        processor(**kwargs)


def test_a_picture_has_the_same_pixels_however_it_comes(processor, tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    picture = Image.fromarray(array)
    content = encoded(picture)
    (tmp_path / "p.png").write_bytes(content)
    sources = [
        picture,
        array,
        torch.from_numpy(array).permute(2, 0, 1),
        array / np.float64(255),
        content,
        io.BytesIO(content),
        tmp_path / "p.png",
        str(tmp_path / "p.png"),
        base64.b64encode(content).decode(),
        "data:image/png;base64," + base64.b64encode(content).decode(),
        Visual([picture], [0.0], False),
    ]
    expected = processor(text=ASKED.format("<image>"), images=picture)
    for source in sources:
        equal(expected, processor(text=ASKED.format("<image>"), images=source))
        part = {"type": "image", "image": source}
        chat = [{"role": "user", "content": [part, {"type": "text", "text": "Why?"}]}]
        inputs = processor.apply_chat_template(chat, tokenize=True, return_dict=True, add_generation_prompt=True)
        assert torch.equal(inputs["pixel_values"], expected["pixel_values"])


# -- sampling of clips


def test_frames_are_sampled_by_the_settings(tiny, video):
    processor = AutoProcessor.from_pretrained(tiny, num_frames=4)
    assert len(processor.load_visual(video, True).frames) == 4
    assert len(processor.load_visual(video, True, num_frames=2).frames) == 2
    assert len(processor.load_visual(video, True, fps=5).frames) == 10  # two seconds
    processor = AutoProcessor.from_pretrained(tiny, frame_sampling="fps", fps=2, max_frames=3)
    assert len(processor.load_visual(video, True).frames) == 3
    assert len(processor.load_visual(video, True, num_frames=6).frames) == 6
    numbers = [number_of(frame) for frame in processor.load_visual(video, True, num_frames=6).frames]
    assert numbers == sorted(set(numbers))
    with pytest.raises(ValueError, match="`num_frames` and `fps`"):
        processor.load_visual(video, True, num_frames=2, fps=1)


def test_frames_with_a_face_are_preferred(tiny):
    face = np.asarray(Image.open(ASTRONAUT).convert("RGB"))[:256, :256]
    blank = np.full_like(face, 90)
    content = clip(frames=[blank] * 10 + [face] * 4 + [blank] * 10)
    processor = AutoProcessor.from_pretrained(tiny, frame_sampling="face", num_frames=2)
    visual = processor.load_visual(content, True)
    assert visual.strategy == "face" and all(1.0 <= time < 1.4 for time in visual.timestamps)
    [found] = processor.faces.find([visual])
    assert processor.faces.sources(found) == ["detected", "detected"]
    assert processor.load_visual(clip(frames=[blank] * 5), True).strategy == "uniform"  # says that there was none


def test_the_readable_part_of_a_clip_on_request(tiny):
    whole = clip("matroska", frames=30, noise=True)
    cut = whole[: len(whole) // 2]
    processor = AutoProcessor.from_pretrained(tiny, num_frames=4)
    with pytest.raises(ValueError, match=r"`video`.*cut off"):
        processor.load_visual(cut, True)
    assert processor.load_visual(whole, True).problem is None
    processor.video_processor.on_error = "partial"
    visual = processor.load_visual(cut, True)
    assert visual.problem and len(visual.frames) == 4
    inputs = processor(text=ASKED.format("<video>"), videos=cut)
    assert inputs["frame_counts"].tolist() == [4]


def test_a_call_takes_all_options_of_sampling(processor, video):
    text = ASKED.format("<video>")
    sampled = {
        "by rate": {"strategy": "fps", "fps": 2, "max_frames": 3},
        "by number": {"num_frames": 2},
        "of all": {"do_sample_frames": False},
    }
    counts = {name: processor(text=text, videos=video, videos_kwargs=kwargs) for name, kwargs in sampled.items()}
    assert {name: int(inputs["frame_counts"]) for name, inputs in counts.items()} == {
        **{"by rate": 3, "by number": 2, "of all": 20}
    }
    whole = clip("matroska", frames=30, noise=True)
    cut = whole[: len(whole) // 2]
    assert processor(text=text, videos=cut, videos_kwargs={"on_error": "partial"})["frame_counts"].tolist() == [8]
    frames = [numbered(number) for number in range(10)]
    for known in ({"video_fps": 5}, {"video_metadata": [{"fps": 5}]}, {"video_metadata": [[VideoMetadata(10, 5)]]}):
        inputs = processor(text=text, videos=[frames], videos_kwargs={"fps": 2, **known})
        assert inputs["frame_counts"].tolist() == [4]  # of two seconds
    with pytest.raises(ValueError, match="`video_metadata` has 2 entries for 1 clips"):
        processor(text=text, videos=[frames], video_metadata=[{"fps": 5}, {"fps": 5}])


def test_metadata_of_clips_on_request(processor, video):
    text = ASKED.format("<image>\n<video>\n<video>")
    call = {"text": text, "images": ASTRONAUT, "videos": [video, [numbered(1)] * 5], "num_frames": 4}
    first, second = processor(**call, return_metadata=True)["video_metadata"]
    assert (first.total_num_frames, first.fps, first.duration) == (20, 10, 2)
    assert first.frames_indices == [2, 7, 12, 17] and first.timestamps == pytest.approx([0.2, 0.7, 1.2, 1.7])
    assert (second.total_num_frames, second.fps, second.frames_indices) == (5, None, [0, 1, 3, 4])
    assert "video_metadata" not in processor(**call)


def test_pictures_and_clips_have_pixels_of_their_own(processor, video):
    call = {"text": ASKED.format("<image>\n<video>"), "images": ASTRONAUT, "videos": video, "num_frames": 2}
    plain = processor(**call)["pixel_values"]
    raw = {"do_normalize": False}
    other = processor(**call, videos_kwargs={**raw})["pixel_values"]
    assert torch.equal(plain[0], other[0]) and not torch.equal(plain[1:], other[1:])
    other = processor(**call, images_kwargs={**raw})["pixel_values"]
    assert torch.equal(plain[1:], other[1:]) and not torch.equal(plain[0], other[0])


# -- questions


def words(processor, inputs):
    return processor.qformer_tokenizer.batch_decode(inputs["qformer_input_ids"], skip_special_tokens=True)


def test_a_visual_is_guided_by_its_own_turn_or_the_latest(processor, tiny):
    text = "Hi. USER: <image>\nhappy? ASSISTANT: no</s>USER: <image>\nsad? ASSISTANT: yes</s>USER: angry? ASSISTANT:"
    pictures = [ASTRONAUT, HOPPER]

    def plain(inputs):
        return [guide.replace(" ", "") for guide in words(processor, inputs)]

    assert plain(processor(text=text, images=pictures)) == ["happy?", "sad?"]
    latest = AutoProcessor.from_pretrained(tiny, question_guide="latest")
    assert plain(latest(text=text, images=pictures)) == ["angry?", "angry?"]
    none = AutoProcessor.from_pretrained(tiny, question_guide="none")
    for given in ({}, {"questions": "why"}):
        assert plain(none(text=text, images=pictures, **given)) == ["", ""]
    fixed = AutoProcessor.from_pretrained(tiny, question_guide="default", default_question="Who?")
    for given in ({}, {"questions": "why"}):
        assert plain(fixed(text=text, images=pictures, **given)) == ["who?", "who?"]
    assert plain(processor(text=text, images=pictures, questions="why")) == ["why", "why"]
    assert plain(processor(text=text, images=pictures, questions=["why", "how"])) == ["why", "how"]


@pytest.mark.parametrize(
    "said", ["ASSISTANT: hello", "Is she happy? ASSISTANT: sad</s>USER: why?", "USER:", "a [SEP] b [DEC][PAD] <image>"]
)
def test_what_is_said_is_the_whole_guide(processor, said):
    chat = [{"role": "user", "content": [{"type": "image", "image": ASTRONAUT}, {"type": "text", "text": said}]}]
    inputs = processor.apply_chat_template(chat, tokenize=True, return_dict=True, add_generation_prompt=True)
    assert words(processor, inputs)[0].replace(" ", "") == said.lower().replace(" ", "")
    special = set(processor.qformer_tokenizer.all_special_ids)
    assert sum(number in special for number in inputs["qformer_input_ids"][0].tolist()) == 2  # around the question
    text = processor.apply_chat_template(chat, add_generation_prompt=True)
    equal(inputs, processor(text=text, images=ASTRONAUT))


@pytest.mark.parametrize("part", ["tokenizer", "qformer_tokenizer"])
def test_a_tokenizer_without_a_class_is_named(tiny, tmp_path, part):
    shutil.copytree(tiny, tmp_path / "model")
    file = tmp_path / "model" / ("" if part == "tokenizer" else part) / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "tokenizer_class": True}))
    with pytest.raises(ValueError, match=f"`{part}` is not valid"):
        AutoProcessor.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize("text", ["<image>", "USER: <image>\n ASSISTANT:"])
def test_a_text_that_asks_nothing_has_a_guide(processor, text):
    guided = processor(text=text, images=ASTRONAUT, questions=processor.prompt.default_question)
    assert processor.prompt.default_question
    assert torch.equal(processor(text=text, images=ASTRONAUT)["qformer_input_ids"], guided["qformer_input_ids"])


def test_a_chat_that_asks_nothing_has_a_guide(processor):
    chat = [{"role": "user", "content": [{"type": "image", "image": ASTRONAUT}]}]
    inputs = processor.apply_chat_template(chat, tokenize=True, return_dict=True)
    guided = processor(text="<image>", images=ASTRONAUT, questions=processor.prompt.default_question)
    assert torch.equal(inputs["qformer_input_ids"], guided["qformer_input_ids"])


def test_a_chats_questions_can_be_given(processor):
    def chat(question):
        return [
            {"role": "user", "content": [{"type": "image", "image": ASTRONAUT}, {"type": "text", "text": question}]}
        ]

    call = {"tokenize": True, "return_dict": True}
    batch = processor.apply_chat_template([chat("Why?"), chat("How?")], **call)
    assert words(processor, batch) == ["why?", "how?"]
    for given in ({"questions": "sad"}, {"images_kwargs": {"questions": "sad"}}):
        assert words(processor, processor.apply_chat_template(chat("Why?"), processor_kwargs=given, **call)) == ["sad"]


def test_a_long_question_is_cut_on_the_left_for_the_qformer_only(processor):
    inputs = processor(text=f"USER: <image>\n{LONG} ASSISTANT:", images=ASTRONAUT)
    assert len(LONG) == 10_000
    assert inputs["qformer_input_ids"].shape == (1, 256)
    tokenizer = processor.qformer_tokenizer
    uncut = tokenizer(LONG, add_special_tokens=False)["input_ids"]
    kept = inputs["qformer_input_ids"][0].tolist()
    assert kept[1:-1] == uncut[-254:]
    assert (kept[0], kept[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert LONG[:50] in processor.decode(inputs["input_ids"][0])
    assert LONG[-50:] in processor.decode(inputs["input_ids"][0])


# -- faces and attributes


def test_the_attribute_sentence_follows_the_visual(processor):
    inputs = processor(
        text=ASKED.format("<image>\n<image>"),
        images=[ASTRONAUT, HOPPER],
        attributes=[{"gender": "female", "age": ("30-39", 0.2)}, None],
    )
    visual = "<image>" * processor.tokens_per_frame
    expected = f"USER: {visual}\nPerceived attributes of the face: gender female.\n{visual}\nWhy? ASSISTANT:"
    assert processor.decode(inputs["input_ids"][0], skip_special_tokens=False).removeprefix("<s>").strip() == expected
    assert words(processor, inputs)[0] == words(processor, inputs)[1]  # the Q-Former is asked the question alone


def test_face_crops_are_the_face_with_its_margin(processor):
    [visual] = processor.faces.find([processor.load_visual(ASTRONAUT)])
    [box] = processor.faces.boxes(visual)
    crop = visual.frames[0].crop(box)
    inputs = processor(text=ASKED.format("<image>"), images=ASTRONAUT)
    size = inputs["face_pixel_values"].shape[-1]
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet's
    resample = Image.Resampling(processor.image_processor.resample)
    expected = (np.asarray(crop.resize((size, size), resample)) / 255 - mean) / std
    assert inputs["face_pixel_values"][0].permute(1, 2, 0).numpy() == pytest.approx(expected, abs=1e-5)


def test_missing_faces(tiny):
    for missing, mask in (("mask", False), ("full_frame", True)):
        processor = AutoProcessor.from_pretrained(tiny, missing_face=missing)
        assert processor(images=[COFFEE])["face_mask"].tolist() == [mask]
    processor = AutoProcessor.from_pretrained(tiny, missing_face="error")
    with pytest.raises(ValueError, match="missing_face"):
        processor(images=[ASTRONAUT, COFFEE])


# -- saving


PARTS = {
    "faces": {
        "face_choice": "all",
        "face_margin": 0.25,
        "min_face_size": 31,
        "min_face_confidence": 0.77,
        "min_whole_confidence": 0.33,
        "missing_face": "full_frame",
        "full_frame_below": 12,
    },
    "prompt": {
        "question_guide": "latest",
        "use_attributes": False,
        "attribute_template": "Seen: {attributes}",
        "attribute_phrases": {"age": "about {value}"},
        "attribute_threshold": 0.42,
        "default_question": "What is shown?",
        "closed_question": "Which of {labels}?",
        "user_prefix": "Q:",
        "assistant_prefix": "A:",
    },
}
SAMPLING = {"num_frames": 3, "strategy": "fps", "fps": 1.5, "max_frames": 9, "on_error": "partial"}
OTHERS = {"video_token": "<clip>", "chat_template": "{{ messages[0]['content'] }}", "label_temperature": 1.25}
FLAT = {
    **PARTS["faces"],
    **PARTS["prompt"],
    **{"num_frames": 3, "frame_sampling": "fps", "fps": 1.5, "max_frames": 9, "on_video_error": "partial"},
}


def assert_settings(processor):
    assert asdict(processor.faces.settings) == PARTS["faces"]
    assert asdict(processor.prompt) == PARTS["prompt"]
    assert {name: getattr(processor.video_processor, name) for name in SAMPLING} == SAMPLING


def test_every_setting_is_saved_and_read_back(tmp_path):
    processor = tiny_processor(tmp_path, **PARTS, **OTHERS, video_processor=SAMPLING)
    processor.save_pretrained(tmp_path / "saved")
    loaded = EmoLlamaProcessor.from_pretrained(tmp_path / "saved")
    assert_settings(loaded)
    assert {name: getattr(loaded, name) for name in OTHERS} == OTHERS
    loaded.save_pretrained(tmp_path / "again")
    saved, again = [json.loads((tmp_path / name / "processor_config.json").read_text()) for name in ("saved", "again")]
    assert saved == again
    assert {name: saved[name] for name in PARTS} == PARTS
    assert {name: saved["video_processor"][name] for name in SAMPLING} == SAMPLING


def test_settings_are_changed_by_their_names_alone(tiny):
    processor = AutoProcessor.from_pretrained(tiny, **FLAT)
    assert_settings(processor)
    assert not set(FLAT) & set(processor.tokenizer.init_kwargs)
    some = {"face_choice": "all", "min_face_size": 31}
    for given in (some, {"faces": some}, {"faces": FaceSettings(**some)}):
        one = AutoProcessor.from_pretrained(tiny, **given)
        assert one.faces.settings == FaceSettings(**some)
        assert one.prompt == AutoProcessor.from_pretrained(tiny).prompt
        assert not set(given) & set(one.tokenizer.init_kwargs)


def test_a_file_from_before_there_were_parts_is_read(tiny, tmp_path, video):
    folder = tmp_path / "old"
    shutil.copytree(tiny, folder)
    old = json.loads((SAMPLES.parent / "fixtures" / "processor" / "flat_processor_config.json").read_text())
    (folder / "processor_config.json").write_text(json.dumps(old))
    processor = AutoProcessor.from_pretrained(folder)
    faces = PARTS["faces"].keys() & old.keys()
    assert PARTS["faces"].keys() - faces == {"min_whole_confidence"}  # which came later
    assert {name: getattr(processor.faces.settings, name) for name in faces} == {name: old[name] for name in faces}
    then = PARTS["prompt"].keys() & old.keys()
    assert PARTS["prompt"].keys() - then == {"closed_question", "default_question"}  # which came later
    assert {name: getattr(processor.prompt, name) for name in then} == {name: old[name] for name in then}
    videos = processor.video_processor
    assert (videos.strategy, videos.num_frames, videos.on_error) == ("uniform", 6, "raise")
    assert processor.label_temperature == old["label_temperature"] != 1
    pixels = ("size", "do_pad", "image_mean", "image_std", "face_size", "face_mean")
    assert {name: getattr(videos, name) for name in pixels} == {
        name: getattr(processor.image_processor, name) for name in pixels
    }
    assert processor(videos=video)["pixel_values"].shape == (6, 3, 96, 96)
    changed = AutoProcessor.from_pretrained(folder, num_frames=4, face_choice="all")
    assert processor.faces.settings == replace(changed.faces.settings, face_choice="largest")
    assert changed(videos=video)["frame_counts"].tolist() == [4]
    processor.save_pretrained(tmp_path / "new")
    AutoProcessor.from_pretrained(tmp_path / "new").save_pretrained(tmp_path / "again")
    new, again = [json.loads((tmp_path / name / "processor_config.json").read_text()) for name in ("new", "again")]
    assert new == again and not set(FLAT) & set(new)


def test_settings_are_read_while_others_look_for_faces(processor):
    stop = threading.Event()

    def keep_writing():
        while not stop.is_set():
            processor.to_json_string()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        assert all(processor(images=ASTRONAUT)["face_mask"].item() for _ in range(5))
    finally:
        stop.set()
        writer.join()


def test_the_loaded_processor_works_as_the_saved_one(tmp_path, processor):
    processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    call = {"text": ASKED.format("<image>"), "images": ASTRONAUT, "attributes": [{"age": "old"}]}
    equal(processor(**call), loaded(**call))
    detectors = processor.faces.detector.state_dict(), loaded.faces.detector.state_dict()
    equal(*detectors)


def test_without_a_face_detector(tmp_path, processor):
    bare = EmoLlamaProcessor(
        processor.image_processor, processor.tokenizer, processor.qformer_tokenizer, processor.video_processor
    )
    bare.save_pretrained(tmp_path)
    assert EmoLlamaProcessor.from_pretrained(tmp_path).faces.detector is None
    inputs = bare(text=ASKED.format("<image>"), images=ASTRONAUT)
    assert "face_pixel_values" not in inputs and "face_mask" not in inputs


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strategy", "random"),
        ("on_error", "ignore"),
        ("num_frames", 0),
        ("min_face_confidence", 1.5),
        ("face_margin", -1),
        ("face_choice", "tallest"),
        ("missing_face", "skip"),
        ("question_guide", "first"),
        ("attribute_template", "no place"),
        ("attribute_phrases", {"age": "no place"}),
    ],
)
def test_wrong_settings_are_named(tiny, name, value):
    with pytest.raises(ValueError, match=f"`{name}"):
        AutoProcessor.from_pretrained(tiny, **{name: value})
