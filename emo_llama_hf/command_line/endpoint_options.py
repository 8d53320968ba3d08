"""The options that say how a model behind an endpoint is reached; shared by every command that asks one."""

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from ..input_error import InputError
from ..writers import Writer, provider_writer


@dataclass(frozen=True)
class EndpointOptions:
    """--base-url, --api-key-env, --timeout, --max-retries and --requests-per-minute."""

    base_url: Annotated[str | None, typer.Option(metavar="URL", help="endpoint (default: the provider's)")] = None
    api_key_env: Annotated[
        str | None,
        typer.Option(metavar="VAR", help="environment variable with the key (default: the provider's usual one)"),
    ] = None
    timeout: Annotated[float, typer.Option(metavar="S", help="seconds to wait for a reply")] = 120.0
    max_retries: Annotated[int, typer.Option(metavar="N", help="retries after a passing fault")] = 6
    requests_per_minute: Annotated[float | None, typer.Option(metavar="N", help="rate limit (default: none)")] = None

    def writer(self, name: str, temperature: float) -> Writer:
        """
        The model behind the endpoint.

        Args:
            name (`str`): `gemini:NAME` or `openai:NAME`.
            temperature (`float`): of its sampling.

        Raises:
            `InputError`: the model's name or the key is missing.
            `MissingPackageError`: the provider's package is not installed.
            `WriterError`: see the writers.
        """
        key = None
        if self.api_key_env:
            key = os.environ.get(self.api_key_env)
            if not key:
                raise InputError(f"`api_key_env`: the environment variable {self.api_key_env} is not set.")
        return provider_writer(name, self.base_url, key, temperature, self.timeout)
