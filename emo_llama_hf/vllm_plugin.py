"""What vLLM calls in each of its processes, by the entry point `vllm.general_plugins`, before it looks for a model."""

from .modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration

BACKEND = "vllm.model_executor.models.transformers:TransformersMultiModalForCausalLM"
"""vLLM's class for models that show pictures and whose code is transformers'."""


def register() -> None:
    """
    Let vLLM serve an EmoLlama by its transformers backend. Configurations, models and processors it finds by the Auto
    classes, with which importing this package registers them; so no model's own code needs to be trusted.
    """
    from vllm import ModelRegistry  # nobody else has it

    ModelRegistry.register_model(EmoLlamaForConditionalGeneration.__name__, BACKEND)
