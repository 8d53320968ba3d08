"""The command line `emo-llama`."""

import argparse
import json
import re
import sys
from pathlib import Path

from tqdm.auto import tqdm
from transformers import TextStreamer, pipeline
from transformers.utils import logging

from ..chat.pipeline import EmotionChatPipeline
from ..conversion.cli import add_parser as add_convert
from ..input_error import InputError
from ..load_model import load_model
from ..processing.media_kind import is_video
from ..whole_file import whole_file
from .evaluate import add_parser as add_evaluate
from .instruct import add_parser as add_instruct
from .prepare import add_parser as add_prepare
from .train import add_parser as add_train
from .user_error import UserError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 when something failed, 2 for wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except UserError as error:
        print(f"emo-llama: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="emo-llama", description="Ask a multimodal LLM about the perceived emotion in photos and videos."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--model", metavar="M", help="folder or hub id (default: the one that comes with the package)")
    common.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, ... (default: the first accelerator)")

    analyze = commands.add_parser("analyze", parents=[common], help="tell the perceived emotion in photos and videos")
    analyze.add_argument("files", nargs="+", metavar="FILE", help="photo or video, a path or a URL")
    analyze.add_argument("--question", metavar="Q", help="what to ask (default: which of the labels it is)")
    analyze.add_argument("--labels", metavar="a,b", help="labels to choose from, separated by commas")
    analyze.add_argument("--batch-size", type=_positive, default=1, metavar="N", help="files a forward (default: 1)")
    analyze.add_argument("--max-new-tokens", type=_positive, metavar="N", help="longest answer, in tokens")
    analyze.add_argument("--no-attributes", action="store_true", help="infer no perceived age, gender and race")
    analyze.add_argument("--json", action="store_true", help="print one JSON object a line")
    analyze.add_argument("--save-annotated", type=Path, metavar="DIR", help="save pictures with what was found")
    analyze.set_defaults(run=_analyze)

    chat = commands.add_parser("chat", parents=[common], help="talk about a photo or video")
    chat.add_argument("file", nargs="?", metavar="FILE", help="photo or video (default: asked for)")
    chat.add_argument("--max-new-tokens", type=_positive, default=256, metavar="N", help="longest answer, in tokens")
    chat.set_defaults(run=_chat)

    info = commands.add_parser("info", parents=[common], help="describe a model")
    info.set_defaults(run=_info)

    for add_parser in (add_prepare, add_instruct, add_train, add_evaluate, add_convert):
        add_parser(commands)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _pipeline(options: argparse.Namespace) -> EmotionChatPipeline:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, processor = load_model(options.model)
    except InputError as error:
        raise UserError(str(error).replace("`model`", "--model")) from error
    try:
        return pipeline("emotion-chat", model=model, processor=processor, device=options.device)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise UserError(f"--device {options.device!r} cannot be used: {error}") from error


def _analyze(options: argparse.Namespace) -> int:
    pipe = _pipeline(options)
    settings = {"on_error": "return", "batch_size": options.batch_size}
    if options.question is not None:
        settings["question"] = options.question
    if options.labels is not None:
        settings["labels"] = options.labels.split(",")
    if options.max_new_tokens is not None:
        settings["max_new_tokens"] = options.max_new_tokens
    if options.no_attributes:
        settings["attributes"] = False
    if options.save_annotated is not None:
        try:
            options.save_annotated.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--save-annotated {options.save_annotated} cannot be made: {error}") from error
    try:
        results = pipe((file for file in options.files), **settings)
    except ValueError as error:  # a wrong --labels or --question, found before any file is read
        raise UserError(str(error)) from error
    failed = 0
    progress = tqdm(zip(options.files, results, strict=True), total=len(options.files), disable=len(options.files) < 2)
    for file, result in progress:
        for person in result if isinstance(result, list) else [result]:
            failed += "error" in person
            if "error" not in person and options.save_annotated is not None:
                try:
                    person["annotated"] = str(_save_annotated(pipe, file, person, options.save_annotated))
                except OSError as error:
                    raise UserError(f"--save-annotated {options.save_annotated}: {error}") from error
            with progress.external_write_mode():
                print(json.dumps({"file": file, **person}) if options.json else _describe(file, person), flush=True)
    if failed:
        print(f"{failed} of {len(options.files)} files could not be analyzed.", file=sys.stderr)
    return 1 if failed else 0


