"""`emo-llama demo`: a page in the browser about photos, the webcam and clips, and a Space of it."""

from ..missing_package import MissingPackageError

try:
    import gradio  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingPackageError(f"The page needs {error.name}: pip install 'emo_llama_hf[demo]'.") from error

from .limits import DemoLimits
from .page import build_page
from .serve_page import launch, page_files, serve_page
from .space import push_space

__all__ = ["DemoLimits", "build_page", "launch", "page_files", "push_space", "serve_page"]
