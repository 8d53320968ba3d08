"""A tiny untrained EmoLlama with real tokenizers and the real face detector: what the tests run on."""

import io
from pathlib import Path

import sentencepiece
import torch
from transformers import BertTokenizer, GenerationConfig, LlamaTokenizer

from emo_llama_hf import (
    EmoLlamaConfig,
    EmoLlamaForConditionalGeneration,
    EmoLlamaImageProcessor,
    EmoLlamaProcessor,
)
from emo_llama_hf.processing.face_detection import EmoLlamaFaceDetector
from emo_llama_hf.processing.old_settings import with_parts
from emo_llama_hf.processing.video_processing_emo_llama import EmoLlamaVideoProcessor

FACE_DETECTOR = Path(__file__).resolve().parent.parent / "emo_llama_hf" / "default_checkpoint" / "face_detector"
CORPUS = """\
A chat between a curious user and an artificial intelligence assistant.
The assistant gives helpful, detailed, and polite answers to the user's questions.
USER: What is the emotion of the person in the image? ASSISTANT: The person looks happy.
USER: How does the person in the video feel, and why? ASSISTANT: The person seems sad, with a lowered mouth.
USER: Describe the facial expression. ASSISTANT: The raised eyebrows and the open mouth suggest surprise.
USER: Is this person angry, disgusted, afraid, happy, sad, surprised or neutral? ASSISTANT: neutral
Perceived attributes of the face: age 20-29, gender female, race Asian. age 30-39, gender male, race White.
No face is visible in this picture. The expression changes from neutral to happy over the clip.
"""


def tiny_tokenizer(folder: Path) -> LlamaTokenizer:
    """A sentencepiece BPE tokenizer of 420 pieces with byte fallback, as LLaMA's is."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.splitlines()),
        model_writer=model,
        model_type="bpe",
        vocab_size=420,
        byte_fallback=True,
        character_coverage=1.0,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    return LlamaTokenizer.from_pretrained(folder, pad_token="<unk>", legacy=True, add_bos_token=True)


def tiny_qformer_tokenizer() -> BertTokenizer:
    """A BERT tokenizer over the corpus' words and characters, with the `[DEC]` token that LAVIS adds."""
    words = sorted({word.strip(".,?:").lower() for word in CORPUS.split()} - {""})
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{letter}" for letter in letters)]
    vocab = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = BertTokenizer(vocab=vocab, truncation_side="left", model_max_length=256)
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    return tokenizer


def tiny_config(vocab_size: int = 420, qformer_vocab_size: int = 300, face: bool = True, **kwargs) -> EmoLlamaConfig:
    """Every part at a toy size."""
    face_config = {
        "backbone_config": {
            "model_type": "resnet",
            "embedding_size": 8,
            "hidden_sizes": [8, 12, 16, 20],
            "depths": [1, 1, 1, 1],
            "layer_type": "basic",
            "out_features": ["stage1", "stage2", "stage3", "stage4"],
        },
        "decoder_config": {"hidden_size": 32, "mlp_dim": 48, "num_attention_heads": 4, "layer_norm_eps": 1e-5},
        "image_size": 64,
    }
    config = {
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
            "initializer_range": 0.02,
        },
        "qformer_config": {
            "hidden_size": 24,
            "intermediate_size": 40,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "vocab_size": qformer_vocab_size,
            "max_position_embeddings": 256,
        },
        "face_config": face_config if face else None,
        "text_config": {
            "model_type": "llama",
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": vocab_size,
            "max_position_embeddings": 2048,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        "num_query_tokens": 4,
        "image_token_id": vocab_size,
    }
    return EmoLlamaConfig(**{**config, **kwargs})


def tiny_processor(folder: Path, config: EmoLlamaConfig | None = None, **kwargs) -> EmoLlamaProcessor:
    """The whole processor, with the real face detector; settings of its parts by their names alone."""
    config = config or tiny_config()
    side = config.vision_config.image_size
    face_side = config.face_config.image_size if config.face_config is not None else 64
    sizes = {"size": {"height": side, "width": side}, "face_size": {"height": face_side, "width": face_side}}
    settings = with_parts(kwargs)
    return EmoLlamaProcessor(
        image_processor=EmoLlamaImageProcessor(**sizes),
        tokenizer=tiny_tokenizer(folder),
        qformer_tokenizer=tiny_qformer_tokenizer(),
        video_processor=EmoLlamaVideoProcessor(**sizes, **settings.pop("video_processor", {})),
        face_detector=EmoLlamaFaceDetector.from_pretrained(FACE_DETECTOR),
        tokens_per_frame=config.tokens_per_frame,
        **settings,
    )


def build_tiny(folder: Path, open_gate: bool = True, **config) -> Path:
    """Save a tiny model and its processor; with `open_gate` the face prior has a say in the logits."""
    processor = tiny_processor(folder)
    configuration = tiny_config(
        vocab_size=processor.image_token_id, qformer_vocab_size=len(processor.qformer_tokenizer), **config
    )
    torch.manual_seed(0)
    model = EmoLlamaForConditionalGeneration(configuration).eval()
    if open_gate and model.model.face_info_mining is not None:
        for attention in (model.model.face_info_mining.global_attention, model.model.face_info_mining.local_attention):
            torch.nn.init.ones_(attention.gate)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0, max_new_tokens=64)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
