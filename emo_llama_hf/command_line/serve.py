"""The command `emo-llama serve`."""

import sys
from contextlib import suppress
from typing import Annotated

import typer

from ..listening import bind, url
from .model_options import ModelOptions
from .options import BatchSize, Host, NoAttributes, Port


def serve(
    model: ModelOptions,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    api_key: Annotated[
        str | None, typer.Option(envvar="EMO_LLAMA_API_KEY", metavar="KEY", help="what every request must bring")
    ] = None,
    allow_urls: Annotated[
        bool, typer.Option("--allow-urls", help="fetch pictures and clips from public http(s) addresses")
    ] = False,
    no_attributes: NoAttributes = False,
    max_body: Annotated[float, typer.Option(metavar="MB", help="longest request, and longest download")] = 20,
    max_requests: Annotated[int, typer.Option(min=1, metavar="N", help="requests in the server at a time")] = 64,
    request_timeout: Annotated[float, typer.Option(metavar="S", help="seconds for one request in all")] = 120,
    max_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="longest answer that may be asked for")] = 512,
    batch_size: BatchSize = 8,
    batch_wait: Annotated[float, typer.Option(metavar="MS", help="milliseconds to wait for others to join")] = 5,
) -> int:
    """Answer over HTTP, as OpenAI's API does."""
    # Here, since the packages that it needs are an extra.
    from ..serving import ServingLimits, build_application, make_server, model_name

    limits = ServingLimits(
        max_body=max_body,
        max_requests=max_requests,
        request_timeout=request_timeout,
        max_tokens=max_tokens,
        batch_size=batch_size,
        batch_wait=batch_wait,
    )
    with bind(host, port, api_key, "api_key") as bound:
        pipe, name = model.pipeline(), model_name(model.model)
        application = build_application(
            pipe, name, limits=limits, api_key=api_key, allow_urls=allow_urls, infer_attributes=not no_attributes
        )
        print(f"{name} answers at {url(bound)}/v1 until Ctrl-C.", file=sys.stderr, flush=True)
        with suppress(KeyboardInterrupt):  # raised anew by uvicorn when all is done
            make_server(application, limits).run(sockets=[bound])
    return 0
