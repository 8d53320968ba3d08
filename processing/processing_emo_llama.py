"""Processor of EmoLlama: pictures, clips and chats to model inputs."""

import copy
import math
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from transformers import AddedToken, BatchEncoding, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin
from transformers.image_utils import ImageInput

# The top-level name asks for torchvision up to transformers 5.17, the class does not.
from transformers.models.auto.image_processing_auto import AutoImageProcessor
from transformers.processing_utils import MultiModalData, ProcessingKwargs
from transformers.video_processing_utils import BaseVideoProcessor
from transformers.video_utils import VideoInput

from .face_detection import EmoLlamaFaceDetector
from .face_finder import FaceFinder, FaceSettings
from .image_loading import load_image
from .image_processing_emo_llama import EmoLlamaImageProcessor, EmoLlamaImageProcessorKwargs
from .loading_report import loading_problem
from .media_limits import current_limits
from .old_settings import FLAT, PARTS, with_parts
from .prompt_settings import PromptSettings
from .prompts import CHAT_TEMPLATE, Attributes, defuse, defuse_chat
from .setting_checks import check_flag, check_integer, check_mapping, check_number, check_text, check_unicode, refused
from .video_processing_emo_llama import EmoLlamaVideoProcessor, EmoLlamaVideoProcessorKwargs, clip_metadata
from .visual import Visual
from .visual_order import VisualsInOrder, in_text_order

FACE_DETECTOR_FOLDER = "face_detector"
TEMPERATURES = (1e-3, 1e3)  # beyond them all probabilities are 0 and 1, or the same
MOST_TOKENS_PER_FRAME = 10_000

Settings = TypeVar("Settings", FaceSettings, PromptSettings)

TOKENIZING = threading.Lock()  # a fast tokenizer keeps padding and truncation, which all threads share
Expanded: TypeAlias = tuple[list[str], list[list[dict[str, Any]]]]
"""Texts with visual tokens, and where in each what took the place of which placeholder."""


class EmoLlamaImagesKwargs(EmoLlamaImageProcessorKwargs, total=False):  # type: ignore[call-arg]
    """
    questions (`str` or `list[str]`, *optional*):
        What guides the Q-Former on each visual, clips too; by default what the user says in the turn that shows it, or
        where a text asks nothing, the prompt settings' `default_question`.
    attributes (`list[dict | None]`, *optional*):
        Perceived attributes of each visual, see [`attribute_sentence`]; a sentence is written into the prompt.
    """

    questions: Any
    attributes: Any


class EmoLlamaProcessorKwargs(ProcessingKwargs, total=False):  # type: ignore[call-arg]
    """`images_kwargs` and `videos_kwargs` of [`EmoLlamaProcessor`]."""

    images_kwargs: EmoLlamaImagesKwargs
    videos_kwargs: EmoLlamaVideoProcessorKwargs
    _defaults = {"text_kwargs": {"padding": True, "return_token_type_ids": False, "return_tensors": "pt"}}


