"""The command `emo-llama convert`."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..conversion.convert import convert as convert_checkpoint
from .options import Dtype, Output


def _size(text: str) -> str:
    """Checked here: Hugging Face's own error comes when the weights are to be written."""
    if not re.fullmatch(r"\d+(\.\d+)?[KMGT]B", text, re.IGNORECASE):
        raise typer.BadParameter(f"must be a size such as 500MB or 5GB, got {text!r}")
    return text


def _hub_id(text: str | None) -> str | None:
    if text is not None:
        try:
            validate_repo_id(text)
        except HFValidationError as error:
            raise typer.BadParameter(str(error)) from error
    return text


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
    base: Annotated[
        str | None,
        typer.Option(metavar="M", help="model that a stage-1 mm_projector.bin or a LoRA adapter was trained on"),
    ] = None,
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
    max_shard_size: Annotated[str, typer.Option(metavar="S", callback=_size, help="largest weight file")] = "5GB",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the mapping as a table and write nothing")] = False,
    push_to_hub: Annotated[
        str | None, typer.Option(metavar="REPO", callback=_hub_id, help="upload the result to this hub repository")
    ] = None,
) -> int:
    """Make a model folder of original checkpoints, or write one back."""
    mapping = convert_checkpoint(
        source,
        output,
        to=to,
        base=base,
        vision=vision,
        qformer=qformer,
        bert=bert,
        facexformer=facexformer,
        mtcnn=mtcnn,
        keep_adapter=keep_adapter,
        image_size=image_size,
        vision_heads=vision_heads,
        qformer_heads=qformer_heads,
        dtype=None if dtype == "auto" else dtype,
        max_shard_size=max_shard_size,
        dry_run=dry_run,
        push_to_hub=push_to_hub,
    )
    print(mapping if dry_run else f"Wrote {output}.")
    return 0
