"""
Time of each stage of an answer of `pipeline("emotion-chat")` about a picture; `benchmarks/run.py` has whole answers.

    python benchmarks/pipeline.py FILE [FILE ...] [--model MODEL] [--rounds N] [--threads N] [--tokens N] [--json FILE]

Every row is a number of wall clock times of one picture, or of one token (decode), of which the 50th and the 95th
percentile are shown. Peak memory is the largest resident set; what the imports take is told too.
"""

import argparse
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import torch
import transformers
from transformers import pipeline

import emo_llama_hf

UNIT = 1 if platform.system() == "Darwin" else 1024  # of `ru_maxrss`, in bytes


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def timed(call: Callable, arguments: list) -> list[float]:
    """Seconds of a call for each of the arguments, after one that is not counted."""
    call(arguments[0])
    seconds = []
    for argument in arguments:
        start = time.perf_counter()
        call(argument)
        seconds.append(time.perf_counter() - start)
    return seconds


@torch.inference_mode()
def stages(pipe: emo_llama_hf.EmotionChatPipeline, pictures: list[str], tokens: int) -> dict[str, list[float]]:
    """Seconds of each stage of a picture's way through the pipeline, one picture at a time."""
    processor, model = pipe.processor, pipe.model
    loaded = [processor.load_visual(picture) for picture in pictures]
    seconds = {"read picture": timed(processor.load_visual, pictures)}
    if processor.faces.detector is not None:
        seconds["detection"] = timed(lambda visual: processor.faces.find([visual]), loaded)
    found = [processor.faces.find([visual])[0] for visual in loaded]
    seconds["preprocessing"] = timed(lambda visual: processor.visual_inputs([visual], return_tensors="pt"), found)
    content = [{"type": "image"}, {"type": "text", "text": "What is the emotion of the person in the image?"}]
    chat = [{"role": "user", "content": content}]
    prompt = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    inputs = [processor(images=visual, text=prompt).to(model.device) for visual in found]
    if model.config.face_config is not None and processor.faces.detector is not None:
        seconds["face prior"] = timed(lambda given: model.analyze_faces(given["face_pixel_values"]), inputs)
    else:
        inputs = [{k: v for k, v in given.items() if k not in ("face_pixel_values", "face_mask")} for given in inputs]
    text = ("input_ids", "attention_mask")
    visual = [{name: value for name, value in given.items() if name not in text} for given in inputs]
    seconds["encoding, with face prior"] = timed(lambda given: model.get_image_features(**given), visual)
    ready = [
        {
            **{name: given[name] for name in text},
            "visual_embeds": model.get_image_features(**seen).pooler_output.flatten(0, 1),
        }
        for given, seen in zip(inputs, visual, strict=True)
    ]
    seconds["prefill"] = timed(lambda given: model(**given, logits_to_keep=1), ready)
    lengths = [{"max_new_tokens": count, "min_new_tokens": count, "do_sample": False} for count in (1, 1 + tokens)]
    one, more = (timed(lambda given, length=length: model.generate(**given, **length), ready) for length in lengths)
    seconds["decode a token"] = [(long - short) / tokens for short, long in zip(one, more, strict=True)]
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", metavar="FILE", help="photos, of which each is looked at in turn")
    parser.add_argument("--model", default=emo_llama_hf.default_model(), help="default: the package's own")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="each is timed so often (default: 20)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), metavar="N", help="default: torch's")
    parser.add_argument("--tokens", type=int, default=16, metavar="N", help="timed by decode (default: 16)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save everything that was measured")
    options = parser.parse_args()
    imports = peak_bytes()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    pictures = list(islice(cycle(options.pictures), options.rounds))
    pipe = pipeline("emotion-chat", model=options.model)
    seconds = {**stages(pipe, pictures, options.tokens), "one picture": timed(pipe, pictures)}
    rows = {
        name: {
            "count": len(values),
            "p50_ms": 1e3 * statistics.median(values),
            "p95_ms": 1e3
            * (statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]),
        }
        for name, values in seconds.items()
    }
    memory = {"imports_bytes": imports, "peak_bytes": peak_bytes()}
    print(f"{'':28}{'times':>6}{'p50 ms':>10}{'p95 ms':>10}")
    for name, row in rows.items():
        print(f"{name:28}{row['count']:6}{row['p50_ms']:10.1f}{row['p95_ms']:10.1f}")
    print(f"peak memory {memory['peak_bytes'] / 1e6:.0f} MB, of which imports {imports / 1e6:.0f} MB")
    if options.json is not None:
        setting = {
            "model": str(options.model),
            "pictures": options.pictures,
            "parameters": pipe.model.num_parameters(),
            "dtype": str(pipe.model.dtype).removeprefix("torch."),
            "device": str(pipe.device),
            "threads": torch.get_num_threads(),
            "versions": {
                "emo_llama_hf": emo_llama_hf.__version__,
                "transformers": transformers.__version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
        }
        options.json.write_text(json.dumps({"setting": setting, "times": rows, "memory": memory}, indent=2) + "\n")


if __name__ == "__main__":
    main()
