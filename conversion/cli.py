"""The command `emo-llama convert`."""

import argparse
import sys

from .convert import DTYPES, convert


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add `convert` to the command line's subparsers; the parsed arguments' `run` runs it."""
    parser = subparsers.add_parser("convert", help="make a model folder of original checkpoints, or write one back")
    add_arguments(parser)
    parser.set_defaults(run=run)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", help="LLaMA-VID folder or hub id; or a converted folder, to add faces to or to write back")
    add("output", help="folder to make")
    add("--to", choices=("emo-llama", "llama-vid"), default="emo-llama", help="format to write (default: emo-llama)")
    add("--base", metavar="M", help="model that a stage-1 mm_projector.bin or a LoRA adapter was trained on")
    add("--vision", metavar="FILE", help="LAVIS' eva_vit_g.pth (default: beside SOURCE); 'checkpoint': SOURCE's copy")
    add("--qformer", metavar="FILE", help="instruct_blip_vicuna7b_trimmed.pth, where SOURCE has no Q-Former")
    add("--bert", metavar="B", help="Q-Former vocabulary, folder or hub id (default: bert-base-uncased)")
    add("--facexformer", metavar="F", help="FaceXFormer's model.pt, a folder or a hub id: adds a face prior")
    add("--mtcnn", metavar="F", help="facenet-pytorch wheel or folder with pnet.pt, rnet.pt, onet.pt")
    add("--keep-adapter", action="store_true", help="keep LoRA weights as a PEFT adapter instead of merging them")
    add("--image-size", type=int, metavar="N", help="side of a frame in pixels, where the checkpoint does not tell")
    add("--vision-heads", type=int, metavar="N", help="attention heads of the vision encoder, where unpublished")
    add("--qformer-heads", type=int, metavar="N", help="attention heads of the Q-Former, where unpublished")
    add("--dtype", choices=tuple(DTYPES), help="type of the weights (default: as stored)")
    add("--max-shard-size", default="5GB", metavar="S", help="largest weight file (default: 5GB)")
    add("--dry-run", action="store_true", help="print the mapping as a table and write nothing")
    add("--push-to-hub", metavar="REPO", help="upload the result to this hub repository")


def run(options: argparse.Namespace) -> int:
    """Convert; returns the exit code."""
    arguments = {name: value for name, value in vars(options).items() if name != "run"}
    try:
        mapping = convert(**arguments)
    except (ValueError, OSError) as error:
        print(f"emo-llama: {error}", file=sys.stderr)
        return 1
    print(mapping if options.dry_run else f"Wrote {options.output}.")
    return 0
