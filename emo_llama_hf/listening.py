"""Addresses to answer at: this machine's only, unless a secret guards what is there."""

import ipaddress
import socket

from .input_error import InputError


def bind(host: str, port: int, secret: str | None, name: str) -> socket.socket:
    """
    Take an address, before anything slow is done.

    Args:
        host (`str`): name or address.
        port (`int`): 0 for a free one.
        secret (`str`, *optional*): which an address that other machines reach needs.
        name (`str`): of the argument that gives it.

    Raises:
        `InputError`: there is no such address, it is taken, or needs the secret.
    """
    if secret is not None and not (secret.isascii() and secret.isprintable() and secret.strip() == secret != ""):
        raise InputError(f"`{name}` must be of printable ASCII characters, without spaces around it.")
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError, OverflowError) as error:
        raise InputError(f"`host`: {host!r} with port {port} is no address of this machine: {error}.") from error
    if secret is None and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise InputError(f"`host`: {host} can be reached from other machines: give `{name}`, or use 127.0.0.1.")
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise InputError(f"`host`: {host} with `port` {port} cannot be used: {error.strerror}.") from error
    return bound


def url(bound: socket.socket) -> str:
    """Where an address is asked."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
