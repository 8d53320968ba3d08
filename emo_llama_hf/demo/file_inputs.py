"""Photos and videos as visitors give them: files as they are, for this package's readers to judge."""

from abc import ABCMeta
from typing import Any

import gradio
from gradio.component_meta import ComponentMeta

from ..input_error import InputError


class _WithoutStub(ComponentMeta):
    """Makes classes as gradio's own metaclass does, which also writes a stub file beside each one's source."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


class PhotoInput(gradio.Image, metaclass=_WithoutStub):
    """gradio's picture, which it does not open: that may fail, without a word that a visitor understands."""

    is_template = True  # to the browser it is gradio's own

    def preprocess(self, payload: Any) -> str | None:
        """The path of the uploaded file."""
        return _path(payload)


class ClipInput(gradio.Video, metaclass=_WithoutStub):
    """gradio's video, of which nothing is converted."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        """The path of the uploaded file."""
        return _path(payload)


def _path(payload: Any) -> str | None:
    if payload is None:
        return None
    if payload.path is None:
        raise InputError("`path` is missing: upload the file.")
    return str(payload.path)
