"""A LLaMA-VID checkpoint, in all the ways it is published, as a folder that `from_pretrained` loads."""

from dataclasses import replace
from pathlib import Path

from ..meta_model import meta_model
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .conversion_error import ConversionError
from .converted_model import ConvertedModel
from .face_parts import FaceSources, plan_face_parts
from .facexformer_weights import face_config
from .llama_vid_config import PUBLISHED, UnpublishedShapes, emo_llama_config, generation_config
from .llama_vid_files import LlamaVidSource, read_original
from .llama_vid_processor import (
    convert_qformer_tokenizer,
    convert_text_tokenizer,
    convert_visual_processors,
    find_bert,
)
from .llama_vid_weights import plan_llama_vid
from .local_files import read_json
from .provenance import Provenance
from .write_settings import DEFAULT, WriteSettings


def import_llama_vid(
    source: LlamaVidSource,
    output: str | Path,
    *,
    faces: FaceSources | None = None,
    shapes: UnpublishedShapes = PUBLISHED,
    keep_adapter: bool = False,
    settings: WriteSettings = DEFAULT,
) -> str:
    """
    Convert a LLaMA-VID checkpoint.

    Args:
        source (`LlamaVidSource`): the checkpoint and what it needs besides.
        output (`str` or `Path`): the folder to make. It is there only when everything is in it.
        faces (`FaceSources`, *optional*): a face prior and face detector to add; without them the model has none.
        shapes (`UnpublishedShapes`, *optional*): what a checkpoint of unpublished shapes does not tell.
        keep_adapter (`bool`, *optional*, defaults to `False`):
            Write LoRA weights as a PEFT adapter into `output/adapter` instead of merging them.
        settings (`WriteSettings`, *optional*): how to write.

    Returns:
        `str`: the mapping as a table: target, shape, dtype, source file, source tensors.

    Raises:
        `ConversionError`: a file is damaged or holds anything but tensors, a tensor is unknown, missing or of the
            wrong shape, or an argument does not fit the checkpoint.
        `FileNotFoundError`, `FileExistsError`: of a source file, of `output`.
    """
    original = read_original(source)
    if keep_adapter and original.adapter is None:
        raise ConversionError("`keep_adapter` was given, but the source has no LoRA adapter.")
    prior = None if faces is None else faces.read_prior()
    tokenizer = convert_text_tokenizer(original.base)
    bert = find_bert(original, source.bert)
    if shapes.qformer_heads is None:
        shapes = replace(shapes, qformer_heads=read_json(Path(bert) / "config.json").get("num_attention_heads"))
    config = emo_llama_config(
        original.config,
        original.tensors,
        len(tokenizer),
        shapes=shapes,
        face_config=None if prior is None else face_config(prior),
    )
    model = meta_model(config)
    plan = plan_llama_vid(original.tensors, config.vision_config.image_size, config.vision_config.patch_size)
    if original.adapter is not None and not keep_adapter:
        plan = original.adapter.merge_into(plan)
    if prior is not None:
        plan |= plan_face_parts(prior, model)
    pictures, clips = convert_visual_processors(config, original.config)
    processor = EmoLlamaProcessor(
        pictures,
        tokenizer,
        convert_qformer_tokenizer(bert, config.qformer_config),
        clips,
        face_detector=None if faces is None else faces.read_detector(),
        tokens_per_frame=config.tokens_per_frame,
    )
    converted = ConvertedModel(
        model,
        plan,
        processor,
        generation_config(config, tokenizer),
        Provenance.of_original(original),
        original.adapter if keep_adapter else None,
    )
    return converted.write(output, settings)
