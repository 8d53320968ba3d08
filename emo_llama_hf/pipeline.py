"""`pipeline("emotion-chat")`: a picture, a clip or a chat in; an answer, the perceived emotion and the faces out."""

import copy
from dataclasses import dataclass

import torch
from PIL import Image
from torch.utils.data import DataLoader
from transformers import GenerationConfig, Pipeline
from transformers.pipelines.pt_utils import PipelineDataset, PipelineIterator
from transformers.utils.chat_template_utils import Chat

from .annotation import annotate_frame
from .labels import check_labels, label_scores
from .processing.face_detection import Face
from .processing.media_kind import is_video
from .processing.visual import Visual

QUESTION = "What is the emotion of the person in the {kind}? Answer with one of these words: {labels}."
NO_VISUAL = "Give a picture, a clip, a dict with `image` or `video`, or chat messages that hold one."
GENERATION_NAMES = {name for name in vars(GenerationConfig()) if not name.startswith("_")}


@dataclass
class Subject:
    """One answer to give: the visuals of a chat, the last one with the face it is about, and what is asked."""

    visuals: list[Visual]
    pixels: list[dict[str, torch.Tensor]]  # of each visual, from `EmoLlamaProcessor.visual_inputs`
    prompt: str
    closed_prompt: str  # asks which of the labels it is, about the last visual
    labels: list[str]
    attributes: dict | bool | None


