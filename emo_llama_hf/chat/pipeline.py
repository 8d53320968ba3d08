"""`pipeline("emotion-chat")`: a picture, a clip or a chat in; an answer, the perceived emotion and the faces out."""

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import GeneratorType
from typing import Any, TypeVar, cast

import torch
from jinja2 import TemplateError
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from transformers import Pipeline, ProcessorMixin
from transformers.generation import GenerationMode
from transformers.pipelines.pt_utils import PipelineDataset, PipelineIterator
from transformers.utils.chat_template_utils import is_valid_message

from ..carried_pipeline import carry_pipeline
from ..chat_message import ChatMessage, VisualKind
from ..checkpoint_checks import check_fit
from ..closed_set.label_scores import LabelScores, check_finite, label_scores
from ..closed_set.label_set import check_labels
from ..closed_set.question import closed_prompt, closed_question
from ..input_error import InputError, input_errors
from ..processing.frame_sampling import frames_at
from ..processing.media_limits import MediaLimits, current_limits, media_limits
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.prompts import EMOTION, Attributes
from ..processing.setting_checks import check_mapping, shown
from ..processing.visual import Visual
from .annotation import annotate_frame
from .error_text import error_text
from .generation_arguments import check_generation_arguments
from .questions import as_turns, check_question, fetched, read_input, visual_sources
from .result import EmotionResult, ErrorResult, ResultFace, ResultFrame, as_dicts, faces_of
from .rows import rows_of
from .subject import Subject
from .timeline.timeline import Timeline
from .told_emotion import NO_FACE, course_of, told_emotion

Value = TypeVar("Value")

