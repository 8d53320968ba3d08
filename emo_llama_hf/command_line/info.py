"""The command `emo-llama info`."""

import json

from ..export import ExportedEmoLlama
from ..processing.video_processing_emo_llama import EmoLlamaVideoProcessor
from .model_options import ModelOptions
from .options import AsJson


def info(
    model: ModelOptions,
    as_json: AsJson = False,
) -> int:
    """Describe a model."""
    pipe = model.pipeline()
    config, faces = pipe.model.config, pipe.processor.faces
    face = config.face_config
    dtype = str(pipe.model.dtype).split(".")[-1]
    weights = ("parameters", f"{pipe.model.num_parameters() / 1e6:.1f} million, {dtype}")
    if isinstance(pipe.model, ExportedEmoLlama):
        weights = ("export", f"{pipe.model.format}, {dtype}")
    parts = [
        ("model", model.model or "the one that comes with emo_llama_hf"),
        weights,
        ("language model", f"{config.text_config.model_type}, {config.text_config.vocab_size} tokens"),
        ("vision encoder", f"{config.vision_config.image_size} pixels, {config.tokens_per_frame} tokens a frame"),
        ("face prior", "none" if face is None else f"{face.backbone_config.model_type}, {face.image_size} pixels"),
        ("face detector", "none" if faces.detector is None else f"one face a frame: {faces.settings.face_choice}"),
        ("frames of a clip", _sampling(pipe.processor.video_processor)),
        ("emotions", ", ".join(config.emotion_labels)),
        ("device", str(pipe.device)),
    ]
    if as_json:
        print(json.dumps(dict(parts)))
        return 0
    print("\n".join(f"{name:18} {value}" for name, value in parts))
    return 0


def _sampling(clips: EmoLlamaVideoProcessor) -> str:
    if clips.strategy == "fps":
        return f"{clips.fps} a second" + (f", at most {clips.max_frames}" if clips.max_frames else "")
    return f"{clips.num_frames}, {clips.strategy}"