class EmotionChatPipeline(Pipeline):
    """
    Ask about the perceived emotion in a picture, a clip or a chat.

    ```python
    pipe = pipeline("emotion-chat")
    pipe("photo.jpg")
    pipe("clip.mp4", question="How does the mood change?", labels=["calm", "tense"])
    pipe([{"role": "user", "content": [{"type": "image", "image": "photo.jpg"}, {"type": "text", "text": "Why?"}]}])
    ```
    """

    _load_processor = True
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.processor is None:
            raise ValueError("`processor` is missing: pass an EmoLlamaProcessor, or a model id that has one.")
        if self.processor.face_detector is not None:
            self.processor.face_detector.to(self.device)

    def __call__(self, inputs, **kwargs):
        """
        Args:
            inputs:
                A picture or clip (path, URL, bytes, PIL image, array, list of frames), a dict with `image` or `video`
                and maybe `question` and `attributes`, or chat messages; a list, generator or dataset of these.
            question (`str`, *optional*): any question; by default which of the labels the emotion is.
            labels (`list[str]`, *optional*): label set to score; `config.emotion_labels` by default.
            attributes (`dict` or `False`, *optional*):
                Perceived age, gender and race to write into the prompt instead of the face prior's; `False` for none.
            on_error (`str`, *optional*):
                `"raise"`, or `"return"` for a result that is only `{"error": ...}`. By default a single input raises,
                and of many only the bad one returns an error.
            num_frames, fps: frame sampling of clips, instead of the processor's settings.
            batch_size (`int`, *optional*, defaults to 1): inputs a forward.
            kwargs: generation parameters such as `max_new_tokens`, `do_sample`, `num_beams`, `streamer`.

        Returns:
            `dict`, or a list or iterator of them: `generated_text`; `emotion`, the likeliest label; `scores`, label to
            probability; `faces`, the faces of a picture, or `{"timestamp", "faces"}` of each sampled frame of a clip
            (`box`, `confidence`, `landmarks`, `chosen`, `perceived`); `num_frames`. With `face_choice="all"` every
            input gives a list, one result a person. Ask on by passing the messages back with the answer.
        """
        if isinstance(inputs, (list, tuple)) and not inputs:
            return []
        if "on_error" not in kwargs and "on_error" not in self._preprocess_params:
            chat = isinstance(inputs, (list, tuple)) and isinstance(inputs[0], dict) and "role" in inputs[0]
            many = not chat and not isinstance(inputs, (str, bytes, dict, Image.Image)) and not hasattr(inputs, "ndim")
            kwargs["on_error"] = "return" if many else "raise"
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(
        self, question=None, labels=None, attributes=None, on_error=None, num_frames=None, fps=None, **kwargs
    ):
        preprocess = {
            "attributes": attributes,
            "on_error": on_error,
            "num_frames": num_frames,
            "fps": fps,
        }
        if question is not None:
            if not isinstance(question, str) or not question.strip():
                raise ValueError(f"`question` must be a text that asks something, got {question!r}.")
            preprocess["question"] = question
        if labels is not None:
            preprocess["labels"] = check_labels(labels)
        if on_error not in (None, "raise", "return"):
            raise ValueError(f"`on_error` must be 'raise' or 'return', got {on_error!r}.")
        generate = dict(kwargs.pop("generate_kwargs", None) or {})
        generate |= {name: kwargs.pop(name) for name in list(kwargs) if name in GENERATION_NAMES | {"streamer"}}
        if kwargs:
            raise ValueError(f"Unknown argument {', '.join(f'`{name}`' for name in kwargs)} of the pipeline.")
        preprocess = {name: value for name, value in preprocess.items() if value is not None}
        return preprocess, ({"generate_kwargs": generate} if generate else {}), {}

    def get_iterator(self, inputs, num_workers, batch_size, preprocess_params, forward_params, postprocess_params):
        """As the base class, but batches stay lists: prompts are written, and so padded, after faces were analyzed."""
        dataset_class = PipelineDataset if hasattr(inputs, "__len__") else PipelineIterator
        dataset = dataset_class(inputs, self.preprocess, preprocess_params)
        loader = DataLoader(
            dataset,
            num_workers=num_workers if dataset_class is PipelineDataset else min(num_workers, 1),
            batch_size=batch_size,
            collate_fn=lambda items: {"items": [item for part in items for item in part["items"]]},
        )
        outputs = PipelineIterator(loader, self.forward, forward_params, loader_batch_size=max(batch_size, 2))
        return PipelineIterator(outputs, self.postprocess, postprocess_params)

    def preprocess(
        self,
        inputs,
        question: str | None = None,
        labels: list[str] | None = None,
        attributes: dict | bool | None = None,
        on_error: str = "raise",
        **sampling,
    ) -> dict:
        """Read the visuals, find the faces and render the prompts: a list of [`Subject`]s, or the error."""
        labels = labels or check_labels(self.model.config.emotion_labels)
        try:
            messages, given = self._messages(inputs, question, labels)
            subjects = self._subjects(messages, labels, given if attributes is None else attributes, sampling)
        except (ValueError, TypeError, OSError) as error:
            if on_error == "raise":
                raise
            return {"items": [error]}
        return {"items": [subjects]}

    def _messages(self, inputs, question: str | None, labels: list[str]) -> tuple[list[dict], dict | None]:
        """Chat messages of any input, and the attributes that came with it."""
        if isinstance(inputs, Chat):
            return copy.deepcopy(inputs.messages), None
        attributes = None
        if isinstance(inputs, dict):
            if ("image" in inputs) == ("video" in inputs):
                raise ValueError(f"`inputs` has the keys {sorted(inputs)}: {NO_VISUAL}")
            kind = "video" if "video" in inputs else "image"
            source, attributes = inputs[kind], inputs.get("attributes")
            question = inputs.get("question", question)
        else:
            source, kind = inputs, "video" if is_video(inputs) else "image"
        if question is None:
            question = _closed_question(kind, labels)
        elif not question.strip():
            raise ValueError("`question` is empty: ask something, or leave it out.")
        content = [{"type": kind, kind: source}, {"type": "text", "text": question}]
        return [{"role": "user", "content": content}], attributes

    def _subjects(self, messages: list[dict], labels: list[str], attributes, sampling: dict) -> list[Subject]:
        visuals = []
        for part in _visual_parts(messages):
            source = next((part[key] for key in (part["type"], "url", "path", "base64") if key in part), None)
            if source is None:
                raise ValueError(f"`inputs` has a {part['type']} without a source. {NO_VISUAL}")
            is_clip = part["type"] == "video"
            visuals.append(self.processor.load_visual(source, is_clip, **(sampling if is_clip else {})))
        if not visuals:
            raise ValueError(f"`inputs` shows nothing. {NO_VISUAL}")
        prompt = self._prompt(messages)
        *earlier, last = visuals
        earlier = self.processor.find_faces(earlier, split=False)
        kind = "video" if last.is_video else "image"
        closed = [{"type": kind}, {"type": "text", "text": _closed_question(kind, labels)}]
        closed_prompt = self._prompt([{"role": "user", "content": closed}])
        pixels = [self._pixels(visual) for visual in earlier]
        return [
            Subject([*earlier, visual], [*pixels, self._pixels(visual)], prompt, closed_prompt, labels, attributes)
            for visual in self.processor.find_faces([last])
        ]

    def _prompt(self, messages: list[dict]) -> str:
        return self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    def _pixels(self, visual: Visual) -> dict[str, torch.Tensor]:
        inputs = self.processor.visual_inputs([visual], return_tensors="pt")
        if self.model.config.face_config is None:
            inputs = {name: value for name, value in inputs.items() if not name.startswith("face_")}
        return {name: torch.as_tensor(value) for name, value in inputs.items()}

    def _forward(self, model_inputs: dict, generate_kwargs: dict | None = None) -> dict:
        items = model_inputs["items"]
        subjects = [subject for item in items if not isinstance(item, Exception) for subject in item]
        results = iter(self._answer(subjects, generate_kwargs or {}) if subjects else [])
        return {"items": [item if isinstance(item, Exception) else [next(results) for _ in item] for item in items]}

    def _answer(self, subjects: list[Subject], generate_kwargs: dict) -> list[dict]:
        perceived = [self._perceive(subject) for subject in subjects]
        attributes = [_written(subject, rows) for subject, rows in zip(subjects, perceived, strict=True)]
        text, embeds = self._read(
            [subject.prompt for subject in subjects],
            [s.visuals for s in subjects],
            [s.pixels for s in subjects],
            attributes,
        )
        prompts = [subject.closed_prompt for subject in subjects]
        lasts = [subject.visuals[-1:] for subject in subjects]
        last_attributes = [row[-1:] for row in attributes]
        closed_embeds = embeds
        if any(subject.prompt != subject.closed_prompt for subject in subjects):
            pixels = [subject.pixels[-1:] for subject in subjects]
            _, closed_embeds = self._read(prompts, lasts, pixels, last_attributes)
        scores = label_scores(
            self.model, self.processor, prompts, lasts, closed_embeds, subjects[0].labels, last_attributes
        ).tolist()
        generated = self.model.generate(**text, visual_embeds=torch.cat(embeds), **generate_kwargs)
        answers = generated[:, text["input_ids"].shape[1] :].unflatten(0, (len(subjects), -1))
        return [
            self._result(subject, rows, self.processor.batch_decode(answer, skip_special_tokens=True), score)
            for subject, rows, answer, score in zip(subjects, perceived, answers, scores, strict=True)
        ]

    def _read(self, prompts, visuals, pixels, attributes) -> tuple[dict, list[torch.Tensor]]:
        """Left-padded tokens of prompts, and the visual tokens (tokens, E) that belong to each."""
        flat = [visual for row in visuals for visual in row]
        text = self.processor.text_inputs(
            prompts,
            flat,
            attributes=[values for row in attributes for values in row],
            return_tensors="pt",
            padding=True,
            padding_side="left",
        )
        text = {name: value.to(self.device) for name, value in text.items()}
        together = _together([values for row in pixels for values in row], self.device)
        features = self.model.get_image_features(
            **together,
            qformer_input_ids=text.pop("qformer_input_ids"),
            qformer_attention_mask=text.pop("qformer_attention_mask"),
        ).pooler_output  # F, tokens a frame, E
        frames = [sum(len(visual.frames) for visual in row) for row in visuals]
        return text, [part.flatten(0, 1) for part in features.split(frames)]

    def _perceive(self, subject: Subject) -> list[list[dict | None]]:
        """Perceived age, gender and race, with probability, in each frame of each visual; `None` without a face."""
        silent = [[None] * len(visual.frames) for visual in subject.visuals]
        if subject.attributes is False or not self.processor.use_attributes or self.model.config.face_config is None:
            return silent
        if "face_pixel_values" not in subject.pixels[0]:
            return silent
        together = _together(subject.pixels, self.device)
        analysis = self.model.analyze_faces(together["face_pixel_values"])
        config = self.model.config.face_config
        labels = {"age": config.age_labels, "gender": config.gender_labels, "race": config.race_labels}
        found = [
            {name: dict(zip(names, analysis[name][frame].tolist(), strict=True)) for name, names in labels.items()}
            if seen
            else None
            for frame, seen in enumerate(together["face_mask"].tolist())
        ]
        rows = iter(found)
        return [[next(rows) for _ in visual.frames] for visual in subject.visuals]

    def _result(self, subject: Subject, perceived: list[list[dict | None]], answers: list[str], scores) -> dict:
        last = subject.visuals[-1]
        scored = dict(zip(subject.labels, scores, strict=True))
        frames = [_face_dicts(last, index, _likeliest(perceived[-1][index])) for index in range(len(last.frames))]
        texts = [answer.strip() for answer in answers]
        return {
            "generated_text": texts[0] if len(texts) == 1 else texts,
            "emotion": max(scored, key=scored.__getitem__),
            "scores": scored,
            "faces": [
                {"timestamp": timestamp, "faces": faces}
                for timestamp, faces in zip(last.timestamps, frames, strict=True)
            ]
            if last.is_video
            else frames[0],
            "num_frames": len(last.frames),
        }

    def postprocess(self, model_outputs: dict, **kwargs) -> dict | list[dict]:
        item = model_outputs["items"]
        if isinstance(item, list) and len(item) == 1 and isinstance(item[0], (list, Exception)):
            item = item[0]
        if isinstance(item, Exception):
            return {"error": str(item)}
        return item if self.processor.face_choice == "all" else item[0]

    def annotate(self, source, result: dict) -> Image.Image | list[Image.Image]:
        """
        Draw a result on its picture, or on every sampled frame of its clip.

        Args:
            source: what was given to the pipeline: a picture or a clip.
            result (`dict`): what the pipeline said of it.

        Returns:
            `PIL.Image.Image`, or a list of them for a clip: boxes, landmarks, perceived attributes and emotion.
        """
        if "error" in result:
            raise ValueError(f"`result` is an error, there is nothing to draw: {result['error']}")
        caption = f"{result['emotion']} {result['scores'][result['emotion']]:.0%}"
        if not is_video(source):
            return annotate_frame(self.processor.load_visual(source).frames[0], result["faces"], caption)
        visual = self.processor.load_visual(source, is_video=True, num_frames=result["num_frames"])
        return [
            annotate_frame(frame, seen["faces"], caption)
            for frame, seen in zip(visual.frames, result["faces"], strict=True)
        ]