def _describe(file: str, result: dict) -> str:
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


def _save_annotated(pipe: EmotionChatPipeline, file: str, result: dict, folder: Path) -> Path:
    """Save an annotated picture as PNG, a clip's frames as GIF; a name that is taken gets a number."""
    drawn = pipe.annotate(file, result)
    suffix = ".gif" if isinstance(drawn, list) else ".png"
    stem = re.sub(r"[^\w.-]", "_", Path(file).stem)[:100] or "picture"  # of a URL, say
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    with whole_file(path) as unfinished:
        if isinstance(drawn, list):
            drawn[0].save(unfinished, format="GIF", save_all=True, append_images=drawn[1:], duration=500, loop=0)
        else:
            drawn.save(unfinished, format="PNG")
    return path


def _chat(options: argparse.Namespace) -> int:
    pipe = _pipeline(options)
    file = options.file or _ask("Photo or video: ")
    if not file:
        return 0
    try:
        kind = "video" if is_video(file) else "image"
        visual = pipe.processor.load_visual(file, kind == "video")
        [visual] = pipe.processor.faces.find([visual], split=False)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    streamer = TextStreamer(pipe.processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
    messages: list[dict] = []
    _say("Ask away; an empty line or Ctrl-D ends the chat.\n")
    while question := _ask("> "):
        content: list[dict] = [{"type": "text", "text": question}]
        if not messages:
            content.insert(0, {"type": kind, kind: visual})
        messages.append({"role": "user", "content": content})
        result = pipe(messages, streamer=streamer, max_new_tokens=options.max_new_tokens)
        answer = (result[0] if isinstance(result, list) else result)["generated_text"]
        messages.append({"role": "assistant", "content": answer})
    return 0


def _say(text: str) -> None:
    """What is no answer goes to stderr, so that stdout can be piped on."""
    print(text, end="", file=sys.stderr, flush=True)


def _ask(prompt: str) -> str:
    """A line from stdin, empty at its end."""
    _say(prompt)
    try:
        return input().strip()
    except EOFError:
        _say("\n")
        return ""


def _info(options: argparse.Namespace) -> int:
    pipe = _pipeline(options)
    config, faces = pipe.model.config, pipe.processor.faces
    face = config.face_config
    parts = [
        ("model", options.model or "the one that comes with emo_llama_hf"),
        ("parameters", f"{pipe.model.num_parameters() / 1e6:.1f} million, {str(pipe.model.dtype).split('.')[-1]}"),
        ("language model", f"{config.text_config.model_type}, {config.text_config.vocab_size} tokens"),
        ("vision encoder", f"{config.vision_config.image_size} pixels, {config.tokens_per_frame} tokens a frame"),
        ("face prior", "none" if face is None else f"{face.backbone_config.model_type}, {face.image_size} pixels"),
        ("face detector", "none" if faces.detector is None else f"one face a frame: {faces.settings.face_choice}"),
        ("frames of a clip", _sampling(pipe.processor.video_processor)),
        ("emotions", ", ".join(config.emotion_labels)),
        ("device", str(pipe.device)),
    ]
    print("\n".join(f"{name:18} {value}" for name, value in parts))
    return 0


def _sampling(clips) -> str:
    if clips.strategy == "fps":
        return f"{clips.fps} a second" + (f", at most {clips.max_frames}" if clips.max_frames else "")
    return f"{clips.num_frames}, {clips.strategy}"
