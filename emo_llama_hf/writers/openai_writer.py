"""Texts by any endpoint that speaks OpenAI's chat completions, through the `openai` package."""

import base64
from typing import Any

from ..missing_package import MissingPackageError
from .writer import Reply, Request, TransientError, WriterError, error_of_status, seconds


class OpenAIWriter:
    """
    The endpoint writes.

    Args:
        model (`str`): the endpoint's name of the model; it must see pictures.
        base_url (`str`, *optional*): the endpoint, such as `http://localhost:8000/v1`; OpenAI's by default.
        api_key (`str`, *optional*): by default the environment's `OPENAI_API_KEY`.
        temperature (`float`, *optional*, defaults to 0.9): of the sampling.
        timeout (`float`, *optional*, defaults to 120): seconds without an answer.

    Raises:
        `MissingPackageError`: the extra `openai` is not installed.
        `WriterError`: no key.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        temperature: float = 0.9,
        timeout: float = 120.0,
    ) -> None:
        try:
            import openai
        except ImportError as error:
            raise MissingPackageError(
                "This writer needs the openai package: pip install 'emo_llama_hf[openai]'."
            ) from error
        self._openai = openai
        self.name = f"openai:{model}"
        self._model, self._temperature = model, temperature
        try:  # retries are ours, so that they are counted and share one rate limit
            self._client = openai.OpenAI(base_url=base_url, api_key=api_key, timeout=timeout, max_retries=0)
        except openai.OpenAIError as error:
            raise WriterError(str(error)) from error

    def write(self, request: Request) -> Reply:
        """
        Ask once, see [`Writer.write`].

        Args:
            request ([`Request`])
        """
        pictures = [
            {
                "type": "image_url",
                "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()},
            }
            for jpeg in request.jpegs()
        ]
        content = [*pictures, {"type": "text", "text": request.prompt}]
        form: dict[str, Any] = {}
        if request.schema is not None:
            schema = {"name": "reply", "schema": request.schema, "strict": True}
            form["response_format"] = {"type": "json_schema", "json_schema": schema}
        try:
            completion = self._client.chat.completions.create(
                model=self._model,
                messages=[{"role": "user", "content": content}],
                temperature=self._temperature,
                seed=request.seed,
                **form,
            )
        except self._openai.APIStatusError as error:
            retry_after = seconds(error.response.headers.get("retry-after"))
            raise error_of_status(error.status_code, error.message, retry_after) from error
        except (self._openai.APIConnectionError, self._openai.APIResponseValidationError, ValueError) as error:
            raise TransientError(f"{type(error).__name__}: {error}") from error
        usage = getattr(completion, "usage", None)
        choices = getattr(completion, "choices", None)
        if not choices:
            raise TransientError("the answer is no chat completion")
        message = choices[0].message
        filtered = "content filter" if choices[0].finish_reason == "content_filter" else None
        return Reply(
            message.content or "",
            usage.prompt_tokens if usage else 0,
            usage.completion_tokens if usage else 0,
            message.refusal or filtered,
        )
