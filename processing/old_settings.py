"""Settings of processors under the names of earlier versions, one flat list; see [`EmoLlamaProcessor`] for today's."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .face_finder import FaceSettings
from .prompt_settings import PromptSettings
from .setting_checks import check_mapping
from .video_processing_emo_llama import SAMPLING

RENAMED = {"frame_sampling": "strategy", "on_video_error": "on_error"}
PARTS = {
    "faces": tuple(field.name for field in fields(FaceSettings)),
    "prompt": tuple(field.name for field in fields(PromptSettings)),
    "video_processor": SAMPLING,
}
FLAT = {name for names in PARTS.values() for name in names} | set(RENAMED)


def with_parts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    A processor's settings with those of its parts moved to these.

    Args:
        settings (`dict`):
            A `processor_config.json` of any version, or arguments of `from_pretrained`; `face_choice` beside `faces`
            takes the place of what stands there.

    Returns:
        `dict`: the same with `faces`, `prompt` and `video_processor` where there is anything for them. The clips of an
        old processor got its pictures' pixels, so its video processor takes over the image processor's settings.

    Raises:
        `ValueError`: a part's settings are no mapping.
    """
    for part in ("image_processor", *PARTS):
        if settings.get(part) is not None:
            check_mapping(part, settings[part])
    parts = {RENAMED.get(name, name): value for name, value in settings.items()}
    if "image_processor" in parts and "video_processor" not in parts:
        not_shared = ("image_processor_type", "auto_map", "processor_class")
        pixels = {name: value for name, value in (parts["image_processor"] or {}).items() if name not in not_shared}
        parts["video_processor"] = pixels
    for part, names in PARTS.items():
        flat = {name: parts.pop(name) for name in names if name in parts}
        if flat:
            parts[part] = {**(parts.get(part) or {}), **flat}
    return parts
