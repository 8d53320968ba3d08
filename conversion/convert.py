"""Original checkpoints to one folder that `from_pretrained` loads, and back."""

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi
from transformers import GenerationConfig
from transformers.dynamic_module_utils import custom_object_save

from ..default_model import default_model
from ..input_error import InputError
from ..modeling.configuration_emo_llama import EmoLlamaConfig
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..processing.face_detection import EmoLlamaFaceDetector
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .checkpoint_files import Checkpoint, read_checkpoint, weight_files
from .conversion_card import model_card
from .face_parts import plan_face_parts
from .facexformer_weights import KEY, face_config
from .llama_vid_config import emo_llama_config, generation_config
from .llama_vid_export import export_llama_vid
from .llama_vid_files import FACE_X_FORMER_FILE, find_vision, local_file, local_folder, read_json, read_original
from .llama_vid_processor import (
    convert_qformer_tokenizer,
    convert_text_tokenizer,
    convert_visual_processors,
    find_bert,
)
from .llama_vid_weights import plan_llama_vid
from .lora_adapter import LoraAdapter
from .mtcnn_weights import convert_mtcnn
from .output_folder import new_folder
from .plan import ConversionError, Plan, Planner, check_plan, table
from .provenance import Provenance
from .safetensors_writer import write_safetensors

ADAPTER_FOLDER = "adapter"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass
class Conversion:
    """What will be written: `model` is on the meta device, `plan` fills it."""

    model: EmoLlamaForConditionalGeneration
    plan: Plan
    processor: EmoLlamaProcessor
    generation_config: GenerationConfig
    origin: Provenance
    adapter: LoraAdapter | None = None


def convert(
    source: str | Path,
    output: str | Path,
    *,
    to: str = "emo-llama",
    base: str | Path | None = None,
    vision: str | Path | None = None,
    qformer: str | Path | None = None,
    bert: str | Path | None = None,
    facexformer: str | Path | None = None,
    mtcnn: str | Path | None = None,
    keep_adapter: bool = False,
    image_size: int | None = None,
    vision_heads: int | None = None,
    qformer_heads: int | None = None,
    dtype: str | None = None,
    max_shard_size: str | int = "5GB",
    dry_run: bool = False,
    push_to_hub: str | None = None,
    progress: bool = True,
) -> str:
    """
    Convert a LLaMA-VID checkpoint, add a face prior to a converted one, or write a converted one back.

    Args:
        source: LLaMA-VID's folder or hub id (complete, a stage-1 `mm_projector.bin`, or LoRA output), or a converted
            folder, to add `facexformer` to or to write back.
        output: the folder to make. It is there only when everything is in it.
        to (`str`): `"emo-llama"`, or `"llama-vid"` for the original's format.
        base: folder or hub id of the model that a stage-1 or LoRA `source` was trained on.
        vision: LAVIS' `eva_vit_g.pth`; by default searched for beside the checkpoint; `"checkpoint"` for the shards'.
        qformer: `instruct_blip_vicuna7b_trimmed.pth`, where the checkpoint has no Q-Former.
        bert: the Q-Former's vocabulary, folder or hub id; by default `bert-base-uncased`, searched for beside the
            checkpoint first.
        facexformer: FaceXFormer's `model.pt`, a folder or hub id that has it. Without it the model has no face prior.
        mtcnn: facenet-pytorch's wheel or a folder with `pnet.pt`, `rnet.pt`, `onet.pt`; by default the detector that
            comes with this package, where the model has a face prior.
        keep_adapter (`bool`): write LoRA weights as a PEFT adapter into `output/adapter` instead of merging them.
        image_size, vision_heads, qformer_heads (`int`): what a checkpoint of unpublished shapes does not tell.
        dtype (`str`): `"float32"`, `"float16"` or `"bfloat16"`; by default as stored.
        max_shard_size (`str` or `int`): largest weight file, in bytes or as `"5GB"`.
        dry_run (`bool`): write nothing.
        push_to_hub (`str`): hub repository to upload the result to.
        progress (`bool`): show a progress bar.

    Returns:
        `str`: the mapping as a table: target, shape, dtype, source file, source tensors.

    Raises:
        `ConversionError`: a tensor is unknown, missing or of the wrong shape, or an argument does not fit `source`.
        `FileNotFoundError`, `FileExistsError`: of a source file, of `output`.
        `InputError`: a file is damaged or holds anything but tensors, or an argument is unknown.
    """
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"`dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}.")
    if to not in ("emo-llama", "llama-vid"):
        raise InputError(f"`to` must be 'emo-llama' or 'llama-vid', got {to!r}.")
    folder = local_folder(source)
    converted = read_json(folder / "config.json").get("model_type") == EmoLlamaConfig.model_type
    of_originals: dict[str, Any] = {
        "base": base,
        "vision": vision,
        "qformer": qformer,
        "bert": bert,
        "keep_adapter": keep_adapter or None,
        "image_size": image_size,
        "vision_heads": vision_heads,
        "qformer_heads": qformer_heads,
    }
    if converted:
        _refuse(of_originals, f"{source} is converted already and")
    if to == "llama-vid":
        if not converted:
            raise ConversionError(f"{source} is not a converted EmoLlama folder, so it cannot be written back.")
        _refuse({"facexformer": facexformer, "mtcnn": mtcnn, "dtype": dtype}, "LLaMA-VID's format")
        mapping = export_llama_vid(folder, output, max_shard_size, dry_run, progress)
    else:
        faces = None if facexformer is None else read_checkpoint([local_file(facexformer, FACE_X_FORMER_FILE)], KEY)
        detector = _face_detector(mtcnn, faces is not None)
        if converted:
            conversion = from_converted(folder, faces, detector)
        else:
            conversion = from_original(folder, faces, detector, **of_originals)
        if dtype is not None:
            conversion.plan = {name: replace(t, dtype=DTYPES[dtype]) for name, t in conversion.plan.items()}
        check_plan(conversion.plan, _parameters(conversion.model))
        mapping = table(conversion.plan)
        if not dry_run:
            write(conversion, Path(output), push_to_hub or Path(output).name, max_shard_size, progress)
    if push_to_hub is not None and not dry_run:
        api = HfApi()
        repo = api.create_repo(push_to_hub, exist_ok=True)
        api.upload_folder(repo_id=repo.repo_id, folder_path=output)
    return mapping


