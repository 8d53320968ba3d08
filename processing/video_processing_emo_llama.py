"""Video processor of EmoLlama: clips to the tensors of their sampled frames."""

import sys
from typing import Any

import numpy as np
import torch
from huggingface_hub.dataclasses import validate_typed_dict
from PIL import Image
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature
from transformers.processing_utils import VideosKwargs

# The top-level name is a stand-in where torchvision is missing; this class needs it for what is overridden here only.
from transformers.video_processing_utils import BaseVideoProcessor
from transformers.video_utils import VideoInput, VideoMetadata

from .frame_sampling import HasFace, OnError, SampledFrames, Strategy, check_sampling, sample_frames
from .image_processing_emo_llama import EmoLlamaImageProcessor
from .setting_checks import check_flag, check_integer, refused
from .video_loading import VideoSource
from .visual import Visual
from .visual_order import per_text_clips

MOST_FRAMES = 10_000  # of a clip, unless all are asked for
SAMPLING = ("strategy", "num_frames", "fps", "max_frames", "on_error")


class EmoLlamaVideoProcessorKwargs(VideosKwargs, total=False):  # type: ignore[call-arg]
    """
    strategy (`str`, *optional*, defaults to `"uniform"`):
        `"uniform"`, `"fps"` or `"face"`, see [`sample_frames`] for these and the following.
    max_frames (`int`, *optional*): upper limit for `"fps"`.
    on_error (`str`, *optional*, defaults to `"raise"`):
        What happens to a damaged or cut-off clip: `"raise"` an error, or look at the readable part, `"partial"`.
    video_fps (`float`, *optional*): frames a second of clips given as frames; `video_metadata` may say it too.
    has_face (`Callable`, *optional*): tells of frames whether they show a face, for `"face"`.
    face_size (`dict[str, int]`): height and width of the face crops.
    face_mean, face_std (`list[float]`): normalization of the face crops.
    face_boxes (`list`): for each sampled frame the box to crop, (x0, y0, x1, y1) in pixels, or `None`.
    """

    strategy: Strategy | None
    max_frames: int | None
    on_error: OnError | None
    video_fps: int | float | None
    has_face: Any
    face_size: Any
    face_mean: Any
    face_std: Any
    face_boxes: Any