def _closed_question(kind: str, labels: list[str]) -> str:
    return QUESTION.format(kind=kind, labels=", ".join(labels))


def _visual_parts(messages: list[dict]) -> list[dict]:
    """The image and video parts of all messages, in order."""
    contents = [message["content"] for message in messages if not isinstance(message["content"], str)]
    return [part for content in contents for part in content if part["type"] in ("image", "video")]


def _together(pixels: list[dict[str, torch.Tensor]], device) -> dict[str, torch.Tensor]:
    return {name: torch.cat([values[name] for values in pixels]).to(device) for name in pixels[0]}


def _likeliest(perceived: dict | None) -> dict:
    """Label and probability of each perceived attribute."""
    return {
        name: {"label": (label := max(scores, key=scores.__getitem__)), "score": scores[label]}
        for name, scores in (perceived or {}).items()
    }


def _written(subject: Subject, perceived: list[list[dict | None]]) -> list[dict | None]:
    """The attributes to write about each visual: the mean over its frames, unless the user says what they are."""
    if subject.attributes is False:
        return [None] * len(subject.visuals)
    rows: list[dict | None] = []
    for frames in perceived:
        seen = [frame for frame in frames if frame is not None]
        mean = {
            name: {label: sum(frame[name][label] for frame in seen) / len(seen) for label in scores}
            for name, scores in (seen[0] if seen else {}).items()
        }
        rows.append({name: (value["label"], value["score"]) for name, value in _likeliest(mean).items()})
    if isinstance(subject.attributes, dict):
        rows[-1] = {**(rows[-1] or {}), **subject.attributes}
    return rows


def _face_dicts(visual: Visual, frame: int, perceived: dict) -> list[dict]:
    """The faces of one frame as plain dicts."""
    chosen: Face | None = visual.faces[frame] if visual.faces else None
    detections = visual.detections[frame] if visual.detections else []
    return [
        {
            "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), face.box, strict=True)),
            "confidence": face.confidence,
            "landmarks": [list(point) for point in face.landmarks],
            "chosen": face is chosen,
            **({"perceived": perceived} if face is chosen and perceived else {}),
        }
        for face in detections
    ]
