"""The command `emo-llama demo`."""

import sys
from typing import Annotated

import typer

from ..input_error import InputError
from ..listening import bind
from .model_options import ModelOptions
from .options import Host, NoAttributes, Port


def demo(
    model: ModelOptions,
    host: Host = "127.0.0.1",
    port: Port = 7860,
    password: Annotated[
        str | None,
        typer.Option(envvar="EMO_LLAMA_PASSWORD", metavar="WORD", help="what visitors, named demo, must know"),
    ] = None,
    no_attributes: NoAttributes = False,
    max_file: Annotated[float, typer.Option(metavar="MB", help="largest photo or video")] = 50,
    max_seconds: Annotated[float, typer.Option(metavar="S", help="longest video")] = 60,
    max_waiting: Annotated[int, typer.Option(min=1, metavar="N", help="visitors in the queue")] = 20,
    push: Annotated[
        str | None, typer.Option(metavar="USER/NAME", help="show nothing, but make a Space of the page on the hub")
    ] = None,
) -> int:
    """Show a page in the browser: photos, the webcam, videos and chats about them."""
    # Here, since the packages that it needs are an extra.
    from ..demo import DemoLimits, build_page, page_files, push_space, serve_page

    limits = DemoLimits(max_file=max_file, max_seconds=max_seconds, max_waiting=max_waiting)
    if push is not None:
        if password is not None or model.loading != ModelOptions().loading:
            raise InputError("`push` takes no `password`, and a Space opens its model as it is: leave these out.")
        print(push_space(push, limits, model.model, not no_attributes))
        return 0
    with bind(host, port, password, "password") as bound:  # before anything slow is done
        address, number = bound.getsockname()[:2]
    with page_files():
        page = build_page(model.pipeline(), limits, infer_attributes=not no_attributes)
        print("Opening the page ...", file=sys.stderr, flush=True)
        serve_page(page, limits, address, number, password)
    return 0
