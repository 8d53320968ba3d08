"""What becomes of changed model folders: loaded and asked in child processes with limits of time and memory.

`python tests/fuzz/model_folders.py --count 400 --seed 0` prints every finding and a table. A finding is
an error that is none of ours to raise for a bad folder, a crash, a hang or too much memory.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from itertools import islice
from pathlib import Path

from json_mutations import Mutation, mutations

from emo_llama_hf.chat.pipeline import EmotionChatPipeline
from emo_llama_hf.default_model import default_model
from emo_llama_hf.load_model import load_model

CHECKPOINT = Path(default_model())
TOKENIZERS = [
    f"{folder}{name}" for folder in ("", "qformer_tokenizer/") for name in ("tokenizer_config.json", "tokenizer.json")
]
FILES = ["config.json", "processor_config.json", "face_detector/config.json", "generation_config.json", *TOKENIZERS]
PICTURE = str(Path(__file__).parents[1] / "samples" / "astronaut.png")
SECONDS, MEMORY = 20, 2 * 1024**3
FINE = {"answered", "refused on loading", "refused on asking"}


def outcome(folder: Path) -> tuple[str, str]:
    """
    What loading a folder and asking it about a picture come to.

    Returns:
        `tuple[str, str]`: `"answered"`, `"refused on loading"`, `"refused on asking"` or the name of the error that
        should not have come out, and the error's text.
    """
    step = "loading"
    try:
        model, processor = load_model(str(folder))
        step = "asking"
        EmotionChatPipeline(model=model, processor=processor)(PICTURE, max_new_tokens=2)
    except (OSError, ValueError, RuntimeError) as error:
        text = str(error)
        clear = len(text) > 20 and "allocate memory" not in text and type(error) is not RecursionError
        return f"refused on {step}" if clear else f"{type(error).__name__} on {step}", text
    except BaseException as error:  # tokenizers' panics are no `Exception`
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} on {step}", f"{error} ({where.filename}:{where.lineno})"
    return "answered", ""


def outcome_in_child(mutation: Mutation) -> tuple[str, str]:
    """The `outcome` of a changed default checkpoint in a process of its own, or what ended the process."""
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.json"
        folder = mutation.write(CHECKPOINT, Path(name) / "model")
        child = os.fork()
        if child == 0:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
            with open(os.devnull, "w") as silence:
                os.dup2(silence.fileno(), 1)
                os.dup2(silence.fileno(), 2)
            report.write_text(json.dumps(outcome(folder)))
            os._exit(0)
        until = time.monotonic() + SECONDS
        while (status := os.waitpid(child, os.WNOHANG))[0] == 0:
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return "hang", f"over {SECONDS} s"
            time.sleep(0.02)
        if not report.exists() or not report.read_text():
            return "crash", f"exit status {status[1]}"
        kind, text = json.loads(report.read_text())
        return kind, text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    for mutation in islice(mutations(CHECKPOINT, FILES, arguments.seed), arguments.count):
        kind, text = outcome_in_child(mutation)
        counts[kind] += 1
        print(f"{kind}: {mutation.file}: {mutation.change}: {text[:300]!a}", flush=True)
    print()
    for kind, count in counts.most_common():
        print(f"{count:6} {kind}")
    sys.exit(any(kind not in FINE for kind in counts))


if __name__ == "__main__":
    main()
