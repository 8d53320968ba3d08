"""
Memory and speed of converting a LLaMA-VID checkpoint of the true 7B shapes, with made-up weights in half precision.

    python benchmarks/conversion.py [--format bin|safetensors] [--work DIR] [--shard-gb N] [--layers N] [--rounds N]

Needs about 32 GB of disk in DIR. The checkpoint is copied with `cp` and converted in turn; before each, its files are
dropped from the page cache, and the time counts until the output is on the disk. Peak memory is the converting
process' largest resident set, memory-mapped pages of the source included; what the imports take is told too.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from emo_llama_hf import EmoLlamaConfig, EmoLlamaForConditionalGeneration
from emo_llama_hf.conversion.llama_vid_config import llama_vid_config
from emo_llama_hf.conversion.llama_vid_weights import source_name, vision_source_name
from emo_llama_hf.conversion.placeholder_row import TABLES, original_vocabulary

TOKENIZER = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "llama_vid" / "b_grid"
PEAK = "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
IMPORT = (
    "import sys; from emo_llama_hf.conversion.llama_vid_files import LlamaVidSource; "
    "from emo_llama_hf.conversion.llama_vid_import import import_llama_vid; "
    "from emo_llama_hf.conversion.write_settings import WriteSettings; "
)
CONVERT = (
    "source = LlamaVidSource(sys.argv[1], vision=sys.argv[3]); "
    "import_llama_vid(source, sys.argv[2], settings=WriteSettings(progress=False)); "
)


def make_checkpoint(folder: Path, layers: int, shard_bytes: int, as_safetensors: bool) -> Path:
    """Write LLaMA-VID's files with constant tensors, a shard at a time; the path of EVA-CLIP's."""
    config = EmoLlamaConfig(text_config={"num_hidden_layers": layers})
    with torch.device("meta"):
        expected = EmoLlamaForConditionalGeneration(config).state_dict()
    vocabulary = original_vocabulary(config)
    language, vision = {}, {}
    for name, tensor in expected.items():
        if name.endswith("self_attn.qkv.bias"):
            block = vision_source_name(name.replace("bias", "weight")).removesuffix("qkv.weight")
            vision |= {block + part: (tensor.shape[0] // 3,) for part in ("q_bias", "v_bias")}
        elif name.startswith("model.vision_model.") and "post_layernorm" not in name:
            vision[vision_source_name(name)] = tensor.shape
        else:
            rows = [vocabulary] if name in TABLES else tensor.shape[:1]
            language[source_name(name)] = torch.Size([*rows, *tensor.shape[1:]])
    shards: list[dict] = [{}]
    size = 0
    for name, shape in language.items():
        size += 2 * torch.Size(shape).numel()
        if size > shard_bytes:
            shards.append({})
            size = 2 * torch.Size(shape).numel()
        shards[-1][name] = shape
    stem, suffix = ("model", "safetensors") if as_safetensors else ("pytorch_model", "bin")
    weight_map = {}
    for number, shapes in enumerate(shards, start=1):
        filename = f"{stem}-{number:05d}-of-{len(shards):05d}.{suffix}"
        write(shapes, folder / filename)
        weight_map |= dict.fromkeys(shapes, filename)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    vision_file = folder / ("eva_vit_g.safetensors" if as_safetensors else "eva_vit_g.pth")
    write(vision, vision_file)
    (folder / "config.json").write_text(json.dumps(llama_vid_config(config, vocabulary)))
    for name in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(TOKENIZER / name, folder)
    bert = folder / "bert-base-uncased"
    bert.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"word{number}" for number in range(config.qformer_config.vocab_size - 1 - len(words))]
    (bert / "vocab.txt").write_text("\n".join(words) + "\n")
    return vision_file


def write(shapes: dict, path: Path) -> None:
    tensors = {n: torch.full(shape, i % 97, dtype=torch.float16) for i, (n, shape) in enumerate(shapes.items())}
    save_file(tensors, path, {"format": "pt"}) if path.suffix == ".safetensors" else torch.save(tensors, path)


def drop_from_cache(folder: Path) -> None:
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(command: list[str], source: Path) -> tuple[float, str]:
    """Seconds until the command's output is on the disk, and what it printed."""
    drop_from_cache(source)
    start = time.perf_counter()
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    os.sync()
    return time.perf_counter() - start, printed


def peak_bytes(printed: str) -> int:
    return int(printed.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", choices=("bin", "safetensors"), default="bin", help="of the source (default: bin)")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR")
    parser.add_argument("--shard-gb", type=float, default=5, metavar="N", help="largest source file (default: 5)")
    parser.add_argument("--layers", type=int, default=32, metavar="N", help="fewer for a smaller run (default: 32)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="each is timed so often (default: 2)")
    options = parser.parse_args()
    as_safetensors = options.format == "safetensors"
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        source, copy, output = (Path(work) / name for name in ("source", "copy", "output"))
        source.mkdir()
        vision = make_checkpoint(source, options.layers, int(options.shard_gb * 1e9), as_safetensors)
        sizes = [path.stat().st_size for path in source.rglob("*") if path.is_file()]
        _, printed = timed([sys.executable, "-c", IMPORT + PEAK], source)
        imports = peak_bytes(printed)
        copied = converted = 0.0
        for _ in range(options.rounds):
            copied += timed(["cp", "-r", "--reflink=never", str(source), str(copy)], source)[0]
            shutil.rmtree(copy)
            command = [sys.executable, "-c", IMPORT + CONVERT + PEAK, str(source), str(output), str(vision)]
            seconds, printed = timed(command, source)
            converted += seconds
            written = sum(path.stat().st_size for path in output.rglob("*.safetensors"))
            shutil.rmtree(output)
    peak = peak_bytes(printed)
    copied, converted = copied / options.rounds, converted / options.rounds
    total = sum(sizes)
    largest_tensor = 2 * 32000 * 4096  # the embedding
    limit = 2 * largest_tensor if as_safetensors else 1.5 * max(sizes)
    print(f"source        {total / 1e9:8.2f} GB in .{options.format}, largest file {max(sizes) / 1e9:.2f} GB")
    print(f"written       {written / 1e9:8.2f} GB")
    print(f"cp            {copied:8.1f} s   {total / copied / 1e6:6.0f} MB/s")
    print(f"conversion    {converted:8.1f} s   {total / converted / 1e6:6.0f} MB/s, {copied / converted:.0%} of cp")
    print(f"peak memory   {(peak - imports) / 1e9:8.2f} GB besides {imports / 1e9:.2f} GB of imports")
    print(f"limit         {limit / 1e9:8.2f} GB")


if __name__ == "__main__":
    main()
