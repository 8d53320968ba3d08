"""EmoLlama: an implementation of EMO-LLaMA (arXiv 2408.11424) on Hugging Face transformers.

Importing the package registers its classes with transformers' Auto classes and the `emotion-chat` pipeline.
"""

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent
# In a source checkout `modeling/`, `processing/` and `conversion/` lie beside this folder, not inside it.
if (_CHECKOUT / "setup.py").is_file() and (_CHECKOUT / "modeling").is_dir():
    __path__.append(str(_CHECKOUT))

from .modeling.configuration_emo_llama import EmoLlamaConfig, EmoLlamaFaceConfig  # noqa: E402
from .modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration, EmoLlamaModel  # noqa: E402
from .modeling.modeling_face_prior import EmoLlamaFacePriorModel  # noqa: E402
from .pipeline import EmotionChatPipeline  # noqa: E402
from .processing.image_processing_emo_llama import EmoLlamaImageProcessor  # noqa: E402
from .processing.processing_emo_llama import EmoLlamaProcessor  # noqa: E402
from .registration import default_model, register  # noqa: E402

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
    "EmotionChatPipeline",
    "default_model",
]
