"""EmoLlama: an implementation of EMO-LLaMA (arXiv 2408.11424) on Hugging Face transformers.

Importing the package registers its classes with transformers' Auto classes and the `emotion-chat` pipeline.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_HERE = Path(__file__).resolve().parent
# In a source checkout these three lie beside this folder, not inside it; nothing else that lies there belongs to it.
for _folder in ("modeling", "processing", "conversion"):
    _init = _HERE.parent / _folder / "__init__.py"
    if not (_HERE / _folder).is_dir() and (_HERE.parent / "setup.py").is_file() and _init.is_file():
        _spec = spec_from_file_location(f"{__name__}.{_folder}", _init, submodule_search_locations=[str(_init.parent)])
        assert _spec is not None and _spec.loader is not None  # the file is there
        globals()[_folder] = _module = sys.modules[_spec.name] = module_from_spec(_spec)
        _spec.loader.exec_module(_module)

from .paused_collector import paused_collector  # noqa: E402

with paused_collector():
    from .chat.pipeline import EmotionChatPipeline
    from .default_model import default_model
    from .load_model import load_model
    from .modeling.configuration_emo_llama import EmoLlamaConfig, EmoLlamaFaceConfig
    from .modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration, EmoLlamaModel
    from .modeling.modeling_face_prior import EmoLlamaFacePriorModel
    from .processing.image_processing_emo_llama import EmoLlamaImageProcessor
    from .processing.processing_emo_llama import EmoLlamaProcessor
    from .processing.video_processing_emo_llama import EmoLlamaVideoProcessor
    from .registration import register

register()

__version__ = "0.1.0"
__all__ = [
    "EmoLlamaConfig",
    "EmoLlamaFaceConfig",
    "EmoLlamaFacePriorModel",
    "EmoLlamaForConditionalGeneration",
    "EmoLlamaImageProcessor",
    "EmoLlamaModel",
    "EmoLlamaProcessor",
    "EmoLlamaVideoProcessor",
    "EmotionChatPipeline",
    "default_model",
    "load_model",
]
