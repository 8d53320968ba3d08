"""The two tokenizers of emo-llama-mini, from what it learns to say."""

import io
import re
from collections import Counter
from pathlib import Path

import sentencepiece
from transformers import BertTokenizer, LlamaTokenizer

LETTERS = [chr(code) for code in range(33, 127)]


def language_tokenizer(texts: list[str], vocabulary: int, folder: Path) -> LlamaTokenizer:
    """A sentencepiece BPE tokenizer with byte fallback, as LLaMA's is."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*texts, " ".join(LETTERS)]),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocabulary,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    return LlamaTokenizer.from_pretrained(folder, pad_token="<unk>", legacy=True, add_bos_token=True)


def question_tokenizer(texts: list[str]) -> BertTokenizer:
    """The Q-Former's: a BERT tokenizer over the words that are asked with, and letters for all others."""
    words = Counter(word for text in texts for word in re.findall(r"[a-z]+", text.lower()))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(words), *LETTERS, *(f"##{c}" for c in LETTERS)]
    tokenizer = BertTokenizer(
        vocab={piece: index for index, piece in enumerate(dict.fromkeys(pieces))},
        truncation_side="left",
        model_max_length=256,
    )
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    return tokenizer
