"""The body of a request: received within limits, and as JSON."""

import json
from typing import Any, NoReturn

from starlette.requests import Request

from ..processing.setting_checks import check_unicode
from .api_error import ApiError
from .limits import ServingLimits


async def read_body(request: Request, limits: ServingLimits) -> dict[str, Any]:
    """
    The JSON object that a request brings, without what is `null`.

    Args:
        request (`Request`)
        limits ([`ServingLimits`])

    Raises:
        [`ApiError`]: it is of another type, too long, or no JSON object.
        `ClientDisconnect`: the client went before its end.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # which a page in a browser cannot send elsewhere without being allowed to
        raise ApiError(415, f"The content type must be application/json, got {kind or 'none'}.")
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > limits.body_bytes:
        raise _too_long(limits)
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limits.body_bytes:
            raise _too_long(limits)
    try:
        body = json.loads(content, parse_constant=_refuse)
        if rb"\ud" in content.lower():
            check_unicode("body", json.dumps(body, ensure_ascii=False))
    except RecursionError:
        raise ApiError(400, "The body is no JSON that can be read: it is nested too deeply.") from None
    except ValueError as error:  # no JSON, no UTF-8, a number of thousands of digits
        raise ApiError(400, f"The body is no JSON that can be read: {str(error).rstrip('.')}.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.")
    return {name: value for name, value in body.items() if value is not None}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _too_long(limits: ServingLimits) -> ApiError:
    return ApiError(413, f"The body is longer than the {limits.max_body:g} MB that this server takes.")
