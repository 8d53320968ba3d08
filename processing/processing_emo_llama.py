"""Processor of EmoLlama: pictures, clips and chats to model inputs."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace

from PIL import Image
from transformers import AddedToken, BatchFeature, ProcessorMixin
from transformers.image_utils import ImageInput
from transformers.processing_utils import MultiModalData
from transformers.video_utils import VideoInput

from .face_detection import EmoLlamaFaceDetector, Face
from .face_selection import expand_box, usable_faces
from .face_tracks import FACE_CHOICES, link_faces, select_tracks
from .frame_sampling import ON_ERROR, STRATEGIES, sample_frames
from .image_loading import load_image
from .prompts import (
    ATTRIBUTE_PHRASES,
    ATTRIBUTE_TEMPLATE,
    CHAT_TEMPLATE,
    attribute_sentence,
    check_wording,
    defuse,
    turn_of,
)
from .visual import Visual

MISSING_FACE = ("mask", "full_frame", "error")
QUESTION_GUIDES = ("turn", "latest")
FACE_DETECTOR_FOLDER = "face_detector"


class EmoLlamaProcessor(ProcessorMixin):
    r"""
    Image processor, tokenizer, Q-Former tokenizer and face detector in one. Everything that is chosen, not learned, is
    one of its settings and saved with it.

    Args:
        image_processor ([`EmoLlamaImageProcessor`]): frames and face crops to tensors.
        tokenizer: the language model's tokenizer; `image_token` is added to it where it lacks it.
        qformer_tokenizer: the Q-Former's BERT tokenizer; truncates questions on the left.
        face_detector ([`EmoLlamaFaceDetector`], *optional*): without it no face is looked for.
        chat_template (`str`, *optional*): Jinja template; the prompt of Vicuna v1 by default.
        tokens_per_frame (`int`): visual tokens of a frame, `config.tokens_per_frame` of the model.
        image_token, video_token (`str`): what stands for a picture and for a clip in a text.
        user_prefix, assistant_prefix (`str`):
            What begins a turn in the chat template: between them lies the question that guides a visual.
        question_guide (`str`): `"turn"` (the question of the turn that shows a visual guides it) or `"latest"`.
        num_frames (`int`), frame_sampling (`str`), fps (`float`), max_frames (`int`):
            Frame sampling of clips, see [`sample_frames`].
        on_video_error (`str`):
            What happens to a damaged or cut-off clip: `"raise"` an error, or look at the readable part, `"partial"`.
        face_choice (`str`): `"largest"`, `"most_confident"` or `"all"`, see [`select_tracks`].
        face_margin (`float`): how much a face's box grows before it is cropped, as a part of its sides.
        min_face_size (`float`), min_face_confidence (`float`): smaller or less certain faces are not looked at.
        missing_face (`str`):
            What happens to a frame without a face: `"mask"` (nothing is said about one), `"full_frame"` (the whole
            frame is taken for a face: for pictures that are face crops already) or `"error"`.
        full_frame_below (`int`):
            A frame without a side longer than this many pixels is taken for a face as a whole, whatever is found in
            it: so small a picture is a face crop, and detectors misjudge faces that fill it.
        use_attributes (`bool`): whether perceived age, gender and race may be written into a prompt at all.
        attribute_template (`str`), attribute_phrases (`dict[str, str]`), attribute_threshold (`float`):
            See [`attribute_sentence`].
        label_temperature (`float`):
            What divides the log-likelihoods of a closed set's labels before they become probabilities; found on
            validation data where these are to be calibrated (arXiv 1706.04599).
    """

    def __init__(
        self,
        image_processor=None,
        tokenizer=None,
        qformer_tokenizer=None,
        face_detector: EmoLlamaFaceDetector | None = None,
        chat_template: str | None = None,
        tokens_per_frame: int = 2,
        image_token: str = "<image>",
        video_token: str = "<video>",
        user_prefix: str = "USER:",
        assistant_prefix: str = "ASSISTANT:",
        question_guide: str = "turn",
        num_frames: int = 8,
        frame_sampling: str = "uniform",
        fps: float | None = None,
        max_frames: int | None = None,
        on_video_error: str = "raise",
        face_choice: str = "largest",
        face_margin: float = 0.5,
        min_face_size: float = 20,
        min_face_confidence: float = 0.9,
        missing_face: str = "mask",
        full_frame_below: int = 0,
        use_attributes: bool = True,
        attribute_template: str = ATTRIBUTE_TEMPLATE,
        attribute_phrases: dict[str, str] | None = None,
        attribute_threshold: float = 0.6,
        label_temperature: float = 1.0,
        **kwargs,
    ):
        _check_choice("question_guide", question_guide, QUESTION_GUIDES)
        _check_choice("frame_sampling", frame_sampling, STRATEGIES)
        _check_choice("on_video_error", on_video_error, ON_ERROR)
        _check_choice("face_choice", face_choice, FACE_CHOICES)
        _check_choice("missing_face", missing_face, MISSING_FACE)
        attribute_phrases = dict(ATTRIBUTE_PHRASES if attribute_phrases is None else attribute_phrases)
        check_wording(attribute_template, attribute_phrases)
        if not label_temperature > 0:
            raise ValueError(f"`label_temperature` must be above 0, got {label_temperature}.")
        self.face_detector = face_detector
        self.tokens_per_frame = tokens_per_frame
        self.image_token = image_token
        self.video_token = video_token
        self.user_prefix = user_prefix
        self.assistant_prefix = assistant_prefix
        self.question_guide = question_guide
        self.num_frames = num_frames
        self.frame_sampling = frame_sampling
        self.fps = fps
        self.max_frames = max_frames
        self.on_video_error = on_video_error
        self.face_choice = face_choice
        self.face_margin = face_margin
        self.min_face_size = min_face_size
        self.min_face_confidence = min_face_confidence
        self.missing_face = missing_face
        self.full_frame_below = full_frame_below
        self.use_attributes = use_attributes
        self.attribute_template = attribute_template
        self.attribute_phrases = attribute_phrases
        self.attribute_threshold = attribute_threshold
        self.label_temperature = label_temperature
        super().__init__(image_processor, tokenizer, qformer_tokenizer, chat_template=chat_template or CHAT_TEMPLATE)
        if image_token not in tokenizer.get_vocab():
            tokenizer.add_tokens([AddedToken(image_token, normalized=False, special=True)], special_tokens=True)
        self.image_token_id = tokenizer.convert_tokens_to_ids(image_token)

    @property
    def model_input_names(self) -> list[str]:
        return [
            *self.tokenizer.model_input_names,
            *(self.image_processor.model_input_names if self.face_detector is not None else ["pixel_values"]),
            "frame_counts",
            "qformer_input_ids",
            "qformer_attention_mask",
        ]

    def __call__(
        self,
        images: ImageInput | None = None,
        text: str | list[str] | None = None,
        videos: VideoInput | None = None,
        questions: str | list[str] | None = None,
        attributes: list[dict | None] | None = None,
        **kwargs,
    ) -> BatchFeature:
        """
        Model inputs of texts whose image and video tokens stand for `images` and `videos`, in the order of the texts.

        Args:
            images: pictures, see [`load_image`], or [`Visual`]s; one, a list, or one list a text.
            text (`str` or `list[str]`, *optional*): prompts. Without it only visual inputs are made.
            videos: clips, see [`sample_frames`], or [`Visual`]s; one, a list, or one list a text.
            questions (`str` or `list[str]`, *optional*):
                What guides the Q-Former on each visual; by default what the user says in the turn that shows it.
            attributes (`list[dict | None]`, *optional*):
                Perceived attributes of each visual, see [`attribute_sentence`]; a sentence is written into the prompt.
            kwargs: of the tokenizer, the image processor and the frame sampling (`num_frames`, `fps`), flat or as
                `text_kwargs`, `images_kwargs` and `videos_kwargs`.

        Returns:
            `BatchFeature`: `input_ids`, `attention_mask` (B, T); with visuals also those of
            [`~EmoLlamaProcessor.visual_inputs`] and `qformer_input_ids`, `qformer_attention_mask` (V, L).

        Raises:
            `ValueError`: nothing was given, tokens and visuals differ in number, or a visual has no question.
        """
        if images is None and text is None and videos is None:
            raise ValueError("Give at least one of `images`, `text` and `videos`.")
        if kwargs.pop("audio", None) is not None:
            raise ValueError("`audio` was given, but EmoLlama looks and reads only: leave it out.")
        merged = self._merge_kwargs(
            self.valid_processor_kwargs, tokenizer_init_kwargs=self.tokenizer.init_kwargs, **kwargs
        )
        texts = [text] if isinstance(text, str) else text
        if texts is not None and not (isinstance(texts, list) and all(isinstance(t, str) for t in texts)):
            raise ValueError("`text` must be a string or a list of strings.")
        visuals = self.find_faces(
            [
                self.load_visual(source, is_video, **_sampling_kwargs(merged["videos_kwargs"]))
                for source, is_video in self._in_text_order(texts, images, videos)
            ],
            split=False,
        )
        return_tensors = merged["text_kwargs"].setdefault("return_tensors", "pt")
        data: dict = {}
        if visuals:
            data |= self.visual_inputs(visuals, **{"return_tensors": return_tensors, **merged["images_kwargs"]})
        if texts is not None:
            data |= self.text_inputs(texts, visuals, questions, attributes, **merged["text_kwargs"])
        return BatchFeature(data, tensor_type=return_tensors, skip_tensor_conversion=self.skip_tensor_conversion)

    def load_visual(self, source, is_video: bool = False, **sampling) -> Visual:
        """
        Read a picture or sample a clip's frames.

        Args:
            source: see [`load_image`] and [`sample_frames`]; a [`Visual`] is returned as it is.
            is_video (`bool`, *optional*, defaults to `False`): whether it is a clip.
            sampling: `strategy`, `num_frames`, `fps`, `max_frames`, `on_error` instead of the processor's settings.
        """
        if isinstance(source, Visual):
            return source
        if not is_video:
            return Visual(frames=[load_image(source)], timestamps=[0.0], is_video=False)
        settings = {
            "strategy": self.frame_sampling,
            "num_frames": self.num_frames,
            "fps": self.fps,
            "max_frames": self.max_frames,
            "on_error": self.on_video_error,
        }
        if "strategy" not in sampling:
            if sampling.get("fps") is not None:
                if sampling.get("num_frames") is not None:
                    raise ValueError("`num_frames` and `fps` were both given: sample by one of them.")
                sampling["strategy"] = "fps"
            elif sampling.get("num_frames") is not None and self.frame_sampling == "fps":
                sampling["strategy"] = "uniform"
        has_face = (lambda frames: [bool(faces) for faces in self._detect(frames)]) if self.face_detector else None
        sampled = sample_frames(source, **{**settings, "has_face": has_face, **sampling})
        return Visual(
            frames=sampled.frames,
            timestamps=sampled.timestamps,
            is_video=True,
            strategy=sampled.strategy,
            problem=sampled.problem,
        )

    def find_faces(self, visuals: list[Visual], split: bool = True) -> list[Visual]:
        """
        Detect the faces of all frames and choose whose face each visual shows; where they are known, nothing happens.

        Args:
            visuals (`list[Visual]`): pictures and clips.
            split (`bool`, *optional*, defaults to `True`):
                With `face_choice="all"`, give one visual a person; otherwise the most prominent person is shown.

        Raises:
            `ValueError`: no face in a visual and `missing_face="error"`.
        """
        if self.face_detector is None:
            return visuals
        waiting = [visual for visual in visuals if visual.detections is None]
        detected: Iterator[list[Face]] = iter(self._detect([frame for visual in waiting for frame in visual.frames]))
        found = []
        for index, visual in enumerate(visuals):
            if visual.detections is not None:
                found.append(visual)
                continue
            detections = [next(detected) for _ in visual.frames]
            choice = "largest" if self.face_choice == "all" and not split else self.face_choice
            tracks = select_tracks(link_faces(detections), choice)
            small = all(map(self._is_small, visual.frames))
            if not tracks and self.missing_face == "error" and not small:
                raise ValueError(
                    f"Visual {index} shows no face of at least {self.min_face_size} pixels and confidence "
                    f"{self.min_face_confidence}: give another one, or set `missing_face` to 'mask' or 'full_frame'."
                )
            found += [
                replace(visual, detections=detections, faces=track) for track in tracks or [[None] * len(detections)]
            ]
        return found

    def _is_small(self, frame) -> bool:
        return max(frame.size) <= self.full_frame_below

    def _detect(self, frames) -> list[list[Face]]:
        assert self.face_detector is not None  # the callers asked
        return [
            usable_faces(faces, self.min_face_size, self.min_face_confidence)
            for faces in self.face_detector.detect(frames)
        ]

    def face_sources(self, visual: Visual) -> list[str]:
        """What each frame's crop is: `"detected"` (a face), `"full_frame"` (taken for one) or `"none"`."""
        sources = []
        for frame, face in zip(visual.frames, visual.faces or [None] * len(visual.frames), strict=True):
            whole = self._is_small(frame) or (face is None and self.missing_face == "full_frame")
            sources.append("full_frame" if whole else "none" if face is None else "detected")
        return sources

    def face_boxes(self, visual: Visual) -> list[tuple[int, int, int, int] | None]:
        """The whole-pixel box (x0, y0, x1, y1) that is cropped from each frame, `None` where there is no face."""
        boxes: list[tuple[int, int, int, int] | None] = []
        for frame, face, source in zip(visual.frames, visual.faces or [], self.face_sources(visual), strict=True):
            if source == "full_frame":
                boxes.append((0, 0, *frame.size))
            else:
                boxes.append(None if face is None else expand_box(face.box, self.face_margin, *frame.size))
        return boxes

    def visual_inputs(self, visuals: list[Visual], **kwargs) -> dict:
        """
        `pixel_values` (F, 3, H, W) and `frame_counts` (V,) of the visuals; where faces were looked for, also
        `face_pixel_values` (F, 3, h, w) and `face_mask` (F,).
        """
        frames = [frame for visual in visuals for frame in visual.frames]
        if self.face_detector is not None:
            kwargs["face_boxes"] = [box for visual in visuals for box in self.face_boxes(visual)]
        inputs = dict(self.image_processor(frames, **kwargs))
        inputs["frame_counts"] = [len(visual.frames) for visual in visuals]
        return inputs

    def text_inputs(
        self,
        texts: list[str],
        visuals: list[Visual],
        questions: str | list[str] | None = None,
        attributes: list[dict | None] | None = None,
        **kwargs,
    ) -> dict:
        """`input_ids` and `attention_mask` of prompts, and the Q-Former's of each visual's question."""
        texts = [text.replace(self.video_token, self.image_token) for text in texts]
        inputs: dict = {}
        if visuals:
            guides = self._guiding_questions(texts, visuals, questions)
            qformer = self.qformer_tokenizer(
                guides, padding=True, truncation=True, return_tensors=kwargs.get("return_tensors")
            )
            inputs["qformer_input_ids"] = qformer["input_ids"]
            inputs["qformer_attention_mask"] = qformer["attention_mask"]
        sentences = self._attribute_sentences(visuals, attributes)
        replacements = [
            self.image_token * (len(visual.frames) * self.tokens_per_frame) + (f"\n{sentence}" if sentence else "")
            for visual, sentence in zip(visuals, sentences, strict=True)
        ]
        offsets_wanted = kwargs.pop("return_text_replacement_offsets", False)
        types_wanted = kwargs.pop("return_mm_token_type_ids", False)
        texts, offsets = self.get_text_with_replacements(texts, images_replacements=replacements)
        kwargs.setdefault("padding", len(texts) > 1)
        tokens = self.tokenizer(texts, **{"return_token_type_ids": False, **kwargs})
        self._check_special_mm_tokens(texts, tokens, modalities=["image"])
        if offsets_wanted:
            inputs["text_replacement_offsets"] = offsets
        if types_wanted:
            inputs["mm_token_type_ids"] = self.create_mm_token_type_ids(tokens["input_ids"])
        return {**tokens, **inputs}

    def apply_chat_template(self, conversation, *args, **kwargs):
        """
        Render a chat, and with `tokenize=True` make model inputs of it; see `ProcessorMixin.apply_chat_template`.
        Whatever people say in it stays text: spelled-out placeholders and special tokens are defused.
        """
        return super().apply_chat_template(self._defuse_chat(conversation), *args, **kwargs)

    def defuse(self, text: str) -> str:
        """A text of somebody's, with a space in every placeholder and special token that it spells: it stays text."""
        added = [str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special]
        return defuse(text, [self.image_token, self.video_token, *self.tokenizer.all_special_tokens, *added])

    def _defuse_chat(self, conversation):
        """A copy of a chat, or of a list of chats, in which everything said is defused."""
        if isinstance(conversation, (list, tuple)):
            return [self._defuse_chat(part) for part in conversation]
        if not isinstance(conversation, dict) or "content" not in conversation:
            return conversation
        content = conversation["content"]
        if isinstance(content, str):
            content = self.defuse(content)
        elif isinstance(content, (list, tuple)):
            content = [
                {**part, "text": self.defuse(part["text"])} if isinstance(part, dict) and "text" in part else part
                for part in content
            ]
        return {**conversation, "content": content}

    def to_dict(self) -> dict:
        detector, self.face_detector = self.face_detector, None  # its weights are no settings
        try:
            output = super().to_dict()
        finally:
            self.face_detector = detector
        output["face_detector"] = detector is not None
        return output

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs):
        if self.face_detector is not None:
            self.face_detector.save_pretrained(os.path.join(save_directory, FACE_DETECTOR_FOLDER))
        return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    @classmethod
    def _get_arguments_from_pretrained(cls, pretrained_model_name_or_path, processor_dict=None, **kwargs):
        arguments = super()._get_arguments_from_pretrained(pretrained_model_name_or_path, processor_dict, **kwargs)
        if processor_dict is None or not processor_dict.pop("face_detector", False):
            return arguments
        hub_kwargs = {
            key: kwargs[key]
            for key in ("cache_dir", "force_download", "local_files_only", "token", "revision")
            if key in kwargs
        }
        folder = os.path.join(kwargs.get("subfolder") or "", FACE_DETECTOR_FOLDER)
        source = os.path.join(pretrained_model_name_or_path, folder)
        if os.path.isdir(source):  # as a subfolder it would be taken for part of a PEFT adapter above it
            return [*arguments, EmoLlamaFaceDetector.from_pretrained(source)]
        detector = EmoLlamaFaceDetector.from_pretrained(pretrained_model_name_or_path, subfolder=folder, **hub_kwargs)
        return [*arguments, detector]

    def _in_text_order(self, texts: list[str] | None, images, videos) -> list[tuple[object, bool]]:
        """Sources of the visuals in the order of the texts' placeholders, and whether each is a clip."""
        pictures, clips = _per_text(images), _per_text(videos, clips=True)
        if texts is None:
            return [(source, False) for part in pictures for source in part] + [
                (source, True) for part in clips for source in part
            ]
        for name, token, parts in (("images", self.image_token, pictures), ("videos", self.video_token, clips)):
            wanted, given = [text.count(token) for text in texts], [len(part) for part in parts]
            if (len(given) == len(texts) > 1 and given != wanted) or sum(given) != sum(wanted):
                raise ValueError(
                    f"`text` has {wanted} {token} placeholders, but `{name}` has {given}: give one for each."
                )
        sources = {
            self.image_token: iter([source for part in pictures for source in part]),
            self.video_token: iter([source for part in clips for source in part]),
        }
        return [
            (next(sources[token]), token == self.video_token)
            for text in texts
            for token in re.findall(f"{re.escape(self.image_token)}|{re.escape(self.video_token)}", text)
        ]

    def _guiding_questions(self, texts: list[str], visuals: list[Visual], questions) -> list[str]:
        """The question that guides each visual."""
        if questions is not None:
            questions = [questions] * len(visuals) if isinstance(questions, str) else list(questions)
            if len(questions) != len(visuals):
                raise ValueError(
                    f"`questions` has {len(questions)} entries for {len(visuals)} visuals: give one for each."
                )
        else:
            questions = [question for text in texts for question in self._questions_in(text)]
        for index, question in enumerate(questions):
            if not question.strip():
                raise ValueError(
                    f"Visual {index} has no question: say in `text` or `questions` what is asked about it."
                )
        return questions

    def _questions_in(self, text: str) -> list[str]:
        positions = [match.start() for match in re.finditer(re.escape(self.image_token), text)]
        if self.question_guide == "latest":
            last = text.rfind(self.user_prefix)
            positions = [0 if last < 0 else last + len(self.user_prefix)] * len(positions)
        turns = [turn_of(text, position, self.user_prefix, self.assistant_prefix) for position in positions]
        return [turn.replace(self.image_token, " ").strip() for turn in turns]

    def _attribute_sentences(self, visuals: list[Visual], attributes) -> list[str]:
        if attributes is None or not self.use_attributes:
            return [""] * len(visuals)
        if isinstance(attributes, dict):
            attributes = [attributes]
        if len(attributes) != len(visuals):
            raise ValueError(
                f"`attributes` has {len(attributes)} entries for {len(visuals)} visuals: give one for each."
            )
        wording = (self.attribute_template, self.attribute_phrases, self.attribute_threshold)
        return [self.defuse(attribute_sentence(values, *wording)) for values in attributes]

    def _get_num_multimodal_tokens(self, image_sizes=None, **kwargs) -> MultiModalData:
        """Placeholders of pictures of these sizes (height, width): the same for any size."""
        if image_sizes is None:
            return MultiModalData()
        count = len(image_sizes)
        return MultiModalData(num_image_tokens=[self.tokens_per_frame] * count, num_image_patches=[1] * count)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}.")


def _sampling_kwargs(videos_kwargs: dict) -> dict:
    """What of transformers' `videos_kwargs` concerns frame sampling."""
    names = ("num_frames", "fps")
    return {name: videos_kwargs[name] for name in names if videos_kwargs.get(name) is not None}


def _per_text(sources, clips: bool = False) -> list[list]:
    """`None`, one source, a list of sources or a list of lists as a list of lists; a clip may be a list of frames."""
    if sources is None:
        return []

    def is_one(part) -> bool:
        return not isinstance(part, (list, tuple)) or (clips and bool(part) and all(map(_is_frame, part)))

    if is_one(sources):
        return [[sources]]
    if all(map(is_one, sources)):
        return [list(sources)]
    return [[part] if is_one(part) else list(part) for part in sources]


def _is_frame(value) -> bool:
    return isinstance(value, Image.Image) or getattr(value, "ndim", 0) in (2, 3)


__all__ = ["EmoLlamaProcessor"]
