"""The parts of LLaMA-VID's processor: image processor and tokenizers that give the original's pixels and ids."""

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, normalizers
from transformers import BertTokenizer, InstructBlipQFormerConfig, LlamaTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging

from ..modeling.configuration_emo_llama import EmoLlamaConfig
from ..processing.image_processing_emo_llama import EmoLlamaImageProcessor
from ..processing.video_processing_emo_llama import EmoLlamaVideoProcessor
from .conversion_error import ConversionError
from .llama_vid_files import OriginalCheckpoint
from .local_files import read_json

logger = logging.get_logger(__name__)

BERT = "bert-base-uncased"
MAX_QUESTION_TOKENS = 256  # LLaMA-VID's truncation of the Q-Former's question


def convert_visual_processors(
    config: EmoLlamaConfig, original: dict[str, Any]
) -> tuple[EmoLlamaImageProcessor, EmoLlamaVideoProcessor]:
    """
    The processors of a model's pictures and clips; these are padded or cropped as `image_aspect_ratio` of the original
    says.

    Args:
        config ([`EmoLlamaConfig`]): the model's.
        original (`dict[str, Any]`): LLaMA-VID's `config.json`.
    """
    side = config.vision_config.image_size
    square = {"height": side, "width": side}
    settings: dict[str, Any] = {"size": square}
    if original.get("image_aspect_ratio") != "pad":
        settings = {"size": {"shortest_edge": side}, "do_pad": False, "do_center_crop": True, "crop_size": square}
    return EmoLlamaImageProcessor(**settings), EmoLlamaVideoProcessor(**settings)


def convert_text_tokenizer(folder: str | Path) -> PreTrainedTokenizerFast:
    """
    The language model's tokenizer, from `tokenizer.model` (sentencepiece) or `tokenizer.json`.

    LLaMA-VID tokenizes the text on each side of an image on its own, so every piece between images begins with
    sentencepiece's dummy prefix. After `</s>` there is one only where `tokenizer_config.json` says `legacy`.
    transformers' own `LlamaTokenizer` drops the prefix before a space, so the normalizer is set here and the result is
    saved as a plain fast tokenizer.

    Args:
        folder (`str` or `Path`): where the tokenizer's files are.

    Raises:
        `FileNotFoundError`: `folder` has neither file.
        `ConversionError`: they are damaged.
    """
    folder = Path(folder)
    try:
        return _text_tokenizer(folder)
    except (ConversionError, FileNotFoundError):
        raise
    except Exception as error:  # tokenizers and sentencepiece raise all kinds on what is malformed
        raise ConversionError(f"The tokenizer in {folder} cannot be read: {type(error).__name__}: {error}") from error


def _text_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    settings = read_json(folder / "tokenizer_config.json")
    special = read_json(folder / "special_tokens_map.json")
    if (folder / "tokenizer.model").is_file():
        backend = LlamaTokenizer.from_pretrained(folder).backend_tokenizer
    elif (folder / "tokenizer.json").is_file():
        backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        raise FileNotFoundError(f"{folder} has neither tokenizer.model nor tokenizer.json.")
    tokens = {
        name: _content(special.get(name, settings.get(name)))
        for name in ("bos_token", "eos_token", "unk_token", "pad_token")
    }
    if json.loads(backend.to_str())["model"].get("byte_fallback"):  # sentencepiece, as LLaMA's is
        _use_sentencepiece_prefix(backend, bool(settings.get("legacy", True)))
        _mark_special_tokens(backend, settings)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **{name: token for name, token in tokens.items() if token},
        padding_side="left",
        model_max_length=settings.get("model_max_length"),
        clean_up_tokenization_spaces=False,
    )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return tokenizer


def _use_sentencepiece_prefix(backend: Tokenizer, legacy: bool) -> None:
    backend.pre_tokenizer = None
    # Without `legacy`, special tokens are looked for after normalization (see `_mark_special_tokens`), so one prefix
    # serves a whole piece between images; the special tokens themselves get none.
    prefix = normalizers.Prepend("▁") if legacy else normalizers.Replace(Regex(r"\A(?!<s>|</s>|<unk>)"), "▁")
    backend.normalizer = normalizers.Sequence([prefix, normalizers.Replace(" ", "▁")])


def _mark_special_tokens(backend: Tokenizer, settings: dict[str, Any]) -> None:
    """Register `<unk>`, `<s>` and `</s>` anew, with the flags that the kind of tokenizer asks for."""
    legacy = bool(settings.get("legacy", True))
    tokens = []
    for name in ("unk_token", "bos_token", "eos_token"):
        token = settings.get(name)
        content = _content(token)
        # A legacy tokenizer that looks for a token in normalized text misses it where it is glued to a word.
        glued = legacy and isinstance(token, dict) and token.get("normalized", False)
        if glued and name == "eos_token":
            logger.warning(
                f"tokenizer_config.json has `normalized` set for {content!r}: between two words without a space it is "
                f"read as text, not as the end of an answer. Set it to false where that is not meant."
            )
        if content:
            tokens.append(AddedToken(content, normalized=not legacy, special=True, single_word=bool(glued)))
    backend.add_special_tokens(tokens)


def find_bert(original: OriginalCheckpoint, bert: str | Path | None) -> str | Path:
    """
    The Q-Former's vocabulary.

    Args:
        original (`OriginalCheckpoint`): the checkpoint.
        bert (`str` or `Path`, *optional*): folder or hub id.

    Returns:
        `str` or `Path`: `bert`, else a folder `bert-base-uncased` beside the checkpoint, else the hub's.
    """
    beside = (original.folder / BERT, original.base / BERT)
    return bert or next((folder for folder in beside if folder.is_dir()), BERT)


def convert_qformer_tokenizer(source: str | Path, config: InstructBlipQFormerConfig) -> BertTokenizer:
    """
    The Q-Former's BERT tokenizer with the `[DEC]` token that LLaMA-VID adds; questions are truncated on the left.

    Args:
        source (`str` or `Path`): folder with `vocab.txt` or a hub id, `bert-base-uncased` in the original.
        config (`InstructBlipQFormerConfig`): the Q-Former's.

    Raises:
        `ConversionError`: the vocabulary is not the Q-Former's.
    """
    longest = min(MAX_QUESTION_TOKENS, config.max_position_embeddings)
    try:
        tokenizer = BertTokenizer.from_pretrained(source, truncation_side="left", model_max_length=longest)
    except OSError:
        raise
    except Exception as error:  # tokenizers' own type
        raise ConversionError(f"The Q-Former's vocabulary of {source} cannot be read: {error}") from error
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    if len(tokenizer) != config.vocab_size:
        raise ConversionError(
            f"The BERT vocabulary in {source} has {len(tokenizer)} tokens with [DEC], but the Q-Former embeds "
            f"{config.vocab_size}: name the vocabulary that it was trained with."
        )
    return tokenizer


def _content(token: dict[str, Any] | str | None) -> str | None:
    return token["content"] if isinstance(token, dict) else token
