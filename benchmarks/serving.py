"""
What `emo-llama serve` adds to the plain pipeline, and what its batches save: latency and throughput on this machine.

    python benchmarks/serving.py FILE [FILE ...] [--model MODEL] [--requests N] [--clients N,N,...] [--tokens N]
                                 [--batch-size N] [--threads N] [--json FILE]

Starts a server of its own on a free port of 127.0.0.1, and asks it with OpenAI's client, so many clients at a time, a
picture a request, as a data URL. Latency is from asking to the whole answer; `first` to the first piece of a
streamed one. The plain pipeline is given the same data URLs, when the server has ended. CPU time is the server's, or
the pipeline's; it says more than the clock where other things run beside.
"""

import argparse
import base64
import json
import mimetypes
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from signal import SIGINT

import torch
import transformers
from openai import OpenAI
from prometheus_client.parser import text_string_to_metric_families

import emo_llama_hf
from emo_llama_hf.processing.download import httpx

QUESTION = "Why do you think so?"
MOST_REQUESTS = 10_000
CPU, BATCHES = "process_cpu_seconds_total", "emo_llama_batch_requests_count"


@contextmanager
def server(options: argparse.Namespace) -> Iterator[str]:
    """The URL of a running server."""
    command = [sys.executable, "-m", "emo_llama_hf", "serve", "--port", "0", "--batch-size", str(options.batch_size)]
    command += [] if options.model is None else ["--model", options.model]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    environment.pop("EMO_LLAMA_API_KEY", None)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"answers at (http://127\.0\.0\.1:\d+)/v1", line):
                break
        else:
            raise SystemExit("The server did not start:\n" + "".join(said))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(process.stderr.read)  # so that it never waits for a reader
            yield found[1]
            process.send_signal(SIGINT)
    finally:
        process.terminate()
        process.wait()


def measure(url: str, name: str) -> float:
    """The value of one of the server's metrics."""
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    return sum(one.value for family in families for one in family.samples if one.name == name)


def timed(call: Callable, arguments: list, workers: int = 1) -> tuple[list, float]:
    """What a call gives for each of the arguments, so many at a time, and the seconds of all together."""
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        given = list(pool.map(call, arguments))
    return given, time.perf_counter() - start


def row(seconds: list[float], whole: float, cpu: float, pictures: int, **more: float) -> dict[str, float]:
    return {
        "p50_ms": 1e3 * statistics.median(seconds),
        "p95_ms": 1e3 * statistics.quantiles(seconds, n=20, method="inclusive")[-1],
        "pictures_per_s": pictures / whole,
        "cpu_ms": 1e3 * cpu / pictures,
        **more,
    }


def served(options: argparse.Namespace, urls: list[str]) -> dict[str, dict[str, float]]:
    rows = {}
    with server(options) as url:
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=300)
        [model] = client.models.list().data

        def ask(picture: str, stream: bool = False) -> float:
            start = time.perf_counter()
            content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": QUESTION}]
            answer = client.chat.completions.create(
                model=model.id,
                messages=[{"role": "user", "content": content}],
                max_tokens=options.tokens,
                stream=stream,
            )
            if stream:
                first = 0.0
                for chunk in answer:
                    if not first and chunk.choices and chunk.choices[0].delta.content:
                        first = time.perf_counter() - start
                return first
            return time.perf_counter() - start

        timed(ask, urls[:4])  # not counted
        runs = [(f"server, {clients} client{'s' * (clients > 1)}", clients, ask) for clients in options.clients]
        for name, clients, call in [*runs, ("server, 1 client, first", 1, lambda picture: ask(picture, stream=True))]:
            before = measure(url, CPU), measure(url, BATCHES)
            seconds, whole = timed(call, urls, clients)
            cpu, batches = measure(url, CPU) - before[0], measure(url, BATCHES) - before[1]
            rows[name] = row(seconds, whole, cpu, len(urls), requests_a_batch=len(urls) / batches)
        client.close()
    return rows


def plain(options: argparse.Namespace, urls: list[str]) -> dict[str, dict[str, float]]:
    pipe = transformers.pipeline("emotion-chat", model=options.model or emo_llama_hf.default_model())

    def ask(pictures: list[str]) -> float:
        start = time.perf_counter()
        chats = [
            [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": QUESTION}]}]
            for picture in pictures
        ]
        pipe(chats, batch_size=len(chats), max_new_tokens=options.tokens, on_error="raise")
        return time.perf_counter() - start

    rows = {}
    for size in (1, options.batch_size):
        batches = [urls[at : at + size] for at in range(0, len(urls), size)]
        ask(batches[0])  # not counted
        cpu = time.process_time()
        seconds, whole = timed(ask, batches)
        rows["pipeline, one by one" if size == 1 else f"pipeline, batches of {size}"] = row(
            seconds, whole, time.process_time() - cpu, len(urls), requests_a_batch=len(urls) / len(batches)
        )
    return rows


def count(text: str) -> int:
    """A number of requests or clients, which is bounded."""
    if not 1 <= (number := int(text)) <= MOST_REQUESTS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MOST_REQUESTS}")
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", type=Path, metavar="FILE", help="photos, which are shown in turn")
    parser.add_argument("--model", help="default: the package's own")
    parser.add_argument("--requests", type=count, default=96, metavar="N", help="of each row (default: 96)")
    parser.add_argument(
        "--clients",
        type=lambda text: [count(part) for part in text.split(",")],
        default=[1, 4, 16],
        metavar="N,N",
        help="at a time (default: 1,4,16)",
    )
    parser.add_argument("--tokens", type=count, default=32, metavar="N", help="longest answer (default: 32)")
    parser.add_argument("--batch-size", type=count, default=8, metavar="N", help="default: 8")
    parser.add_argument("--threads", type=count, default=torch.get_num_threads(), metavar="N", help="default: torch's")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save everything that was measured")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    encoded = [
        f"data:{mimetypes.guess_type(path)[0]};base64,{base64.b64encode(path.read_bytes()).decode()}"
        for path in options.pictures
    ]
    urls = list(islice(cycle(encoded), options.requests))
    rows = served(options, urls) | plain(options, urls)
    print(f"{'':28}{'p50 ms':>10}{'p95 ms':>10}{'pictures/s':>12}{'CPU ms':>10}{'a batch':>10}")
    for name, values in rows.items():
        cells = f"{values['p50_ms']:10.1f}{values['p95_ms']:10.1f}{values['pictures_per_s']:12.1f}"
        print(f"{name:28}{cells}{values['cpu_ms']:10.1f}{values['requests_a_batch']:10.1f}")
    if options.json is not None:
        setting = {
            "pictures": [str(path) for path in options.pictures],
            "requests": options.requests,
            "tokens": options.tokens,
            "batch_size": options.batch_size,
            "threads": options.threads,
            "versions": {
                "emo_llama_hf": emo_llama_hf.__version__,
                "transformers": transformers.__version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
        }
        options.json.write_text(json.dumps({"setting": setting, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
