"""The command `emo-llama analyze`."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from tqdm.auto import tqdm

from ..data.media_files import media_files
from ..input_error import InputError
from ..only_writer import only_writer
from ..whole_file import whole_file
from .asking_options import AskingOptions
from .model_options import ModelOptions
from .options import AsJson, BatchSize
from .sampling_options import SamplingOptions

LONGEST_STEM = 100  # bytes of an annotated picture's name, which file systems limit


def analyze(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="photo or video, a path or a URL; folder, or a pattern such as 'a/**/*.jpg'"
        ),
    ],
    model: ModelOptions,
    sampling: SamplingOptions,
    asking: AskingOptions,
    batch_size: BatchSize = 1,
    as_json: AsJson = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write the JSON objects into this file instead of showing results"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="show no progress and no summary")] = False,
    save_annotated: Annotated[
        Path | None, typer.Option(metavar="DIR", help="save pictures with what was found")
    ] = None,
) -> int:
    """Tell the perceived emotion in photos and videos."""
    files = media_files(files)
    if output is not None:
        _make_folder("output", output.parent)
    pipe = model.pipeline()
    settings: dict[str, Any] = {"on_error": "return", "batch_size": batch_size, **sampling.given, **asking.settings}
    if save_annotated is not None:
        settings["return_annotated"] = True
        _make_folder("save_annotated", save_annotated)
    results = pipe((file for file in files), **settings)
    failed = 0
    progress = tqdm(zip(files, results, strict=True), total=len(files), disable=quiet or len(files) < 2)
    with _lines(output) as show, progress:
        for file, result in progress:
            for person in result if isinstance(result, list) else [result]:
                failed += "error" in person
                if "error" not in person and save_annotated is not None:
                    person["annotated"] = str(_save_annotated(person["annotated"], file, save_annotated))
                with progress.external_write_mode():
                    show(json.dumps({"file": file, **person}) if as_json or output else _describe(file, person))
    if failed and not quiet:
        print(f"{failed} of {len(files)} files could not be analyzed.", file=sys.stderr)
    return 1 if failed else 0


@contextmanager
def _lines(output: Path | None) -> Iterator[Callable[[str], None]]:
    """What shows a line: in the terminal, or in a file that is there once it is whole."""
    if output is None:
        yield partial(print, flush=True)
        return
    with only_writer(output), whole_file(output) as unfinished, open(unfinished, "w", encoding="utf-8") as file:
        yield partial(print, file=file)


def _make_folder(argument: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"`{argument}`: {folder} cannot be made: {error}") from error


def _describe(file: str, result: dict[str, Any]) -> str:
    if "error" in result:
        return f"{file}: error: {result['error']}"
    ranked = sorted(result["scores"].items(), key=lambda item: -item[1])[:3]
    emotions = ", ".join(f"{label} {score:.0%}" for label, score in ranked)
    frames = result["faces"] if result["faces"] and "faces" in result["faces"][0] else [result]
    faces = max(len(frame["faces"]) for frame in frames)
    lines = [
        f"{file}: {result['generated_text']}",
        f"  perceived emotion: {'none, no face was found' if result['emotion'] is None else emotions}",
        f"  faces: {faces}" + (f" in {result['num_frames']} frames" if result["num_frames"] > 1 else ""),
    ]
    if "problem" in result:
        lines.append(f"  damaged: {result['problem']}")
    if "annotated" in result:
        lines.append(f"  annotated: {result['annotated']}")
    return "\n".join(lines)


def _save_annotated(drawn: Image.Image | list[Image.Image], file: str, folder: Path) -> Path:
    """Save an annotated picture as PNG, a clip's frames as GIF; a name that is taken gets a number."""
    suffix = ".gif" if isinstance(drawn, list) else ".png"
    stem = re.sub(r"[^\w.-]", "_", Path(file).stem)  # of a URL, say
    stem = stem.encode()[:LONGEST_STEM].decode(errors="ignore") or "picture"
    path, number = folder / f"{stem}{suffix}", 1
    while True:
        with suppress(InputError), only_writer(path):  # several may save into one folder
            if not path.exists():
                with whole_file(path) as unfinished:
                    _save(drawn, unfinished)
                return path
        number += 1
        path = folder / f"{stem}-{number}{suffix}"


def _save(drawn: Image.Image | list[Image.Image], path: Path) -> None:
    if isinstance(drawn, list):
        drawn[0].save(path, format="GIF", save_all=True, append_images=drawn[1:], duration=500, loop=0)
    else:
        drawn.save(path, format="PNG")
