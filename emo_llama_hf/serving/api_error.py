"""The error that a client is told, in OpenAI's format."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from starlette.responses import JSONResponse
from transformers.utils import logging

from ..input_error import InputError
from ..processing.setting_checks import SURROGATE

logger = logging.get_logger(__name__)

NAMES = {"inputs": "messages", "max_new_tokens": "max_tokens"}  # what requests call arguments of the pipeline


class ApiError(Exception):
    """
    A request that is not answered.

    Args:
        status (`int`): of HTTP.
        message (`str`): one sentence: what was wrong, what to do.
        param (`str`, *optional*): which part of the request it is about.
        code (`str`, *optional*): a word for programs.
        headers (`dict[str, str]`, *optional*): beside the body.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = headers

    @property
    def body(self) -> dict[str, Any]:
        """What OpenAI's clients read."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        message = SURROGATE.sub("\ufffd", " ".join(self.message.split()))  # what a client sent may stand in it
        return {"error": {"message": message, "type": kind, "param": self.param, "code": self.code}}

    @property
    def response(self) -> JSONResponse:
        """The whole response."""
        return JSONResponse(self.body, self.status, headers=self.headers)


def as_api_error(error: Exception) -> ApiError:
    """
    What a client is told of an error of the pipeline; one that is no fault of the request goes to the log.

    Args:
        error (`Exception`)
    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, InputError):
        found = re.search(r"`(\w+)", str(error))
        text = re.sub(r"`(\w+)`", lambda name: f"`{NAMES.get(name[1], name[1])}`", str(error))
        return ApiError(400, text, NAMES.get(found[1], found[1]) if found else None)
    logger.error("A request could not be answered.", exc_info=error)
    if isinstance(error, torch.OutOfMemoryError):
        return ApiError(503, "There is not enough memory for this request: show or ask less, or try again later.")
    return ApiError(500, "The server could not answer; its log says why.")
