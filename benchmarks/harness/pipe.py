"""The pipeline, as users open it."""

from functools import cache
from typing import Any


@cache
def pipe(**settings: Any) -> Any:
    """`pipeline("emotion-chat")` with emo-llama-mini, once a process; with settings of the processor."""
    import transformers
    from transformers import AutoProcessor, pipeline

    import emo_llama_hf

    transformers.utils.logging.set_verbosity_error()
    model = emo_llama_hf.default_model()
    if settings:
        return pipeline("emotion-chat", model=model, processor=AutoProcessor.from_pretrained(model, **settings))
    return pipeline("emotion-chat", model=model)
