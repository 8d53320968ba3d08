"""4-bit and 8-bit weights: of the language model alone, and not mistaken for damaged ones."""

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig, pipeline
from transformers.quantizers.quantizers_utils import should_convert_module

from emo_llama_hf.load_model import NEVER_QUANTIZED, load_weights
from test_bad_input import ASTRONAUT


def test_only_the_language_model_is_quantized(tiny):
    model = AutoModelForImageTextToText.from_pretrained(tiny)
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    quantized = {name for name in linear if should_convert_module(name, NEVER_QUANTIZED)}
    assert quantized == {name for name in linear if name.startswith("model.language_model.")}
    assert quantized and len({name.split(".")[1] for name in linear - quantized if name != "lm_head"}) == 5


@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_weights_are_loaded_and_answer(tiny, bits):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is optional")
    config = BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8, llm_int8_skip_modules=NEVER_QUANTIZED)
    model = load_weights(str(tiny), quantization_config=config, device_map={"": "cpu"})
    names = {name for name, module in model.named_modules() if type(module).__module__.startswith("bitsandbytes")}
    assert names and all(name.startswith("model.language_model.") for name in names)
    exact, processor = load_weights(str(tiny)), AutoProcessor.from_pretrained(tiny)
    scores, expected = (
        pipeline("emotion-chat", model=one, processor=processor, max_new_tokens=1)(ASTRONAUT)["scores"]
        for one in (model, exact)
    )
    assert scores == pytest.approx(expected, abs=0.1) and scores != expected
