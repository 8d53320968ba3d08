"""The command `emo-llama chat`."""

import sys
from typing import Annotated, Any

import typer
from transformers import TextStreamer

from ..chat.questions import fetched
from ..input_error import InputError, input_errors
from ..processing.media_kind import is_video
from ..processing.media_limits import MediaLimits, media_limits
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.visual import Visual
from .model_options import ModelOptions
from .options import AllowPrivate, MaxNewTokens
from .sampling_options import SamplingOptions

LONGEST_ANSWER = 256  # tokens
HELP = """\
  /file FILE  ask about another photo or video
  /again      begin anew with the same one: what was said is forgotten
  /help       show this
  /quit       end the chat; so do an empty line and Ctrl-D
"""


def chat(
    model: ModelOptions,
    sampling: SamplingOptions,
    file: Annotated[str | None, typer.Argument(metavar="[FILE]", help="photo or video (default: asked for)")] = None,
    max_new_tokens: MaxNewTokens = None,
    allow_private: AllowPrivate = False,
) -> int:
    """Talk about a photo or video."""
    pipe = model.pipeline()
    limits = MediaLimits(allow_private=allow_private)
    file = file or _ask("Photo or video: ")
    if not file:
        return 0
    visual = _open(pipe.processor, file, limits, sampling)
    streamer = TextStreamer(pipe.processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
    messages: list[dict[str, Any]] = []
    _say("Ask away; /help shows what else there is, an empty line or Ctrl-D ends the chat.\n")
    while question := _ask("> "):
        word, _, rest = question.partition(" ")
        if word == "/quit":
            break
        elif word == "/file" and rest.strip():
            try:
                visual = _open(pipe.processor, rest.strip(), limits, sampling)
                messages = []
            except (InputError, OSError) as error:  # the chat goes on about the one before
                _say(f"{error}\n")
        elif word == "/again":
            messages = []
        elif word[0] == "/":
            _say(HELP if word == "/help" else f"{word} is no command, or lacks its file:\n{HELP}")
        else:
            kind = "video" if visual.is_video else "image"
            content = [{"type": kind, kind: visual}] if not messages else []
            messages.append({"role": "user", "content": [*content, {"type": "text", "text": question}]})
            result = pipe(messages, streamer=streamer, max_new_tokens=max_new_tokens or LONGEST_ANSWER)
            answer = (result[0] if isinstance(result, list) else result)["generated_text"]
            messages.append({"role": "assistant", "content": answer})
    return 0


def _open(processor: EmoLlamaProcessor, file: str, limits: MediaLimits, sampling: SamplingOptions) -> Visual:
    """A photo or clip with its faces; only its own errors, so that a chat may go on."""
    with input_errors():  # damaged, or without a face where the processor wants one
        with media_limits(limits), fetched(file) as source:
            is_clip = is_video(source)
            visual = processor.load_visual(source, is_clip, **(sampling.given if is_clip else {}))
        [visual] = processor.faces.find([visual], split=False)
    return visual


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
