"""A face prior and a face detector, added to a converted model that has none."""

from pathlib import Path
from typing import cast

from transformers import GenerationConfig

from ..load_model import load_config, load_processor
from ..meta_model import meta_model
from ..modeling.configuration_emo_llama import EmoLlamaConfig
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .checkpoint_files import read_checkpoint, weight_files
from .conversion_error import ConversionError
from .converted_folder import converted_folder
from .converted_model import ConvertedModel
from .face_parts import FaceSources, plan_face_parts
from .facexformer_weights import face_config
from .plan import Planner
from .provenance import Provenance
from .write_settings import DEFAULT, WriteSettings


def add_faces(source: str | Path, output: str | Path, faces: FaceSources, *, settings: WriteSettings = DEFAULT) -> str:
    """
    Add a face prior, Face Info Mining that changes nothing until it is trained, and a face detector.

    Args:
        source (`str` or `Path`): folder or hub id of a converted model.
        output (`str` or `Path`): the folder to make. It is there only when everything is in it.
        faces (`FaceSources`): where the parts come from.
        settings (`WriteSettings`, *optional*): how to write.

    Returns:
        `str`: the mapping as a table: target, shape, dtype, source file, source tensors.

    Raises:
        `ConversionError`: `source` is no converted model or has a face prior already, or a file is damaged or not
            FaceXFormer's or MTCNN's.
        `FileNotFoundError`, `FileExistsError`: of a source file, of `output`.
    """
    folder = converted_folder(source)
    config = cast(EmoLlamaConfig, load_config(str(folder)))
    if config.face_config is not None:
        raise ConversionError(f"{source} has a face prior already.")
    prior = faces.read_prior()
    config.face_config = face_config(prior)
    model = meta_model(config)
    planner = Planner(read_checkpoint(weight_files(folder)), f"the model in {folder}")
    for name in planner.source:
        planner.add(name, name)
    processor = cast(EmoLlamaProcessor, load_processor(str(folder)))
    processor.faces.detector = faces.read_detector()
    converted = ConvertedModel(
        model,
        planner.finish() | plan_face_parts(prior, model),
        processor,
        GenerationConfig.from_pretrained(folder),
        Provenance.of_converted(folder),
    )
    return converted.write(output, settings)
