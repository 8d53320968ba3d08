"""Who may ask: whoever knows the key, or, where there is none, whoever is on this machine."""

import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from .api_error import ApiError

OPEN = "/health"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Gate:
    """
    An application behind a key, or for this machine only.

    Args:
        application (`ASGIApp`)
        api_key (`str`, *optional*):
            What a request must bring as `Authorization: Bearer KEY`, but for /health. Without one, its `Host` must be
            this machine: a page in a browser whose name was made to lead here has another.
    """

    def __init__(self, application: ASGIApp, api_key: str | None) -> None:
        self._application, self._api_key = application, api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        error = self._refusal(scope) if scope["type"] == "http" else None
        await (self._application if error is None else error.response)(scope, receive, send)

    def _refusal(self, scope: Scope) -> ApiError | None:
        headers = Headers(scope=scope)
        if self._api_key is None:
            host = _host_name(headers.get("host", ""))
            if host not in LOOPBACK_NAMES:
                return ApiError(403, "Without an API key this server answers at localhost and 127.0.0.1 only.")
        elif scope["path"] != OPEN:
            kind, _, key = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not secrets.compare_digest(key.strip().encode(), self._api_key.encode()):
                return ApiError(
                    401,
                    "The API key is missing or wrong: send `Authorization: Bearer KEY`.",
                    code="invalid_api_key",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        return None


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
