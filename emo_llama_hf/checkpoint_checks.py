"""Whether the parts of a checkpoint belong together: files that were changed, mixed up or cut off are refused."""

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PreTrainedModel
from transformers.utils import GENERATION_CONFIG_NAME

from .input_error import InputError
from .meta_model import meta_model
from .modeling.configuration_emo_llama import EmoLlamaConfig
from .processing.processing_emo_llama import EmoLlamaProcessor

MOST_TIMES = 8  # how many numbers of a model one stored may stand for: 4-bit weights are packed two to a byte


def check_fit(model: PreTrainedModel, processor: EmoLlamaProcessor) -> None:
    """
    Refuse a processor that is not a model's, and token ids that are no ids.

    Args:
        model ([`EmoLlamaForConditionalGeneration`])
        processor ([`EmoLlamaProcessor`])

    Raises:
        `InputError`: the two differ in size of frames, visual tokens or vocabulary, or a tokenizer does not work.
    """
    config = model.config
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = getattr(model.generation_config, name)
        ids = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(token, int) and not isinstance(token, bool) for token in ids):
            raise InputError(f"`{name}` in {GENERATION_CONFIG_NAME} must be a token's number, got {value!r:.80}.")
    side = config.vision_config.image_size
    for part in (processor.image_processor, processor.video_processor):
        size = {name: length for name, length in dict(part.size).items() if length is not None}
        if set(size.values()) != {side}:
            raise InputError(f"`{part.settings_name}.size` must be {side} x {side} pixels as the model's, got {size}.")
    for name in ("tokens_per_frame", "image_token_id"):
        if getattr(processor, name) != getattr(config, name):
            raise InputError(
                f"`{name}` must be {getattr(config, name)}, the model's, but the processor's is "
                f"{getattr(processor, name)}: take the processor that was saved with the model."
            )
    for name, tokenizer, part in (
        ("tokenizer", processor.tokenizer, config.text_config),
        ("qformer_tokenizer", processor.qformer_tokenizer, config.qformer_config),
    ):
        try:
            tokenizer(["Is she happy?", "No."], padding=True, truncation=True)
        except BaseException as error:
            if not is_failure(error):
                raise
            raise InputError(f"`{name}` cannot read a sentence: {type(error).__name__}: {error}") from error
        if part is config.text_config and tokenizer.eos_token is None:
            raise InputError(f"`{name}` has no `eos_token`, with which an answer ends: name one in its settings.")
        beyond = {token: number for token, number in tokenizer.get_vocab().items() if number >= part.vocab_size}
        if beyond:
            token = min(beyond, key=beyond.__getitem__)
            raise InputError(
                f"`{name}` has the token {token!r:.80} with number {beyond[token]}, but the model knows only "
                f"{part.vocab_size}: take the processor that was saved with the model."
            )


def check_size(folder: str | os.PathLike[str], config: EmoLlamaConfig) -> None:
    """
    Refuse a model that is many times as large as its weights, before memory is taken for what none of them fills.

    Args:
        folder (`str` or `os.PathLike`): with `.safetensors` files; without any nothing is checked.
        config ([`EmoLlamaConfig`])

    Raises:
        `InputError`
    """
    stored = 0
    for path in Path(folder).glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            stored += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())
    if not stored:
        return
    # As checkpoints may have them: a tied one by each of its names.
    described = sum(weights.numel() for _, weights in meta_model(config).named_parameters(remove_duplicate=False))
    if described > MOST_TIMES * stored:
        raise InputError(
            f"config.json is of a model of {described:,} parameters, the weights beside it are {stored:,} numbers: "
            "get both from where they belong together."
        )


def broken_file(name: str) -> str:
    """Which file of a model cannot be read even alone, as `" for its config.json"`; empty if none is to blame."""
    readers: list[tuple[str, Callable[[], object]]] = [
        ("config.json", lambda: AutoConfig.from_pretrained(name, trust_remote_code=False)),
        (GENERATION_CONFIG_NAME, lambda: GenerationConfig.from_pretrained(name)),
        ("tokenizer files", lambda: AutoTokenizer.from_pretrained(name, trust_remote_code=False)),
    ]
    if os.path.isdir(name):
        for path in sorted(Path(name).rglob("*.safetensors")):
            readers.append((str(path.relative_to(name)), partial(_open_weights, path)))
    for file, read in readers:
        try:
            read()
        except OSError:  # there may be none, or none of this name
            continue
        except BaseException as error:
            if not is_failure(error):
                raise
            return f" for its {file}"
    return ""


def is_failure(error: BaseException) -> bool:
    """Whether an error is a library's, not somebody who ends the program: tokenizers' panics are no `Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _open_weights(path: Path) -> None:
    with safe_open(path, framework="pt"):
        pass
