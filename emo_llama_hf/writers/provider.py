"""A writer by the name of its provider and of its model: `gemini:NAME` or `openai:NAME`."""

from ..input_error import InputError
from .gemini_writer import GeminiWriter
from .openai_writer import OpenAIWriter
from .writer import Writer

PROVIDERS: dict[str, type[GeminiWriter] | type[OpenAIWriter]] = {"gemini": GeminiWriter, "openai": OpenAIWriter}


def provider_of(name: str | None) -> str | None:
    """
    The provider in a name of the form `provider:model`; `None` for models of this machine and of the hub.

    Args:
        name (`str`, *optional*)
    """
    provider, separator, _ = (name or "").partition(":")
    return provider if separator and provider in PROVIDERS else None


def provider_writer(
    name: str, base_url: str | None, api_key: str | None, temperature: float, timeout: float
) -> Writer:
    """
    Open the writer of a name.

    Args:
        name (`str`): `provider:model`.
        base_url, api_key, temperature, timeout: see [`OpenAIWriter`].

    Raises:
        `InputError`: the model is missing.
        `MissingPackageError`: the provider's package is not installed.
        `WriterError`: no key.
    """
    provider, _, model = name.partition(":")
    if not model:
        raise InputError(f"`model`: {name!r} lacks the provider's name of the model: give `{provider}:NAME`.")
    return PROVIDERS[provider](model, base_url=base_url, api_key=api_key, temperature=temperature, timeout=timeout)
