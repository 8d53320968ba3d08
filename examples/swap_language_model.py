"""
Put another language model behind what emo-llama-mini sees, ready for training:

    python examples/swap_language_model.py OUTPUT [LANGUAGE_MODEL]

LANGUAGE_MODEL is a folder or hub id of a decoder-only model; without it a small untrained LLaMA is made. The
projector, which leads to the language model, begins anew.
"""

import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from emo_llama_hf import EmoLlamaConfig, EmoLlamaForConditionalGeneration, EmoLlamaProcessor, default_model

output, language_model = [*sys.argv[1:], None][:2]
torch.manual_seed(0)
mini = EmoLlamaForConditionalGeneration.from_pretrained(default_model())
processor = EmoLlamaProcessor.from_pretrained(default_model())
text_config = mini.config.text_config

# %% The language model's own tokenizer comes with it.
if language_model is not None:
    text_config = AutoConfig.from_pretrained(language_model)
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    processor = EmoLlamaProcessor(
        image_processor=processor.image_processor,
        tokenizer=tokenizer,
        qformer_tokenizer=processor.qformer_tokenizer,
        video_processor=processor.video_processor,
        face_detector=processor.faces.detector,
        faces=processor.faces.settings,
        tokens_per_frame=processor.tokens_per_frame,
    )

# %% A model of the same eyes and another tongue.
kept = {name: getattr(mini.config, name).to_dict() for name in ("vision_config", "qformer_config", "face_config")}
config = EmoLlamaConfig(
    **kept,
    text_config=text_config.to_dict(),
    num_query_tokens=mini.config.num_query_tokens,
    content_tokens=mini.config.content_tokens,
    image_token_id=processor.image_token_id,
)
model = EmoLlamaForConditionalGeneration(config)
for part in ("vision_model", "qformer", "face_prior", "face_info_mining"):
    getattr(model.model, part).load_state_dict(getattr(mini.model, part).state_dict())
model.model.query_tokens.data.copy_(mini.model.query_tokens.data)
if language_model is not None:
    spoken = AutoModelForCausalLM.from_pretrained(language_model)
    spoken.resize_token_embeddings(config.text_config.vocab_size)  # one more token, which stands for what is seen
    model.model.language_model.load_state_dict(spoken.base_model.state_dict())
    model.lm_head.load_state_dict(spoken.get_output_embeddings().state_dict())
model.generation_config = mini.generation_config
model.save_pretrained(output)
processor.save_pretrained(output)
print(f"{output}: {model.num_parameters() / 1e6:.1f} million parameters")
