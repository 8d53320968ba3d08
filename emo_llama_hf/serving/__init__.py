"""A model behind HTTP, as OpenAI's clients ask: what a request may say, how many are answered at once."""

from ..missing_package import MissingPackageError

try:
    import prometheus_client  # noqa: F401
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingPackageError(f"Serving needs {error.name}: pip install 'emo_llama_hf[serve]'.") from error

from .application import build_application
from .limits import ServingLimits
from .server import make_server, model_name

__all__ = ["ServingLimits", "build_application", "make_server", "model_name"]
