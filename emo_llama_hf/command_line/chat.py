"""The command `emo-llama chat`."""

import sys
from typing import Annotated, Any

import typer
from transformers import TextStreamer

from ..chat.questions import fetched
from ..input_error import input_errors
from ..processing.media_kind import is_video
from ..processing.media_limits import MediaLimits, media_limits
from .model_options import ModelOptions
from .options import AllowPrivate, MaxNewTokens

LONGEST_ANSWER = 256  # tokens


def chat(
    model: ModelOptions,
    file: Annotated[str | None, typer.Argument(metavar="[FILE]", help="photo or video (default: asked for)")] = None,
    max_new_tokens: MaxNewTokens = None,
    allow_private: AllowPrivate = False,
) -> int:
    """Talk about a photo or video."""
    pipe = model.pipeline()
    file = file or _ask("Photo or video: ")
    if not file:
        return 0
    with input_errors():  # damaged, or without a face where the processor wants one
        with media_limits(MediaLimits(allow_private=allow_private)), fetched(file) as source:
            kind = "video" if is_video(source) else "image"
            visual = pipe.processor.load_visual(source, kind == "video")
        [visual] = pipe.processor.faces.find([visual], split=False)
    streamer = TextStreamer(pipe.processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
    messages: list[dict[str, Any]] = []
    _say("Ask away; an empty line or Ctrl-D ends the chat.\n")
    while question := _ask("> "):
        content: list[dict[str, Any]] = [{"type": "text", "text": question}]
        if not messages:
            content.insert(0, {"type": kind, kind: visual})
        messages.append({"role": "user", "content": content})
        result = pipe(messages, streamer=streamer, max_new_tokens=max_new_tokens or LONGEST_ANSWER)
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