class EmoLlamaVideoProcessor(EmoLlamaImageProcessor, BaseVideoProcessor):
    """
    Samples frames of clips, decoding little more than those, and makes of each what [`EmoLlamaImageProcessor`] makes
    of a picture. How frames are sampled is among its settings: `strategy`, `num_frames`, `fps`, `max_frames`,
    `on_error`, see [`sample_frames`]; `do_sample_frames=False` takes all frames.

    Calling it with clips (one, a list, or nested lists of anything that [`sample_frames`] takes) returns
    `pixel_values` of shape `(F, 3, H, W)`, all frames of all clips, and `frame_counts` `(V,)`, the frames of each;
    with `face_boxes`, also `face_pixel_values` `(F, 3, h, w)` and `face_mask` `(F,)`; with `return_metadata=True`,
    `video_metadata`, a list of `VideoMetadata`.

    Raises:
        `ValueError`: a setting is none of its choices or out of range.
    """

    strategy: Strategy = "uniform"
    num_frames = 8
    fps = None
    max_frames = None
    on_error: OnError = "raise"
    do_sample_frames = True
    _auto_class = None  # not the image processor's
    valid_kwargs = EmoLlamaVideoProcessorKwargs
    model_input_names = ["pixel_values", "frame_counts"]
    settings_name = "video_processor"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with refused(self.settings_name):
            check_sampling(**{name: getattr(self, name) for name in SAMPLING})
            check_integer("num_frames", self.num_frames, 1, MOST_FRAMES)
            check_flag("do_sample_frames", self.do_sample_frames)
            check_flag("return_metadata", self.return_metadata)

    def preprocess(self, videos: VideoInput, **kwargs: Any) -> BatchFeature:
        """
        Clips to tensors; see the class.

        Args:
            videos (`VideoInput`): one clip, a list, or nested lists of anything that [`sample_frames`] takes.
            kwargs: see [`EmoLlamaVideoProcessorKwargs`], instead of the settings.

        Raises:
            `UnreadableMediaError`: a clip cannot be read; see [`sample_frames`] for this and other errors.
        """
        validate_typed_dict(self.valid_kwargs, kwargs)
        clips = [clip for part in per_text_clips(videos) for clip in part]
        metadata = clip_metadata(kwargs.pop("video_metadata", None), len(clips))
        return_metadata = kwargs.pop("return_metadata", None) or self.return_metadata
        visuals = [self.load(clip, known, **kwargs) for clip, known in zip(clips, metadata, strict=True)]
        inputs = self.preprocess_frames([frame for visual in visuals for frame in visual.frames], **kwargs)
        counts = {"frame_counts": [len(visual.frames) for visual in visuals]}
        inputs.update(BatchFeature(counts, tensor_type=kwargs.get("return_tensors")))
        if return_metadata:
            inputs["video_metadata"] = [visual.metadata for visual in visuals]
        return inputs

    def load(
        self,
        video: VideoSource,
        metadata: VideoMetadata | None = None,
        has_face: HasFace | None = None,
        video_fps: float | None = None,
        do_sample_frames: bool | None = None,
        **kwargs: Any,
    ) -> Visual:
        """
        Sample the frames of one clip.

        Args:
            video (`VideoSource`): see [`sample_frames`].
            metadata (`VideoMetadata`, *optional*):
                What is known of the clip; its `fps` counts for a clip given as frames, files carry their own times.
            has_face (`Callable`, *optional*): tells of frames whether they show a face, for `strategy="face"`.
            video_fps (`float`, *optional*): frames a second of a clip given as frames.
            do_sample_frames (`bool`, *optional*): `False` takes all frames; the setting by default.
            kwargs:
                `strategy`, `num_frames`, `fps`, `max_frames`, `on_error` instead of the settings. `fps` alone means
                `strategy="fps"`, and `num_frames` alone that there is no rate. Others are left unused.

        Raises:
            `UnreadableMediaError`: it cannot be read; see [`sample_frames`] for this and other errors.
            `ValueError`: both `num_frames` and `fps` were given.
        """
        options = {name: getattr(self, name) for name in SAMPLING}
        if not (self.do_sample_frames if do_sample_frames is None else do_sample_frames):
            options |= {"strategy": "uniform", "num_frames": sys.maxsize}  # a clip with fewer gives each once
        else:
            given = {name: kwargs[name] for name in SAMPLING if kwargs.get(name) is not None}
            if "strategy" not in given and "fps" in given:
                if "num_frames" in given:
                    raise ValueError("`num_frames` and `fps` were both given: sample by one of them.")
                given["strategy"] = "fps"
            elif "strategy" not in given and "num_frames" in given and self.strategy == "fps":
                given["strategy"] = "uniform"
            options |= given
        if video_fps is None and metadata is not None and not _is_encoded(video):
            video_fps = metadata.fps
        sampled = sample_frames(video, **options, has_face=has_face, video_fps=video_fps)
        return Visual(
            frames=sampled.frames,
            timestamps=sampled.timestamps,
            is_video=True,
            strategy=sampled.strategy,
            problem=sampled.problem,
            metadata=_metadata(sampled),
        )

    def preprocess_frames(self, frames: list[Image.Image], **kwargs: Any) -> BatchFeature:
        """`pixel_values` (F, 3, H, W) of frames that were sampled; with `face_boxes`, what the class says."""
        # Not the next class's `preprocess`, which takes clips.
        return BaseImageProcessor.preprocess(self, frames, **kwargs)


def clip_metadata(given: Any, count: int) -> list[VideoMetadata | None]:
    """
    What is known of each clip.

    Args:
        given (*optional*): a `VideoMetadata` or `dict`, a list of them, or a list of lists.
        count (`int`): the number of clips.

    Raises:
        `ValueError`: it is for another number of clips.
    """
    if given is None:
        return [None] * count
    flat = given if isinstance(given, (list, tuple)) else [given]
    flat = [entry for part in flat for entry in (part if isinstance(part, (list, tuple)) else [part])]
    if len(flat) != count:
        raise ValueError(f"`video_metadata` has {len(flat)} entries for {count} clips: give one for each.")
    return [VideoMetadata(**{"total_num_frames": 0, **entry}) if isinstance(entry, dict) else entry for entry in flat]


def _is_encoded(video: VideoSource) -> bool:
    """Whether a clip is a file of any kind, not frames."""
    return not isinstance(video, (list, tuple, np.ndarray, torch.Tensor, Image.Image))


def _metadata(sampled: SampledFrames) -> VideoMetadata:
    width, height = sampled.frames[0].size
    return VideoMetadata(
        total_num_frames=sampled.total,
        fps=sampled.total / sampled.duration if sampled.duration else None,
        width=width,
        height=height,
        duration=sampled.duration,
        video_backend=sampled.backend,
        frames_indices=sampled.indices,
    )


__all__ = ["EmoLlamaVideoProcessor"]
