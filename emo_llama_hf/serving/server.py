"""Runs the application: a name, a clean end."""

from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from .limits import ServingLimits

GRACE = 5  # seconds beyond a request's own, until what is left of a server is cut off


def make_server(application: Starlette, limits: ServingLimits) -> uvicorn.Server:
    """
    A server whose `run(sockets=[bound])` answers until a signal, or its `should_exit`, says to stop; what is being
    answered then is finished.

    Args:
        application (`Starlette`): from [`build_application`].
        limits ([`ServingLimits`]): the application's.
    """
    return uvicorn.Server(
        uvicorn.Config(
            application,
            ws="none",
            lifespan="on",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=int(limits.request_timeout) + GRACE,
        )
    )


def model_name(model: str | None) -> str:
    """
    What clients call a model: a hub id as it is, a folder by its name, never by its path.

    Args:
        model (`str`, *optional*): what was opened; the package's own by default.
    """
    if model is None:
        return "emo-llama-mini"
    return Path(model).resolve().name if Path(model).exists() else model
