"""A photo and a video as visitors give them: files as they are, for this package's readers to judge."""

from typing import Any

import gradio

from ..input_error import InputError

class PhotoInput(gradio.Image):
    """gradio's picture, which it does not open: that may fail, without a word that a visitor understands."""

    is_template = True  # to the browser it is gradio's own

    def preprocess(self, payload: Any) -> str | None:
        """The path of the uploaded file."""
        return _path(payload)
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block

    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component

class ClipInput(gradio.Video):
    """gradio's video, of which nothing is converted."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        """The path of the uploaded file."""
        return _path(payload)
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block

    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component

def _path(payload: Any) -> str | None:
    if payload is None:
        return None
    if payload.path is None:
        raise InputError("`path` is missing: upload the file.")
    return str(payload.path)
