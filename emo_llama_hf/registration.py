"""Registration with transformers' Auto classes and pipeline registry."""

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoProcessor

# The top-level names ask for torchvision (the image processor's up to transformers 5.17), the classes do not.
from transformers.models.auto.image_processing_auto import AutoImageProcessor
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
from transformers.pipelines import PIPELINE_REGISTRY

from .carried_pipeline import TASK
from .chat.pipeline import EmotionChatPipeline
from .default_model import default_model
from .load_model import load_weights
from .modeling.configuration_emo_llama import EmoLlamaConfig, EmoLlamaFaceConfig
from .modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration, EmoLlamaModel
from .modeling.modeling_face_prior import EmoLlamaFacePriorModel
from .processing.image_processing_emo_llama import EmoLlamaImageProcessor
from .processing.processing_emo_llama import EmoLlamaProcessor
from .processing.video_processing_emo_llama import EmoLlamaVideoProcessor


class EmotionChatModel:
    """What `pipeline("emotion-chat", model="folder or hub id")` opens the model with."""

    from_pretrained = staticmethod(load_weights)


def register() -> None:
    """Let `from_pretrained` of the Auto classes and `pipeline` find EmoLlama, and saved folders carry its code."""
    for config, model in ((EmoLlamaConfig, EmoLlamaModel), (EmoLlamaFaceConfig, EmoLlamaFacePriorModel)):
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModel.register(config, model, exist_ok=True)
        config.register_for_auto_class()
        model.register_for_auto_class("AutoModel")
    for auto in (AutoModelForImageTextToText, AutoModelForMultimodalLM):
        auto.register(EmoLlamaConfig, EmoLlamaForConditionalGeneration, exist_ok=True)
    EmoLlamaForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")
    AutoImageProcessor.register(EmoLlamaConfig, image_processor_classes={"pil": EmoLlamaImageProcessor}, exist_ok=True)
    EmoLlamaImageProcessor.register_for_auto_class()
    AutoVideoProcessor.register(EmoLlamaConfig, EmoLlamaVideoProcessor, exist_ok=True)
    EmoLlamaVideoProcessor.register_for_auto_class()
    AutoProcessor.register(EmoLlamaConfig, EmoLlamaProcessor, exist_ok=True)
    EmoLlamaProcessor.register_for_auto_class()
    if TASK not in PIPELINE_REGISTRY.supported_tasks:
        PIPELINE_REGISTRY.register_pipeline(
            TASK,
            pipeline_class=EmotionChatPipeline,
            pt_model=(EmotionChatModel,),
            default={"model": (default_model(), "main")},
            type="multimodal",
        )