def from_original(
    folder: Path,
    faces: Checkpoint | None,
    detector: EmoLlamaFaceDetector | None,
    *,
    base: str | Path | None,
    vision: str | Path | None,
    qformer: str | Path | None,
    bert: str | Path | None,
    keep_adapter: bool | None,
    image_size: int | None,
    vision_heads: int | None,
    qformer_heads: int | None,
) -> Conversion:
    """The conversion of a LLaMA-VID checkpoint; see [`convert`] for the arguments."""
    original = read_original(folder, base)
    if keep_adapter and original.adapter is None:
        raise ConversionError("`keep_adapter` was given, but the source has no LoRA adapter.")
    if ("model.vlm_att_query" in original.tensors) == (qformer is not None):
        raise ConversionError(
            "The checkpoint has no Q-Former: name instruct_blip_vicuna7b_trimmed.pth with `qformer`."
            if qformer is None
            else "The checkpoint has its own Q-Former, which the original prefers: leave `qformer` out."
        )
    eva_clip = find_vision(original, vision)
    instruct_blip = None if qformer is None else read_checkpoint([qformer], "model")
    tokenizer = convert_text_tokenizer(original.base)
    bert = find_bert(original, bert)
    config = emo_llama_config(
        original.config,
        original.tensors,
        eva_clip,
        instruct_blip,
        image_token_id=len(tokenizer),
        image_size=image_size,
        vision_heads=vision_heads,
        qformer_heads=qformer_heads or read_json(Path(bert) / "config.json").get("num_attention_heads"),
        face_config=None if faces is None else face_config(faces),
    )
    model = _meta_model(config)
    plan = plan_llama_vid(
        original.tensors,
        eva_clip,
        instruct_blip,
        config.vision_config.image_size,
        config.vision_config.patch_size,
    )
    if original.adapter is not None and not keep_adapter:
        plan = original.adapter.merge_into(plan)
    if faces is not None:
        plan |= plan_face_parts(faces, model)
    pictures, clips = convert_visual_processors(config, original.config)
    processor = EmoLlamaProcessor(
        pictures,
        tokenizer,
        convert_qformer_tokenizer(bert, config.qformer_config),
        clips,
        face_detector=detector,
        tokens_per_frame=config.tokens_per_frame,
    )
    return Conversion(
        model,
        plan,
        processor,
        generation_config(config, tokenizer),
        Provenance.of_original(original),
        original.adapter if keep_adapter else None,
    )