class EmoLlamaProcessor(ProcessorMixin):
    r"""
    Image processor, video processor, tokenizers and face detector in one. Everything that is chosen, not learned, is
    a setting of one of its parts and saved with it. Calling it gives the model inputs of texts whose image and video
    tokens stand for `images` and `videos`, in the order of the texts:

    - `images` are pictures, see [`load_image`], and `videos` clips, see [`sample_frames`], or both [`Visual`]s; one, a
      list, or one list a text. `text` is a prompt or a list of them; without it only visual inputs are made.
    - `questions` and `attributes` are said for each visual, see [`EmoLlamaImagesKwargs`]; further arguments are those
      of the tokenizer and of the processors of pictures and clips, flat or as `text_kwargs`, `images_kwargs` and
      `videos_kwargs`.
    - The `BatchFeature` has `input_ids`, `attention_mask` (B, T); with visuals also what
      [`~EmoLlamaProcessor.visual_inputs`] gives and `qformer_input_ids`, `qformer_attention_mask` (V, L); with
      `return_metadata=True` also the clips' `video_metadata`.
    - A `ValueError` says that nothing was given, tokens and visuals differ in number, or a question that was given, or
      that a chat asks, is empty.

    Args:
        image_processor ([`EmoLlamaImageProcessor`]): pictures and face crops to tensors.
        tokenizer (`PreTrainedTokenizerBase`):
            The language model's; `image_token` is added to it where it lacks it, and its end token pads where it has
            nothing that does.
        qformer_tokenizer (`PreTrainedTokenizerBase`): the Q-Former's BERT tokenizer; truncates questions on the left.
        video_processor ([`EmoLlamaVideoProcessor`]): samples frames of clips; these and their face crops to tensors.
        face_detector ([`EmoLlamaFaceDetector`], *optional*): without it no face is looked for.
        chat_template (`str`, *optional*): Jinja template; the prompt of Vicuna v1 by default.
        faces ([`FaceSettings`] or `dict`, *optional*): which faces are looked at.
        prompt ([`PromptSettings`] or `dict`, *optional*): how prompts are read and written.
        tokens_per_frame (`int`, *optional*, defaults to 2):
            Visual tokens of a frame, `config.tokens_per_frame` of the model.
        image_token (`str`, *optional*, defaults to `"<image>"`): what stands for a picture in a text.
        video_token (`str`, *optional*, defaults to `"<video>"`): what stands for a clip in a text.
        label_temperature (`float`, *optional*, defaults to 1.0):
            What divides the log-likelihoods of a closed set's labels before they become probabilities; found on
            validation data where these are to be calibrated (arXiv 1706.04599).

    Raises:
        `ValueError`: a setting is none of its choices or out of range.
    """

    valid_processor_kwargs = EmoLlamaProcessorKwargs

    def __init__(
        self,
        image_processor: EmoLlamaImageProcessor,
        tokenizer: PreTrainedTokenizerBase,
        qformer_tokenizer: PreTrainedTokenizerBase,
        video_processor: EmoLlamaVideoProcessor,
        face_detector: EmoLlamaFaceDetector | None = None,
        chat_template: str | None = None,
        faces: FaceSettings | dict[str, Any] | None = None,
        prompt: PromptSettings | dict[str, Any] | None = None,
        tokens_per_frame: int = 2,
        image_token: str = "<image>",
        video_token: str = "<video>",
        label_temperature: float = 1.0,
    ) -> None:
        check_number("label_temperature", label_temperature, *TEMPERATURES)
        check_integer("tokens_per_frame", tokens_per_frame, 1, MOST_TOKENS_PER_FRAME)
        check_text("image_token", image_token)
        check_text("video_token", video_token)
        if image_token == video_token:
            raise ValueError(f"`image_token` and `video_token` must differ, got {image_token!r} for both.")
        named = chat_template if isinstance(chat_template, Mapping) else {"": chat_template}  # there may be several
        for name, template in named.items():
            if template is not None:
                check_text(f"chat_template{name and f'[{name!r}]'}", template)
        for name, part in (("tokenizer", tokenizer), ("qformer_tokenizer", qformer_tokenizer)):
            check_number(f"{name}.model_max_length", part.model_max_length, 1, math.inf)
        self.faces = FaceFinder(face_detector, _settings("faces", FaceSettings, faces))
        self.prompt = _settings("prompt", PromptSettings, prompt)
        self.tokens_per_frame = tokens_per_frame
        self.image_token = image_token
        self.video_token = video_token
        self.label_temperature = label_temperature
        super().__init__(
            image_processor,
            tokenizer,
            qformer_tokenizer,
            video_processor,
            chat_template=chat_template or CHAT_TEMPLATE,
        )
        if image_token not in tokenizer.get_vocab():
            tokenizer.add_tokens([AddedToken(image_token, normalized=False, special=True)], special_tokens=True)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.image_token_id = tokenizer.convert_tokens_to_ids(image_token)

    @property
    def model_input_names(self) -> list[str]:
        """Names of the tensors that a call with texts and visuals gives."""
        return [
            *self.tokenizer.model_input_names,
            *(self.image_processor.model_input_names if self.faces.detector is not None else ["pixel_values"]),
            "frame_counts",
            "qformer_input_ids",
            "qformer_attention_mask",
        ]

    # -- the steps of `ProcessorMixin.__call__`

    def prepare_inputs_layout(
        self,
        images: ImageInput | None = None,
        text: str | list[str] | None = None,
        videos: VideoInput | None = None,
        audio: Any = None,
        **kwargs: Any,
    ) -> tuple[VisualsInOrder | None, list[str] | None, None, Any]:
        """
        Bring pictures and clips into the order of the texts. From here on they are handled as one, since the model
        reads the frames of all visuals from one tensor in this order.

        Raises:
            `ValueError`: `text` is none or too long, or placeholders and visuals differ in number.
        """
        texts = [text] if isinstance(text, str) else text
        if texts is not None and not (isinstance(texts, (list, tuple)) and all(isinstance(t, str) for t in texts)):
            raise ValueError("`text` must be a string or a list of strings.")
        for part in texts or []:
            current_limits().check("text", part, "max_characters")
        sources = in_text_order(texts, images, videos, self.image_token, self.video_token)
        if not sources:
            return None, texts and list(texts), None, audio
        merged = self._merge_kwargs(
            self.valid_processor_kwargs, tokenizer_init_kwargs=self.tokenizer.init_kwargs, **kwargs
        )
        questions = None if texts is None else self._questions_in(texts)
        return VisualsInOrder(sources, questions, merged["videos_kwargs"]), texts and list(texts), None, audio

    def validate_inputs(
        self,
        images: VisualsInOrder | None = None,
        text: list[str] | None = None,
        videos: None = None,
        audio: Any = None,
        **kwargs: Any,
    ) -> None:
        """Raise `ValueError` if there is nothing to process, or something that cannot be."""
        if audio is not None:
            raise ValueError("`audio` was given, but EmoLlama looks and reads only: leave it out.")
        if images is None and text is None:
            raise ValueError("Give at least one of `images`, `text` and `videos`.")

    def _process_images(
        self,
        images: VisualsInOrder,
        questions: str | list[str] | None = None,
        attributes: Sequence[Attributes | None] | Attributes | None = None,
        return_tensors: str | None = None,
        **kwargs: Any,
    ) -> tuple[dict[str, Any], list[str]]:
        """Tensors of all visuals, clips too, and what takes the place of each one's placeholder."""
        clips = sum(is_video for _, is_video in images.sources)
        sampling = {**images.videos_kwargs}
        metadata = iter(clip_metadata(sampling.pop("video_metadata", None), clips))
        visuals = [
            self.load_visual(source, True, metadata=next(metadata), **sampling)
            if is_video
            else self.load_visual(source)
            for source, is_video in images.sources
        ]
        visuals = self.faces.find(visuals, split=False)
        inputs = self.visual_inputs(visuals, return_tensors, kwargs, images.videos_kwargs)
        if clips:
            inputs["video_metadata"] = [visual.metadata for visual in visuals if visual.is_video]
        if images.questions is None:
            return inputs, []
        guides = self._guides(images.questions, questions)
        inputs |= self._qformer_inputs(guides, return_tensors)
        return inputs, self.replacements(visuals, attributes)

    def replace_image_token(self, image_inputs: dict[str, Any], image_idx: int, **kwargs: Any) -> str:
        """The visual tokens of one visual."""
        return self.image_token * (int(image_inputs["frame_counts"][image_idx]) * self.tokens_per_frame)

    def get_text_with_replacements(
        self,
        text: list[str],
        images_replacements: Sequence[str] = (),
        videos_replacements: Sequence[str] = (),
        audio_replacements: Sequence[str] = (),
    ) -> Expanded:
        """Texts with what stands for each visual in place of its placeholder; here pictures and clips part again."""
        tokens = [token for sample in text for token in self._placeholders_in(sample)]
        by_token: dict[str, list[str]] = {self.image_token: [], self.video_token: []}
        for token, replacement in zip(tokens, images_replacements, strict=True):
            by_token[token].append(replacement)
        pictures, clips = by_token[self.image_token], by_token[self.video_token]
        return cast(Expanded, super().get_text_with_replacements(text, pictures, clips))

    # -- the same in parts, for whoever needs the frames, or several texts about the same visuals

    def load_visual(self, source: Any, is_video: bool = False, **kwargs: Any) -> Visual:
        """
        Read a picture or sample a clip's frames.

        Args:
            source: see [`load_image`] and [`sample_frames`]; a [`Visual`] is returned as it is.
            is_video (`bool`, *optional*, defaults to `False`): whether it is a clip.
            kwargs: of [`~EmoLlamaVideoProcessor.load`], instead of the video processor's settings.
        """
        if isinstance(source, Visual):
            return source
        if not is_video:
            return Visual(frames=[load_image(source)], timestamps=[0.0], is_video=False)
        has_face = None if self.faces.detector is None else self.faces.shows_face
        return cast(Visual, self.video_processor.load(source, **{"has_face": has_face, **kwargs}))

    def visual_inputs(
        self,
        visuals: Sequence[Visual],
        return_tensors: str | None = None,
        images_kwargs: dict[str, Any] | None = None,
        videos_kwargs: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """
        Tensors of visuals whose faces were looked for.

        Args:
            visuals (`list[Visual]`): at least one, with `faces` from [`~FaceFinder.find`] if there is a detector.
            return_tensors (`str`, *optional*): `"pt"` or `"np"`; numpy arrays and lists by default.
            images_kwargs (`dict`, *optional*): instead of the image processor's settings, for pictures.
            videos_kwargs (`dict`, *optional*): instead of the video processor's settings, for clips.

        Returns:
            `dict`: `pixel_values` (F, 3, H, W) and `frame_counts` (V,); with a face detector also `face_pixel_values`
            (F, 3, h, w) and `face_mask` (F,).
        """
        rows = []
        for visual in visuals:
            processor, kwargs = self.image_processor, images_kwargs
            if visual.is_video:
                processor, kwargs = self.video_processor.preprocess_frames, videos_kwargs
            boxes = {} if self.faces.detector is None else {"face_boxes": self.faces.boxes(visual)}
            rows.append(processor(visual.frames, **{**(kwargs or {}), **boxes, "return_tensors": "np"}))
        inputs: dict[str, Any] = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        inputs["frame_counts"] = [len(visual.frames) for visual in visuals]
        return dict(BatchFeature(inputs, tensor_type=return_tensors))

    def text_inputs(
        self,
        texts: Sequence[str],
        visuals: Sequence[Visual],
        questions: str | list[str] | None = None,
        attributes: Sequence[Attributes | None] | Attributes | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """
        Tokens of prompts about visuals whose tensors are made elsewhere.

        Args:
            texts (`list[str]`): prompts, with a placeholder for each visual.
            visuals (`list[Visual]`): in the order of the texts.
            questions (`str` or `list[str]`, *optional*): what guides the Q-Former, see [`EmoLlamaImagesKwargs`].
            attributes (`list[dict | None]`, *optional*): perceived attributes of each visual.
            kwargs: of the tokenizer; and `return_text_replacement_offsets`.

        Returns:
            `dict`: `input_ids`, `attention_mask` (B, T); with visuals `qformer_input_ids`, `qformer_attention_mask`
            (V, L).

        Raises:
            `ValueError`:
                A text is not valid Unicode, a question that was given is empty, or `questions` or `attributes` has not
                one entry for each visual.
        """
        for text in texts:
            check_unicode("text", text)
        inputs: dict[str, Any] = {}
        if visuals:
            guides = self._guides(self._questions_in(texts), questions)
            inputs = self._qformer_inputs(guides, kwargs.get("return_tensors"))
        offsets_wanted = kwargs.pop("return_text_replacement_offsets", False)
        expanded, offsets = self.get_text_with_replacements(list(texts), self.replacements(visuals, attributes))
        kwargs.setdefault("padding", len(texts) > 1)
        tokens = self.tokenize(expanded, **{"return_token_type_ids": False, **kwargs})
        self._check_special_mm_tokens(expanded, tokens, modalities=["image"])
        if offsets_wanted:
            inputs["text_replacement_offsets"] = offsets
        return {**tokens, **inputs}

    def tokenize(self, texts: list[str], **kwargs: Any) -> BatchEncoding:
        """
        What the tokenizer gives, whatever other threads ask of it meanwhile.

        Args:
            texts (`list[str]`)
            kwargs: of the tokenizer.
        """
        with TOKENIZING:
            return cast(BatchEncoding, self.tokenizer(texts, **kwargs))

    def replacements(
        self, visuals: Sequence[Visual], attributes: Sequence[Attributes | None] | Attributes | None
    ) -> list[str]:
        """
        What takes the place of each visual's placeholder: its visual tokens and what is told of its face.

        Args:
            visuals (`list[Visual]`)
            attributes (`list[dict | None]`, *optional*): perceived attributes of each visual.
        """
        counts = {"frame_counts": [len(visual.frames) for visual in visuals]}
        tokens = [self.replace_image_token(counts, index) for index in range(len(visuals))]
        if attributes is None:
            return tokens
        rows = [attributes] if isinstance(attributes, Mapping) else list(attributes)
        if len(rows) != len(visuals):
            raise ValueError(f"`attributes` has {len(rows)} entries for {len(visuals)} visuals: give one for each.")
        sentences = [self.defuse(self.prompt.sentence(row)) for row in rows]
        for sentence in sentences:
            current_limits().check("attributes", sentence, "max_characters")
        return [part + (f"\n{sentence}" if sentence else "") for part, sentence in zip(tokens, sentences, strict=True)]

    def _placeholders_in(self, text: str) -> list[str]:
        return re.findall(f"{re.escape(self.image_token)}|{re.escape(self.video_token)}", text)

    def _questions_in(self, texts: Sequence[str]) -> list[str]:
        """What the texts ask about each visual."""
        placeholders = (self.image_token, self.video_token)
        return [question for text in texts for question in self.prompt.questions_in(text, placeholders)]

    def _guides(self, asked: list[str], given: str | list[str] | None) -> list[str]:
        """The question that guides each visual: what was given as `questions`, else what the texts ask, if they do."""
        if given is None:  # a placeholder alone, as vLLM writes it to measure memory
            asked = [question if question.strip() else self.prompt.default_question for question in asked]
        guides = asked if given is None else [given] * len(asked) if isinstance(given, str) else list(given)
        if len(guides) != len(asked):
            raise ValueError(f"`questions` has {len(guides)} entries for {len(asked)} visuals: give one for each.")
        for index, question in enumerate(guides):
            check_unicode("questions", question)
            if not question.strip():
                raise ValueError(
                    f"Visual {index} has no question: say in `text` or `questions` what is asked about it."
                )
        fixed = {"default": self.prompt.default_question, "none": ""}.get(self.prompt.question_guide)
        return guides if fixed is None else [fixed] * len(guides)

    def _qformer_inputs(self, questions: list[str], return_tensors: str | None) -> dict[str, Any]:
        tokens = self.qformer_tokenizer(
            questions,
            padding=True,
            truncation=True,
            split_special_tokens=True,  # what a question spells is text
            return_tensors=return_tensors,
        )
        return {f"qformer_{name}": tokens[name] for name in ("input_ids", "attention_mask")}

    # -- chats

    def apply_chat_template(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Render a chat, and with `tokenize=True` make model inputs of it; see `ProcessorMixin.apply_chat_template`.
        Whatever people say in it stays text: spelled-out placeholders, special tokens and role words are defused, and
        the question that guides a visual is taken from its message.
        """
        given = dict(kwargs.pop("processor_kwargs", None) or {})
        elsewhere = given.keys() | kwargs.keys() | (given.get("images_kwargs") or {}).keys()
        if not {"images", "questions"} & elsewhere:
            chats = conversation if isinstance(conversation[0], (list, tuple)) else [conversation]
            asked = [question for chat in chats for question in self.prompt.questions_of(chat)]
            given |= {"questions": [question or self.prompt.default_question for question in asked]} if asked else {}
        chat = defuse_chat(conversation, self.defuse)
        return super().apply_chat_template(chat, *args, processor_kwargs=given, **kwargs)

    def defuse(self, text: str) -> str:
        """A text of somebody's with a space in every placeholder, special token and role word: it stays text."""
        added = [str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special]
        own = [self.image_token, self.video_token, self.prompt.user_prefix, self.prompt.assistant_prefix]
        return defuse(text, [*own, *self.tokenizer.all_special_tokens, *added])

    # -- files

    def to_dict(self) -> dict[str, Any]:
        """All settings, as they are saved in `processor_config.json`; `face_detector` says whether there is one."""
        settings_only = copy.copy(self)  # not `self`: other threads may be using it
        settings_only.faces = FaceFinder(None, self.faces.settings)  # the detector's weights are no settings
        output = cast(dict[str, Any], super(EmoLlamaProcessor, settings_only).to_dict())
        output["faces"] = asdict(self.faces.settings)
        output["prompt"] = asdict(self.prompt)
        output["face_detector"] = self.faces.detector is not None
        return output

    def save_pretrained(self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any) -> Any:
        """Save the settings, the tokenizers and the face detector; see `ProcessorMixin.save_pretrained`."""
        if self.faces.detector is not None:
            self.faces.detector.save_pretrained(os.path.join(save_directory, FACE_DETECTOR_FOLDER))
        return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    @classmethod
    def get_processor_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        The saved settings, and what is left of the arguments of `from_pretrained`. Settings of parts may be given
        there by their names alone (`face_choice="all"`) or in their part (`faces={"face_choice": "all"}`), and files
        in which they have no parts are read as well.
        """
        with refused("processor_config.json"):
            saved, kwargs = super().get_processor_dict(pretrained_model_name_or_path, **kwargs)
        given = {name: kwargs.pop(name) for name in FLAT & kwargs.keys()}
        for part in ("faces", "prompt"):
            if isinstance(kwargs.get(part), dict):
                given |= kwargs.pop(part)
        return with_parts({**with_parts(saved), **given}), kwargs

    @classmethod
    def _get_arguments_from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        processor_dict: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> list[Any]:
        settings = processor_dict or {}
        name, subfolder = pretrained_model_name_or_path, kwargs.pop("subfolder", "")
        # With a commit, which pipelines give up to transformers 5.17, the hub's subfolders are not found.
        kwargs = {key: value for key, value in kwargs.items() if key not in {*FLAT, *PARTS, "_commit_hash"}}
        tokenizers = []
        for part in ("tokenizer", "qformer_tokenizer"):
            with refused(part):
                tokenizers.append(cls._load_tokenizer_from_pretrained(part, name, subfolder=subfolder, **kwargs))
        arguments = [
            AutoImageProcessor.from_pretrained(name, subfolder=subfolder, **kwargs),
            *tokenizers,
            # Not from its file, since files from before there was a video processor have none.
            EmoLlamaVideoProcessor.from_dict(settings.get("video_processor") or {}, **kwargs),
        ]
        has_detector = settings.pop("face_detector", False)
        check_flag("face_detector", has_detector)
        if not has_detector:
            return arguments
        folder = os.path.join(subfolder, FACE_DETECTOR_FOLDER)
        beside = os.path.join(name, folder)
        if os.path.isdir(beside):  # as a subfolder it would be taken for part of a PEFT adapter above it
            return [*arguments, _detector(beside)]
        hub = ("cache_dir", "force_download", "local_files_only", "token", "revision")
        hub_kwargs = {key: kwargs[key] for key in hub if key in kwargs}
        return [*arguments, _detector(name, subfolder=folder, **hub_kwargs)]

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        """Raise `TypeError` for a part of the wrong class."""
        # Without torchvision, transformers 5.17 compares video processors with a stand-in of this class.
        if argument_name == "video_processor" and isinstance(argument, BaseVideoProcessor):
            return BaseVideoProcessor
        return super().check_argument_for_proper_class(argument_name, argument)

    def _get_num_multimodal_tokens(
        self, image_sizes: Sequence[Sequence[int]] | None = None, **kwargs: Any
    ) -> MultiModalData:
        """
        Placeholders of pictures of these sizes (height, width): the same for any size. vLLM, which asks also for
        `video_sizes`, takes what is not counted for not there: it would give clips tensors of their own.
        """
        if image_sizes is None:
            return MultiModalData()
        count = len(image_sizes)
        return MultiModalData(num_image_tokens=[self.tokens_per_frame] * count, num_image_patches=[1] * count)


def _settings(name: str, kind: type[Settings], given: Any) -> Settings:
    """A part's settings from themselves, their names and values, or `None` for the defaults."""
    if isinstance(given, kind):
        return given
    if given is None:
        return kind()
    check_mapping(name, given)
    known = [field.name for field in fields(cast(Any, kind))]
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ValueError(f"`{name}` has {', '.join(map(repr, unknown))}, but its settings are {', '.join(known)}.")
    return kind(**given)


def _detector(name: str | os.PathLike[str], **kwargs: Any) -> EmoLlamaFaceDetector:
    """A face detector, all of it from its files: one that is random in part finds faces anywhere, or nowhere."""
    detector, report = EmoLlamaFaceDetector.from_pretrained(
        name, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs
    )
    problem = loading_problem(report)
    if problem is None and not all(weights.isfinite().all() for weights in detector.parameters()):
        problem = "the weights have NaN or infinite numbers: get a whole copy"
    if problem is not None:
        raise ValueError(f"`face_detector` cannot be loaded: {problem}.")
    return cast(EmoLlamaFaceDetector, detector)


__all__ = ["EmoLlamaProcessor"]
