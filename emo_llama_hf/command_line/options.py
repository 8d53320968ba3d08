"""Options that several commands have: one name, one meaning, one default, wherever they stand."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from ..data.record_stream import LAYOUTS


class CommaList(list[str]):
    """Words that are given as `a,b`."""


def comma_list(text: str) -> CommaList:
    """`"a, b"` to `["a", "b"]`."""
    return CommaList(word.strip() for word in text.split(","))


# -- the model

Model: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="M", help="folder or hub id, also of an adapter (default: what comes with the package)"),
]
Base: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="M", help="folder or hub id of what an adapter or a projector is for (default: as it says)"),
]
Device: TypeAlias = Annotated[
    str | None, typer.Option(metavar="D", help="cpu, cuda, cuda:1, ... (default: the first accelerator)")
]
Dtype: TypeAlias = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"], typer.Option(help="type of the weights; auto: as stored")
]
DeviceMap: TypeAlias = Annotated[
    Literal["auto", "balanced", "balanced_low_0", "sequential"] | None,
    typer.Option(help="spread the model over all devices, in place of --device; auto: as it fits"),
]
LoadIn4Bit: TypeAlias = Annotated[
    bool, typer.Option("--load-in-4bit", help="keep the language model in 4 bits (needs bitsandbytes)")
]
LoadIn8Bit: TypeAlias = Annotated[
    bool, typer.Option("--load-in-8bit", help="keep the language model in 8 bits (needs bitsandbytes)")
]
TrustExport: TypeAlias = Annotated[
    bool, typer.Option("--trust-export", help="open an export, whose graphs are programs of whoever made it")
]
MaxNewTokens: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="longest answer, in tokens (default: the model's; chat 256, evaluate 64)"),
]
BatchSize: TypeAlias = Annotated[int, typer.Option(min=1, metavar="N", help="pictures and clips a forward")]
NoAttributes: TypeAlias = Annotated[
    bool, typer.Option("--no-attributes", help="leave perceived age, gender and race out")
]
AllowPrivate: TypeAlias = Annotated[
    bool, typer.Option("--allow-private", help="fetch URLs of this machine and of the local network too")
]
Labels: TypeAlias = Annotated[
    CommaList | None,
    typer.Option(
        parser=comma_list,
        metavar="a,b",
        help="label set (default: the data's own, or else the model's)",
    ),
]

Question: TypeAlias = Annotated[
    str | None, typer.Option(metavar="Q", help="what to ask (default: which of the labels it is)")
]

# -- the data

Data: TypeAlias = Annotated[
    list[Path], typer.Argument(metavar="DATA", help="folder or file of a data set; may be several")
]
Layout: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="L",
        help=f"how it lies on disk: {', '.join(sorted(LAYOUTS))} (default: told from DATA)",
        autocompletion=lambda: sorted(LAYOUTS),
    ),
]
Split: TypeAlias = Annotated[str | None, typer.Option(metavar="S", help="train, validation or test (default: all)")]
LabelMapFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="F", help="JSON file with the meanings of the data's labels, or 'keep' (default: the layout's own)"
    ),
]
DataOption: TypeAlias = Annotated[
    list[str],
    typer.Option(metavar="K=V", help="setting of the layout, such as fold=2 or emotion_column=mood; may be repeated"),
]
OnError: TypeAlias = Annotated[Literal["raise", "skip"], typer.Option(help="what to do about an unreadable row")]
Faces: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="DIR", help="folder of the prepared faces (default: DATA.faces beside DATA)")
]

MissingFaceOption: TypeAlias = Annotated[
    Literal["mask", "full_frame", "error"] | None,
    typer.Option(
        "--missing-face",
        help="what becomes of a frame without a face: nothing is said of one, or the whole is taken for one "
        "(default: the model's)",
    ),
]
NumFrames: TypeAlias = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="frames of a clip (default: the model's; instruct 4, plan 8)")
]
Fps: TypeAlias = Annotated[
    float | None, typer.Option(min=0.001, metavar="N", help="frames a second of a clip, in place of --num-frames")
]
FullFrameBelow: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="N", help="faceless pictures up to so many pixels are taken for a face (default: the model's)"
    ),
]
Temperature: TypeAlias = Annotated[float, typer.Option(metavar="T", help="of the model's sampling")]

# -- what others ask over HTTP

Host: TypeAlias = Annotated[
    str, typer.Option(metavar="H", help="address; one beyond this machine needs --api-key, of demo --password")
]
Port: TypeAlias = Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: a free one")]

# -- the result

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="print JSON, one object a line")]
Output: TypeAlias = Annotated[
    Path, typer.Option(metavar="PATH", help="where the result goes: a folder, of `instruct` a file of JSON lines")
]
PushToHub: TypeAlias = Annotated[
    str | None, typer.Option(metavar="REPO", help="upload the result to this hub repository")
]