# What `generate` raises on values that it does not check.
MISTAKEN = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError)


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
    processor: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.processor is None:
            raise InputError("`processor` is missing: pass an EmoLlamaProcessor, or a model id that has one.")
        vars(self.model.config).pop("custom_pipelines", None)  # it says where this class was found
        self.processor = _of_this_code(self.processor)
        check_fit(self.model, self.processor)
        if self.processor.faces.detector is not None:
            self.processor.faces.detector.to(self.device)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """
        Save model and processor with all code, this pipeline's too: where this package is not installed,
        `pipeline("emotion-chat", model=save_directory, trust_remote_code=True)` opens them. `push_to_hub` does so on
        the hub.

        Args:
            save_directory (`str` or `os.PathLike`): a folder; it is made where there is none.
            kwargs: of the model's and the processor's `save_pretrained`.
        """
        Path(save_directory).mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)
        carry_pipeline(Path(save_directory), type(self))

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """
        Answer, and say which of the labels the perceived emotion is.

        Args:
            inputs (`Any`):
                A picture or clip (path, URL, bytes, PIL image, array), a dict with `image` or `video` (which may also
                be a list of frames) and maybe `question` and `attributes`, or chat messages; a list, generator or
                dataset of these.
            question (`str`, *optional*): any question; by default which of the labels the emotion is.
            labels (`list[str]`, *optional*): label set to score; `config.emotion_labels` by default.
            attributes (`dict` or `False`, *optional*):
                Perceived age, gender and race to write into the prompt instead of the face prior's; `False` for none.
                What an input itself says about them, or asks, comes first.
            on_error (`str`, *optional*):
                `"raise"`, or `"return"` for a result that is only `{"error": ...}`. By default a single input raises,
                and of many only the bad one returns an error.
            limits ([`MediaLimits`], *optional*):
                Of what is fetched from URLs (bytes, seconds, redirects, whether private addresses may be asked) and of
                the lengths of prompts and label sets.
            num_frames, fps (*optional*): frame sampling of clips, instead of the processor's settings.
            return_perceived (`bool`, *optional*, defaults to `False`):
                Whether to give `perceived` also of the whole input, the mean over the frames that show a face.
            return_annotated (`bool`, *optional*, defaults to `False`):
                Whether to give `annotated`, what [`~EmotionChatPipeline.annotate`] draws, on the frames that were
                looked at: nothing is fetched or decoded again.
            batch_size (`int`, *optional*, defaults to 1): inputs a forward.
            kwargs: generation parameters such as `max_new_tokens`, `do_sample`, `num_beams`, `streamer`.

        Returns:
            `dict`, or a list or iterator of them:

            - `generated_text`: the answer, a list of them with `num_return_sequences`;
            - `scores`, the probability of each label, and `emotion`, the likeliest one; it is `None` where a face was
              looked for and none was found;
            - `faces`: of a picture, or `{"timestamp", "faces"}` of each sampled frame of a clip: `box`, `confidence`,
              `landmarks`, `chosen` and, of the chosen one, `perceived`;
            - `face_sources`: what each frame's face crop is, `"detected"`, `"full_frame"` or `"none"`;
            - `num_frames`; only for a damaged clip `problem`, what could not be read; only with `return_perceived`
              `perceived`, label and score of age, gender and race; only with `return_annotated` `annotated`.

            With `face_choice="all"` every input gives a list, one result a person. Ask on by passing the messages back
            with the answer.
        """
        if isinstance(inputs, (list, tuple)) and not inputs:
            return []
        inputs = rows_of(inputs)
        if "on_error" not in kwargs and "on_error" not in self._preprocess_params:
            many = isinstance(inputs, (GeneratorType, Dataset))
            many = many or (isinstance(inputs, list) and not is_valid_message(inputs[0]))
            kwargs["on_error"] = "return" if many else "raise"
        inputs = as_turns(inputs)
        if isinstance(inputs, list):
            inputs = [as_turns(one) for one in inputs]
        elif isinstance(inputs, GeneratorType):
            inputs = (as_turns(one) for one in inputs)
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(
        self,
        question: str | None = None,
        labels: list[str] | None = None,
        attributes: Attributes | bool | None = None,
        on_error: str | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        return_perceived: bool | None = None,
        return_annotated: bool | None = None,
        limits: MediaLimits | None = None,
        **kwargs: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if on_error not in (None, "raise", "return"):
            raise InputError(f"`on_error` must be 'raise' or 'return', got {shown(on_error)}.")
        if limits is None:  # of the call: then the pipeline's
            limits = getattr(self, "_preprocess_params", {}).get("limits")
        with media_limits(limits):
            question = None if question is None else check_question(question)
            labels = None if labels is None else check_labels(labels)
        preprocess = {
            "question": question,
            "labels": labels,
            "attributes": attributes,
            "on_error": on_error,
            "num_frames": num_frames,
            "fps": fps,
            "limits": limits,
        }
        given = kwargs.pop("generate_kwargs", None) or {}
        check_mapping("generate_kwargs", given)
        generate = {**given, **kwargs}
        check_generation_arguments(generate)
        both = {"on_error": on_error, "limits": limits, "return_annotated": return_annotated}
        return _given(preprocess), {**generate, **_given(both)}, _given({"return_perceived": return_perceived})

    def run_single(
        self,
        inputs: Any,
        preprocess_params: dict[str, Any],
        forward_params: dict[str, Any],
        postprocess_params: dict[str, Any],
    ) -> Any:
        """As the base class, by the one way that many inputs go too."""
        return next(iter(self.get_iterator([inputs], 0, 1, preprocess_params, forward_params, postprocess_params)))

    def get_iterator(
        self,
        inputs: Any,
        num_workers: int,
        batch_size: int,
        preprocess_params: dict[str, Any],
        forward_params: dict[str, Any],
        postprocess_params: dict[str, Any],
    ) -> PipelineIterator:
        """As the base class, but batches stay lists: prompts are written, and so padded, after faces were analyzed."""
        dataset_class = PipelineDataset if hasattr(inputs, "__len__") else PipelineIterator
        loader = DataLoader(
            dataset_class(inputs, self.preprocess, preprocess_params),
            num_workers=num_workers if dataset_class is PipelineDataset else min(num_workers, 1),
            batch_size=batch_size,
            collate_fn=lambda parts: {"items": [part["items"] for part in parts]},
        )
        # A size of 1 would mean that outputs are not taken apart.
        outputs = PipelineIterator(loader, self.forward, forward_params, loader_batch_size=max(batch_size, 2))
        return PipelineIterator(outputs, self.postprocess, postprocess_params)

    def preprocess(
        self,
        inputs: Any,
        question: str | None = None,
        labels: list[str] | None = None,
        attributes: Attributes | bool | None = None,
        on_error: str = "raise",
        limits: MediaLimits | None = None,
        **sampling: Any,
    ) -> dict[str, list[Subject] | Exception]:
        """
        Read the visuals, find the faces and render the prompts.

        Args:
            inputs (`Any`), question, labels, attributes, on_error, limits: see [`~EmotionChatPipeline.__call__`].
            sampling (`Any`): of clips.

        Returns:
            `dict`: `items`, a list of [`Subject`]s, or the error.
        """
        try:
            with media_limits(limits), fetched(inputs) as source:
                return {"items": self._subjects(source, question, labels, attributes, sampling)}
        except Exception as error:  # whatever it is, it costs no other input its answer
            if on_error == "raise":
                raise
            return {"items": error}

    def _subjects(
        self,
        inputs: Any,
        question: str | None,
        labels: list[str] | None,
        attributes: Attributes | bool | None,
        sampling: dict[str, Any],
    ) -> list[Subject]:
        labels = labels or check_labels(self.model.config.emotion_labels)
        messages, given = read_input(inputs, question, labels, self.processor.prompt.closed_question)
        attributes = attributes if given is None else given
        if attributes is not None and attributes is not False and not isinstance(attributes, dict):
            raise InputError(
                f"`attributes` must be a dict of perceived attributes, or False, got {shown(attributes)}."
            )
        visuals = [
            self.processor.load_visual(source, is_clip, **(sampling if is_clip else {}))
            for source, is_clip in visual_sources(messages)
        ]
        prompt, questions = self._prompt(messages), self.processor.prompt.questions_of(messages)
        # Here a wrong input costs no other one of its batch the answer.
        told = [None] * (len(visuals) - 1) + [attributes or None]
        self.processor.text_inputs([prompt], visuals, questions, told)
        earlier, last = self.processor.faces.find(visuals[:-1], split=False), visuals[-1]
        closed = self._closed_texts(last, labels)
        pixels = [self.pixels_of(visual) for visual in earlier]
        return [
            Subject(
                visuals=[*earlier, visual],
                pixels=[*pixels, self.pixels_of(visual)],
                prompt=prompt,
                questions=questions,
                **closed,
                attributes=attributes,
                perceived=[None] * len(visuals),
                perceived_frames=[None] * len(visual.frames),
            )
            for visual in self.processor.faces.find([last])
        ]

    def _prompt(self, messages: list[ChatMessage]) -> str:
        try:
            prompt: str = self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except (TemplateError, RecursionError) as error:  # the latter of what is nested too deeply
            raise InputError(f"`inputs` is no chat that the chat template can render: {error}") from error
        with input_errors():
            current_limits().check("inputs", prompt, "max_characters")
        return prompt

    def pixels_of(self, visual: Visual) -> dict[str, torch.Tensor]:
        """
        The tensors of a visual that this model reads, see [`EmoLlamaProcessor.visual_inputs`].

        Args:
            visual ([`Visual`]): with its faces found, if there is a detector.
        """
        inputs = self.processor.visual_inputs([visual], return_tensors="pt")
        if self.model.config.face_config is None:
            inputs = _without(inputs, "face_pixel_values", "face_mask")
        return {name: torch.as_tensor(value) for name, value in inputs.items()}

    def _forward(
        self,
        model_inputs: dict[str, list[list[Subject] | Exception]],
        on_error: str = "raise",
        limits: MediaLimits | None = None,
        return_annotated: bool = False,
        **generate_kwargs: Any,
    ) -> dict[str, list[list[EmotionResult] | Exception]]:
        items = model_inputs["items"]
        subjects = [subject for item in items if not isinstance(item, Exception) for subject in item]
        try:
            with media_limits(limits):
                answered = self._answer(subjects, generate_kwargs) if subjects else []
            if return_annotated:
                for subject, result in zip(subjects, answered, strict=True):
                    result["annotated"] = self._drawn(subject.visuals[-1], result)
            results = iter(answered)
        except Exception as error:
            if on_error == "raise":
                raise
            if len(items) == 1:
                return {"items": [error]}
            # Which of them it was shows when each is answered alone.
            alone = [
                self._forward({"items": [item]}, on_error, limits, return_annotated, **generate_kwargs)
                for item in items
            ]
            return {"items": [one["items"][0] for one in alone]}
        return {"items": [item if isinstance(item, Exception) else [next(results) for _ in item] for item in items]}

    def _answer(self, subjects: list[Subject], generate_kwargs: dict[str, Any]) -> list[EmotionResult]:
        subjects, scores, inputs = self.scored(subjects, goes_on=self._goes_on(generate_kwargs))
        generated = self._generate(generate_kwargs, **inputs)
        tokens = getattr(generated, "sequences", generated)[:, inputs["input_ids"].shape[1] :]
        answers = self.processor.batch_decode(tokens, skip_special_tokens=True)
        each = len(answers) // len(subjects)
        return [
            self._result(subject, answers[i * each : (i + 1) * each], scores[i]) for i, subject in enumerate(subjects)
        ]

    def scored(
        self, subjects: list[Subject], goes_on: bool = False
    ) -> tuple[list[Subject], list[list[float]], dict[str, Any]]:
        """
        How probable each label is of each subject; nothing is generated.

        Args:
            subjects (`list[Subject]`): B of them, at least one, with the same label set of L labels.
            goes_on (`bool`, *optional*, defaults to `False`): whether `generate` can go on from a cache.

        Returns:
            `tuple`: the subjects with what is perceived of their faces; of each the L probabilities; and what
            `generate` goes on with, their tokens `input_ids`, `attention_mask` (B, T) and `visual_embeds`, or the
            cache `past_key_values` of all but the last where the closed question was the question.

        Raises:
            `FloatingPointError`: a score is no finite number.
        """
        subjects = self._look_at_faces(subjects)
        attributes = [self._known(subject) for subject in subjects]
        text, embeds, features = self._read(
            [subject.prompt for subject in subjects],
            [question for subject in subjects for question in subject.questions],
            [subject.visuals for subject in subjects],
            [subject.pixels for subject in subjects],
            attributes,
        )
        # Another question reads other tokens of the same vision and face features.
        seen = [
            {
                **_without(subject.pixels[-1], "pixel_values"),
                "vision_features": part[-len(subject.visuals[-1].frames) :],
            }
            for subject, part in zip(subjects, features, strict=True)
        ]
        as_closed = all(subject.asks_closed for subject in subjects)
        closed_embeds = embeds if as_closed else self._closed_embeds(subjects, seen)
        if self.processor.prompt.tells_emotion:
            closed, attributes = self._told(subjects, seen, closed_embeds, attributes)
            text = self._text(
                [subject.prompt for subject in subjects],
                [question for subject in subjects for question in subject.questions],
                [subject.visuals for subject in subjects],
                attributes,
            )
            text = _without(text, "qformer_input_ids", "qformer_attention_mask")
        else:
            closed = self._closed(subjects, attributes, closed_embeds)
        scores = closed.scores.tolist()
        for row in scores:
            check_finite(row, self.model.dtype)
        begun = text["input_ids"][:, :-1] * text["attention_mask"][:, :-1]
        if goes_on and as_closed and torch.equal(begun.cpu(), closed.read_ids):
            return subjects, scores, {**text, "past_key_values": closed.cache}
        return subjects, scores, {**text, "visual_embeds": torch.cat(embeds)}

    def _known(self, subject: Subject) -> Sequence[Attributes | None]:
        """What any prompt tells of the faces of each visual; that the last shows none, to who is told emotions."""
        row = _written(subject)
        if not self.processor.prompt.tells_emotion or self.processor.faces.shown_in(subject.visuals[-1]):
            return row
        return [*row[:-1], {**(row[-1] or {}), EMOTION: NO_FACE}]

    def _closed(
        self, subjects: list[Subject], attributes: Sequence[Sequence[Attributes | None]], embeds: list[torch.Tensor]
    ) -> LabelScores:
        """What is answered to the closed question about the last visual of each, given its visual tokens."""
        return label_scores(
            self.model,
            self.processor,
            [subject.closed_prompt for subject in subjects],
            [subject.visuals[-1:] for subject in subjects],
            embeds,
            subjects[0].labels,
            [row[-1:] for row in attributes],
        )

    def _closed_embeds(self, subjects: list[Subject], seen: list[dict[str, torch.Tensor]]) -> list[torch.Tensor]:
        """Visual tokens (tokens, E) of the last visual of each, which the closed question guides."""
        return self._read(
            [subject.closed_prompt for subject in subjects],
            [subject.closed_question for subject in subjects],
            [subject.visuals[-1:] for subject in subjects],
            [[row] for row in seen],
            [[None] for _ in subjects],  # no visual token depends on what is told
        )[1]

    def _told(
        self,
        subjects: list[Subject],
        seen: list[dict[str, torch.Tensor]],
        closed_embeds: list[torch.Tensor],
        attributes: Sequence[Sequence[Attributes | None]],
    ) -> tuple[LabelScores, list[Sequence[Attributes | None]]]:
        """
        What is answered to the closed question; and the attributes of each subject with what the same question about
        the model's own labels finds, where anything else is asked.
        """
        labels = check_labels(self.model.config.emotion_labels)
        own, embeds = subjects, closed_embeds
        if subjects[0].labels != labels:
            own = [replace(subject, **self._closed_texts(subject.visuals[-1], labels)) for subject in subjects]
            embeds = self._closed_embeds(own, seen)
        found = self._closed(own, attributes, embeds)
        courses = iter(self._courses(own, seen, attributes))
        told: list[Sequence[Attributes | None]] = []
        for subject, scores, row in zip(own, found.scores.tolist(), attributes, strict=True):
            if not self._is_told(subject):
                told.append(row)
                continue
            course = next(courses) if subject.visuals[-1].is_video else None
            emotion = told_emotion(labels, scores, course)
            told.append([*row[:-1], {**(row[-1] or {}), EMOTION: emotion}])
        return (found if own is subjects else self._closed(subjects, told, closed_embeds)), told

    def _closed_texts(self, visual: Visual, labels: list[str]) -> dict[str, Any]:
        """What a [`Subject`] has of the closed question about a label set."""
        kind: VisualKind = "video" if visual.is_video else "image"
        return {
            "labels": labels,
            "closed_prompt": closed_prompt(self.processor, kind, labels),
            "closed_question": closed_question(kind, labels, self.processor.prompt.closed_question),
        }

    def _is_told(self, subject: Subject) -> bool:
        """Whether what the closed question finds is to be told: another one is asked, and about a face."""
        return not subject.asks_closed and bool(self.processor.faces.shown_in(subject.visuals[-1]))

    def _courses(
        self,
        subjects: list[Subject],
        seen: list[dict[str, torch.Tensor]],
        attributes: Sequence[Sequence[Attributes | None]],
    ) -> list[list[str]]:
        """What each clip that is told of shows one after the other, its frames being asked about one by one."""
        frames, rows, told, counts = [], [], [], []
        for subject, row, values in zip(subjects, seen, attributes, strict=True):
            if not (self._is_told(subject) and subject.visuals[-1].is_video):
                continue
            shown = self.processor.faces.shown_in(subject.visuals[-1])
            counts.append(len(shown))
            for index in shown:
                still = subject.visuals[-1].still(index)
                frames.append(replace(subject, visuals=[still], **self._closed_texts(still, subject.labels)))
                rows.append({name: value[index : index + 1] for name, value in row.items() if name != "frame_counts"})
                rows[-1]["frame_counts"] = torch.ones(1, dtype=torch.long)
                told.append(values[-1:])
        if not frames:
            return []
        found = self._closed(frames, told, self._closed_embeds(frames, rows)).scores
        return [course_of(subjects[0].labels, scores) for scores in found.split(counts)]

    def _goes_on(self, arguments: dict[str, Any]) -> bool:
        """Whether `generate` can go on from a cache: with one answer to each prompt, written token by token."""
        config = deepcopy(self.model.generation_config)
        try:
            others = config.update(**arguments)
        except MISTAKEN:
            return False  # `generate` will say so
        return (
            not set(others) - {"streamer"}
            and config.get_generation_mode() in (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE)
            and config.num_return_sequences in (None, 1)
            and config.cache_implementation is None
            and config.guidance_scale in (None, 1)
            and config.use_cache is not False
        )

    def _generate(self, arguments: dict[str, Any], **inputs: torch.Tensor) -> Any:
        """What `generate` gives, whose complaints about the user's arguments name them."""
        try:
            return self.model.generate(**inputs, **arguments)
        except MISTAKEN as error:
            # Objects of the user's (a streamer, a logits processor) may raise whatever they like.
            plain = all(map(_is_plain, arguments.values()))
            if not arguments or not plain or isinstance(error, (torch.OutOfMemoryError, torch.AcceleratorError)):
                raise
            given = ", ".join(f"`{name}`={shown(value)}" for name, value in arguments.items())
            raise InputError(f"`generate` cannot work with {given} ({type(error).__name__}: {error}).") from error

    def _read(
        self,
        prompts: list[str],
        questions: list[str],
        visuals: list[list[Visual]],
        pixels: list[list[dict[str, torch.Tensor]]],
        attributes: Sequence[Sequence[Attributes | None]],
    ) -> tuple[dict[str, torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
        """Left-padded tokens of prompts; the visual tokens (tokens, E) and vision features (F, N + 1, D) of each."""
        text = self._text(prompts, questions, visuals, attributes)
        flat = [values for row in pixels for values in row]
        outputs = self.model.get_image_features(
            **{name: torch.cat([values[name] for values in flat]).to(self.device) for name in flat[0]},
            qformer_input_ids=text.pop("qformer_input_ids"),
            qformer_attention_mask=text.pop("qformer_attention_mask"),
        )
        frames = [sum(len(visual.frames) for visual in row) for row in visuals]
        tokens = [part.flatten(0, 1) for part in outputs.pooler_output.split(frames)]
        return text, tokens, list(outputs.last_hidden_state.split(frames))

    def _text(
        self,
        prompts: list[str],
        questions: list[str],
        visuals: list[list[Visual]],
        attributes: Sequence[Sequence[Attributes | None]],
    ) -> dict[str, torch.Tensor]:
        """Left-padded tokens of prompts, and of the questions that guide their visuals."""
        text = self.processor.text_inputs(
            prompts,
            [visual for row in visuals for visual in row],
            questions,
            [values for row in attributes for values in row],
            return_tensors="pt",
            padding=True,
            padding_side="left",
        )
        return {name: value.to(self.device) for name, value in text.items()}

    def _look_at_faces(self, subjects: list[Subject]) -> list[Subject]:
        """The subjects with what the face prior, which looks once, makes of their face crops instead of the crops."""
        flat = [pixels for subject in subjects for pixels in subject.pixels]
        if not any(pixels["face_mask"].any() for pixels in flat if "face_mask" in pixels):
            faceless = [[_without(row, "face_pixel_values", "face_mask") for row in s.pixels] for s in subjects]
            return [replace(subject, pixels=pixels) for subject, pixels in zip(subjects, faceless, strict=True)]
        crops = torch.cat([pixels["face_pixel_values"] for pixels in flat])
        features = self.model.get_face_features(crops.to(self.device))
        mask = torch.cat([pixels["face_mask"] for pixels in flat])
        counts = torch.cat([pixels["frame_counts"] for pixels in flat])
        of_visuals = iter(self.model.perceived_attributes(features, mask, counts))
        of_frames = self.model.perceived_attributes(features, mask, torch.ones(len(crops), dtype=torch.long))
        looked, end = [], 0
        for subject in subjects:
            rows = []
            for pixels in subject.pixels:
                part = slice(end, end := end + len(pixels["face_mask"]))
                known = {"face_map": features.face_map[part], "face_landmarks": features.landmarks[part]}
                rows.append({**_without(pixels, "face_pixel_values"), **known})
            perceived = [next(of_visuals) for _ in rows]
            if self.processor.prompt.use_attributes and subject.attributes is not False:  # `part` is the last visual's
                subject = replace(subject, perceived=perceived, perceived_frames=of_frames[part])
            looked.append(replace(subject, pixels=rows))
        return looked

    def _result(self, subject: Subject, answers: list[str], scores: list[float]) -> EmotionResult:
        last = subject.visuals[-1]
        scored = dict(zip(subject.labels, scores, strict=True))
        sources = self.processor.faces.sources(last)
        texts = [answer.strip() for answer in answers]
        result: EmotionResult = {
            "generated_text": texts[0] if len(texts) == 1 else texts,
            "emotion": max(scored, key=scored.__getitem__) if self.processor.faces.shown_in(last) else None,
            "scores": scored,
            "faces": faces_of(last, sources, subject.perceived_frames),
            "perceived": as_dicts(subject.perceived[-1]),
            "face_sources": sources,
            "num_frames": len(last.frames),
        }
        if last.problem:
            result["problem"] = last.problem
        return result

    def postprocess(
        self, model_outputs: dict[str, list[EmotionResult] | Exception], return_perceived: bool = False
    ) -> EmotionResult | list[EmotionResult] | ErrorResult:
        """
        What the caller gets of one input.

        Args:
            model_outputs (`dict`): `items`, the result for each person, or the error.
            return_perceived (`bool`, *optional*, defaults to `False`): see [`~EmotionChatPipeline.__call__`].
        """
        results = model_outputs["items"]
        if isinstance(results, Exception):
            return {"error": error_text(results)}
        if not return_perceived:
            results = [cast(EmotionResult, _without(result, "perceived")) for result in results]
        return results if self.processor.faces.settings.face_choice == "all" else results[0]

    def timeline(self, clip: Any, every: float = 0.2, **settings: Any) -> Timeline:
        """
        The perceived emotion of everybody in a clip or a stream over time: a generator of rows.

        Args:
            clip (`Any`), every (`float`, *optional*, defaults to 0.2), settings: see [`Timeline`].

        Raises:
            `InputError`: see [`Timeline`].
        """
        own = {name: self._preprocess_params[name] for name in ("labels", "limits") if name in self._preprocess_params}
        if self._preprocess_params.get("attributes") is False:
            own["attributes"] = False
        return Timeline(self, clip, every, **{**own, **settings})

    def annotate(
        self, inputs: Any, result: EmotionResult | ErrorResult, limits: MediaLimits | None = None
    ) -> Image.Image | list[Image.Image]:
        """
        Draw a result on its picture, or on every sampled frame of its clip; in a chat, on the last one.

        Args:
            inputs (`Any`): what was given to the pipeline.
            result (`dict`): what the pipeline said of it.
            limits ([`MediaLimits`], *optional*): of what is fetched, once more; `return_annotated` of
                [`~EmotionChatPipeline.__call__`] draws what it has fetched.

        Returns:
            `PIL.Image.Image`, or a list of them for a clip: boxes, landmarks, perceived attributes and emotion.

        Raises:
            `InputError`: the result is an error, or of another kind of input.
        """
        if "error" in result:
            raise InputError(f"`result` is an error, there is nothing to draw: {result['error']}")
        with media_limits(limits), fetched(inputs) as source:
            messages, _ = read_input(source, None, [])
            return self._drawn(self._seen(*visual_sources(messages)[-1], result), result)

    def _seen(self, source: Any, is_clip: bool, result: EmotionResult) -> Visual:
        """The frames that a result is of, read again."""
        faces = result["faces"]
        if is_clip != all("timestamp" in frame for frame in faces) and faces:
            raise InputError("`result` is not of `inputs`: one is a clip, the other a picture.")
        if not is_clip or isinstance(source, Visual):
            visual: Visual = self.processor.load_visual(source, is_clip)
            return visual
        times = [frame["timestamp"] for frame in cast(list[ResultFrame], faces)]
        return Visual(frames_at(source, times, self.processor.video_processor.on_error), times, is_video=True)

    def _drawn(self, visual: Visual, result: EmotionResult) -> Image.Image | list[Image.Image]:
        faces, emotion = result["faces"], result["emotion"]
        caption = "no face found" if emotion is None else f"perceived {emotion} {result['scores'][emotion]:.0%}"
        if not visual.is_video:
            return annotate_frame(visual.frames[0], cast(list[ResultFace], faces), caption)
        seen = zip(visual.frames, cast(list[ResultFrame], faces), strict=True)
        return [annotate_frame(frame, at["faces"], caption) for frame, at in seen]


def _of_this_code(processor: ProcessorMixin) -> ProcessorMixin:
    """A processor whose modules are those that are imported here: of a folder, transformers copies each class's."""
    kind, this = type(processor), EmoLlamaProcessor
    # Of a hub repository it copies them once, but makes a class anew that was imported before it asks for it.
    if kind.__name__ != this.__name__ or kind.__module__ == this.__module__:
        return processor
    EmoLlamaProcessor.register_for_auto_class()  # its code is to be saved with it, as `processor`'s was
    with TemporaryDirectory() as folder:
        processor.save_pretrained(folder)
        return cast(ProcessorMixin, EmoLlamaProcessor.from_pretrained(folder, trust_remote_code=True))


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, bytes, list, tuple, dict))


def _without(inputs: Mapping[str, Value], *names: str) -> dict[str, Value]:
    return {name: value for name, value in inputs.items() if name not in names}


def _written(subject: Subject) -> Sequence[Attributes | None]:
    """The attributes to write about each visual: what is perceived, unless the user says what they are."""
    if not isinstance(subject.attributes, dict):
        return subject.perceived
    return [*subject.perceived[:-1], {**(subject.perceived[-1] or {}), **subject.attributes}]
