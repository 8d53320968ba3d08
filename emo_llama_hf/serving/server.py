"""Runs the application: an address, a clean end."""

import ipaddress
import socket
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from ..input_error import InputError
from .limits import ServingLimits

GRACE = 5  # seconds beyond a request's own, until what is left of a server is cut off


def bind(host: str, port: int, api_key: str | None) -> socket.socket:
    """
    Take an address, before anything slow is done.

    Args:
        host (`str`): name or address.
        port (`int`): 0 for a free one.
        api_key (`str`, *optional*): which an address that other machines reach needs.

    Raises:
        `InputError`: there is no such address, it is taken, or needs a key.
    """
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
        raise InputError("`api_key` must be of printable ASCII characters, without spaces around it.")
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError, OverflowError) as error:
        raise InputError(f"`host`: {host!r} with port {port} is no address of this machine: {error}.") from error
    if api_key is None and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise InputError(f"`host`: {host} can be reached from other machines: give an `api_key`, or use 127.0.0.1.")
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise InputError(f"`host`: {host} with `port` {port} cannot be used: {error.strerror}.") from error
    return bound


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


def url(bound: socket.socket) -> str:
    """Where an address is asked."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def model_name(model: str | None) -> str:
    """
    What clients call a model: a hub id as it is, a folder by its name, never by its path.

    Args:
        model (`str`, *optional*): what was opened; the package's own by default.
    """
    if model is None:
        return "emo-llama-mini"
    return Path(model).resolve().name if Path(model).exists() else model
