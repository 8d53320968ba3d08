"""The command `emo-llama convert`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..conversion.add_faces import add_faces
from ..conversion.conversion_error import ConversionError
from ..conversion.converted_folder import is_converted
from ..conversion.face_parts import FaceSources
from ..conversion.llama_vid_config import UnpublishedShapes
from ..conversion.llama_vid_export import export_llama_vid
from ..conversion.llama_vid_files import LlamaVidSource
from ..conversion.llama_vid_import import import_llama_vid
from ..conversion.local_files import local_folder
from ..conversion.write_settings import WriteSettings
from .options import Base, Dtype, Output, PushToHub


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="LLaMA-VID folder or hub id; or a converted folder, to add faces to or to write back",
        ),
    ],
    output: Output,
    to: Annotated[Literal["emo-llama", "llama-vid"], typer.Option(help="format to write")] = "emo-llama",
    base: Base = None,
    vision: Annotated[
        str | None,
        typer.Option(metavar="F", help="LAVIS' eva_vit_g.pth (default: beside SOURCE); 'checkpoint': SOURCE's copy"),
    ] = None,
    qformer: Annotated[
        str | None,
        typer.Option(metavar="F", help="instruct_blip_vicuna7b_trimmed.pth, where SOURCE has no Q-Former"),
    ] = None,
    bert: Annotated[
        str | None,
        typer.Option(metavar="B", help="Q-Former vocabulary, folder or hub id (default: bert-base-uncased)"),
    ] = None,
    facexformer: Annotated[
        str | None,
        typer.Option(metavar="F", help="FaceXFormer's model.pt, a folder or a hub id: adds a face prior"),
    ] = None,
    mtcnn: Annotated[
        Path | None, typer.Option(metavar="F", help="facenet-pytorch wheel or folder with pnet.pt, rnet.pt, onet.pt")
    ] = None,
    keep_adapter: Annotated[
        bool, typer.Option("--keep-adapter", help="keep LoRA weights as a PEFT adapter instead of merging them")
    ] = False,
    image_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="side of a frame in pixels, where the checkpoint does not tell"),
    ] = None,
    vision_heads: Annotated[
        int | None, typer.Option(metavar="N", help="attention heads of the vision encoder, where unpublished")
    ] = None,
    qformer_heads: Annotated[
        int | None, typer.Option(metavar="N", help="attention heads of the Q-Former, where unpublished")
    ] = None,
    dtype: Dtype = "auto",
    max_shard_size: Annotated[str, typer.Option(metavar="S", help="largest weight file")] = "5GB",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the mapping as a table and write nothing")] = False,
    push_to_hub: PushToHub = None,
) -> int:
    """Make a model folder of original checkpoints, or write one back."""
    settings = WriteSettings(None if dtype == "auto" else dtype, max_shard_size, dry_run, push_to_hub)
    of_faces = {"facexformer": facexformer, "mtcnn": mtcnn}
    of_source = {"base": base, "vision": vision, "qformer": qformer, "bert": bert}
    of_shapes = {"image_size": image_size, "vision_heads": vision_heads, "qformer_heads": qformer_heads}
    if to == "llama-vid":
        _refuse("LLaMA-VID's format", of_faces)
    if mtcnn is not None and facexformer is None:
        raise ConversionError("`mtcnn` was given without `facexformer`: a model without a face prior needs no faces.")
    faces = None if facexformer is None else FaceSources(facexformer, mtcnn)
    converted = is_converted(local_folder(source))
    if converted:
        of_adapter = {"keep_adapter": keep_adapter or None}
        _refuse(f"{source} is converted already and", of_source | of_adapter | of_shapes)
    if to == "llama-vid":
        mapping = export_llama_vid(source, output, settings=settings)
    elif not converted:
        mapping = import_llama_vid(
            LlamaVidSource(source, **of_source),
            output,
            faces=faces,
            shapes=UnpublishedShapes(**of_shapes),
            keep_adapter=keep_adapter,
            settings=settings,
        )
    elif faces is not None:
        mapping = add_faces(source, output, faces, settings=settings)
    else:
        raise ConversionError(f"{source} is converted already: say what to add with `facexformer`.")
    print(mapping if dry_run else f"Wrote {output}.")
    return 0


def _refuse(what: str, arguments: dict[str, Any]) -> None:
    given = ", ".join(f"`{name}`" for name, value in arguments.items() if value is not None)
    if given:
        raise ConversionError(f"{what} cannot take {given}: leave out what does not belong here.")
