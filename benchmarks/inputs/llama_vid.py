"""
Checkpoints in LLaMA-VID's files, of its 7B's widths but few layers, with made-up weights in half precision.

    python -m inputs.llama_vid FOLDER
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

TOKENIZER = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "llama_vid" / "b_grid"
LAYERS, VISION_LAYERS = 2, 8  # 32 and 39 in the 7B
VOCABULARY = 32_000  # rows of LLaMA-VID's tables; ours have one more, of the placeholder
SHARD_BYTES = 1_000_000_000
FORMATS = ("bin", "safetensors")


def checkpoints(folder: Path) -> None:
    """`llama-vid-bin` and `llama-vid-safetensors`; by another process, whose memory is not kept."""
    paths = [str(Path(__file__).resolve().parents[place]) for place in (1, 2)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-m", "inputs.llama_vid", str(folder)], check=True, env=environment)


def vision_file(folder: Path) -> Path:
    """EVA-CLIP's weights in one of the checkpoints."""
    (found,) = folder.glob("eva_vit_g.*")
    return found


def make_checkpoint(folder: Path, suffix: str) -> None:
    """Write one with constant tensors, a shard at a time."""
    import torch

    from emo_llama_hf import EmoLlamaConfig
    from emo_llama_hf.conversion.llama_vid_config import llama_vid_config
    from emo_llama_hf.conversion.llama_vid_weights import source_name, vision_source_name
    from emo_llama_hf.meta_model import meta_model

    folder.mkdir()
    layers = {"num_hidden_layers": LAYERS}
    config = EmoLlamaConfig(text_config=layers, vision_config={"num_hidden_layers": VISION_LAYERS})
    expected = meta_model(config).state_dict()
    language: dict[str, Any] = {}
    vision: dict[str, Any] = {}
    for name, tensor in expected.items():
        if name.endswith("self_attn.qkv.bias"):
            block = vision_source_name(name.replace("bias", "weight")).removesuffix("qkv.weight")
            vision |= {block + part: (tensor.shape[0] // 3,) for part in ("q_bias", "v_bias")}
        elif name.startswith("model.vision_model.") and "post_layernorm" not in name:
            vision[vision_source_name(name)] = tensor.shape
        else:
            is_table = name.endswith(("embed_tokens.weight", "lm_head.weight"))
            language[source_name(name)] = (VOCABULARY, *tensor.shape[1:]) if is_table else tensor.shape
    shards: list[dict[str, Any]] = [{}]
    size = 0
    for name, shape in language.items():
        size += 2 * torch.Size(shape).numel()
        if size > SHARD_BYTES:
            shards.append({})
            size = 2 * torch.Size(shape).numel()
        shards[-1][name] = shape
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    weight_map: dict[str, str] = {}
    for number, shapes in enumerate(shards, start=1):
        filename = f"{stem}-{number:05d}-of-{len(shards):05d}.{suffix}"
        _write(shapes, folder / filename)
        weight_map |= dict.fromkeys(shapes, filename)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    _write(vision, folder / ("eva_vit_g.safetensors" if suffix == "safetensors" else "eva_vit_g.pth"))
    (folder / "config.json").write_text(json.dumps(llama_vid_config(config, VOCABULARY)))
    for name in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(TOKENIZER / name, folder)
    bert = folder / "bert-base-uncased"
    bert.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"word{number}" for number in range(config.qformer_config.vocab_size - 1 - len(words))]
    (bert / "vocab.txt").write_text("\n".join(words) + "\n")


def _write(shapes: dict[str, Any], path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {n: torch.full(shape, i % 97, dtype=torch.float16) for i, (n, shape) in enumerate(shapes.items())}
    save_file(tensors, path, {"format": "pt"}) if path.suffix == ".safetensors" else torch.save(tensors, path)


if __name__ == "__main__":
    for suffix in FORMATS:
        make_checkpoint(Path(sys.argv[1]) / f"llama-vid-{suffix}", suffix)