def from_converted(folder: Path, faces: Checkpoint | None, detector: EmoLlamaFaceDetector | None) -> Conversion:
    """A converted folder with a face prior added."""
    if faces is None:
        raise ConversionError(f"{folder} is converted already: say what to add with `facexformer`.")
    config = EmoLlamaConfig.from_pretrained(folder)
    if config.face_config is not None:
        raise ConversionError(f"{folder} has a face prior already.")
    config.face_config = face_config(faces)
    model = _meta_model(config)
    planner = Planner(read_checkpoint(weight_files(folder)), f"the model in {folder}")
    for name in planner.source:
        planner.add(name, name)
    processor = EmoLlamaProcessor.from_pretrained(folder)
    processor.faces.detector = detector
    return Conversion(
        model,
        planner.finish() | plan_face_parts(faces, model),
        processor,
        GenerationConfig.from_pretrained(folder),
        Provenance.of_converted(folder),
    )


def write(conversion: Conversion, output: Path, name: str, max_shard_size: str | int, progress: bool) -> None:
    """Write everything that `from_pretrained` needs, and a model card for a model called `name`."""
    config = conversion.model.config
    config.architectures = [type(conversion.model).__name__]
    config.dtype = _most_used_dtype(conversion.plan)
    with new_folder(output) as folder:
        write_safetensors(conversion.plan, folder, max_shard_size, progress)
        for module in (conversion.model, conversion.model.model):
            custom_object_save(module, folder, config=config)
        config.save_pretrained(folder)
        conversion.generation_config.save_pretrained(folder)
        conversion.processor.save_pretrained(folder)
        if conversion.adapter is not None:
            conversion.adapter.save(folder / ADAPTER_FOLDER, str(output.absolute()))
        conversion.origin.save(folder)
        card = model_card(name, config, conversion.origin, conversion.processor.faces.detector is not None)
        card.save(folder / "README.md")


def _face_detector(mtcnn: str | Path | None, wanted: bool) -> EmoLlamaFaceDetector | None:
    """The converted detector, the package's own where a face prior needs one, or none."""
    if mtcnn is None:
        own = Path(default_model()) / "face_detector"
        return EmoLlamaFaceDetector.from_pretrained(own) if wanted else None
    if not wanted:
        raise ConversionError("`mtcnn` was given without `facexformer`: a model without a face prior needs no faces.")
    with tempfile.TemporaryDirectory() as folder:
        convert_mtcnn(mtcnn, Path(folder) / "mtcnn")
        return EmoLlamaFaceDetector.from_pretrained(Path(folder) / "mtcnn")


def _meta_model(config: EmoLlamaConfig) -> EmoLlamaForConditionalGeneration:
    with torch.device("meta"):
        return EmoLlamaForConditionalGeneration(config)


def _parameters(model: EmoLlamaForConditionalGeneration) -> dict[str, torch.Tensor]:
    """The tensors that a checkpoint of the model has: a tied output embedding is not among them."""
    tied = model._tied_weights_keys if model.config.tie_word_embeddings else ()
    return {name: tensor for name, tensor in model.state_dict().items() if name not in tied}


def _most_used_dtype(plan: Plan) -> torch.dtype:
    sizes: Counter[torch.dtype] = Counter()
    for tensor in plan.values():
        sizes[tensor.dtype] += torch.Size(tensor.shape).numel()
    return sizes.most_common(1)[0][0]


def _refuse(arguments: dict[str, Any], what: str) -> None:
    given = ", ".join(f"`{name}`" for name, value in arguments.items() if value is not None)
    if given:
        raise ConversionError(f"{what} cannot take {given}: leave out what does not belong here.")
