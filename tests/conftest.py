"""Fixtures that many tests share."""

import os
import sys

# Before huggingface_hub is imported: a test that would reach the network fails at once instead of hanging.
os.environ["HF_HUB_OFFLINE"] = "1"

from functools import partial

import huggingface_hub
import pytest
import transformers.dynamic_module_utils
import transformers.utils.hub
from accelerate.state import AcceleratorState
from huggingface_hub import constants

from hub_server import HubServer
from llm_server import KEY, LlmServer


@pytest.fixture
def hub_server(tmp_path):
    """A running `HubServer`; for a subprocess, pass it `env=hub_server.environment(tmp_path / "home")`."""
    server = HubServer(tmp_path / "hub")
    yield server
    server.close()


@pytest.fixture
def hub(hub_server, tmp_path, monkeypatch):
    """A running `HubServer` that this process's huggingface_hub and transformers use, signed in, with empty caches."""
    home = tmp_path / "home"
    modules = str(home / "modules")
    environment = hub_server.environment(home)
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # Both libraries read the environment once, when they are imported.
    for name, value in {
        "ENDPOINT": hub_server.endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub_server.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_URL_HOSTS": frozenset({"127.0.0.1"}),
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_TELEMETRY": True,
    }.items():
        monkeypatch.setattr(constants, name, value, raising=False)
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", hub_server.endpoint)
    monkeypatch.setattr(transformers.utils.hub, "_hf_api", None, raising=False)
    for module in (transformers.utils.hub, transformers.dynamic_module_utils):
        monkeypatch.setattr(module, "HF_MODULES_CACHE", modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget_remote_code()
    yield hub_server
    forget_remote_code()


def forget_remote_code() -> None:
    """Drop modules loaded by `trust_remote_code`, which are looked up by a name that does not say from which cache."""
    for name in [name for name in sys.modules if name.split(".")[0] == "transformers_modules"]:
        del sys.modules[name]


@pytest.fixture
def server():
    """A running `LlmServer`."""
    server = LlmServer()
    yield server
    server.close()


@pytest.fixture(params=["openai", "gemini"])
def make_writer(request, server):
    """Makes a writer that asks `server`, in each of the two protocols."""
    package = "openai" if request.param == "openai" else "google.genai"
    pytest.importorskip(package, reason=f"the extra `{request.param}` is not installed")
    from emo_llama_hf.writers import GeminiWriter, OpenAIWriter

    def make(key=KEY, timeout=20.0):
        name, kind = ("some/model", OpenAIWriter) if request.param == "openai" else ("some-model", GeminiWriter)
        return kind(name, base_url=make.url, api_key=key, timeout=timeout)

    make.protocol = request.param
    make.url = f"{server.url}/v1" if request.param == "openai" else server.url
    return make


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folder of a tiny untrained checkpoint whose face prior has a say; not to be written to."""
    from tiny_model import build_tiny

    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def forgotten_device():
    """Forget the device that accelerate chose: call it between two choices; it is called afterwards."""
    forget = partial(AcceleratorState._reset_state, reset_partial_state=True)
    yield forget
    forget()
