"""Texts by Gemini, who wrote the paper's instruction data, through the `google-genai` package."""

from typing import Any

from ..missing_package import MissingPackageError
from .writer import Reply, Request, TransientError, WriterError, error_of_status, seconds


class GeminiWriter:
    """
    Gemini writes.

    Args:
        model (`str`): name of a Gemini model.
        base_url (`str`, *optional*): another endpoint of the same protocol.
        api_key (`str`, *optional*): by default the environment's `GEMINI_API_KEY` or `GOOGLE_API_KEY`.
        temperature (`float`, *optional*, defaults to 0.9): of the sampling.
        timeout (`float`, *optional*, defaults to 120): seconds without an answer.

    Raises:
        `MissingPackageError`: the extra `gemini` is not installed.
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
            from google import genai
            from google.genai import errors, types
        except ImportError as error:
            raise MissingPackageError(
                "This writer needs the google-genai package: pip install 'emo_llama_hf[gemini]'."
            ) from error
        self._errors, self._types = errors, types
        self.name = f"gemini:{model}"
        self._model, self._temperature = model, temperature
        # Without `retry_options` the client tries once: retries are ours, so that they are counted.
        options = types.HttpOptions(base_url=base_url, timeout=int(timeout * 1000))
        try:
            self._client = genai.Client(api_key=api_key, http_options=options)
        except ValueError as error:
            raise WriterError(str(error)) from error

    def write(self, request: Request) -> Reply:
        """
        Ask once, see [`Writer.write`].

        Args:
            request ([`Request`])
        """
        types = self._types
        pictures = [types.Part.from_bytes(data=jpeg, mime_type="image/jpeg") for jpeg in request.jpegs()]
        config = types.GenerateContentConfig(
            temperature=self._temperature,
            seed=request.seed,
            response_mime_type=None if request.schema is None else "application/json",
            response_json_schema=request.schema,
        )
        try:
            response = self._client.models.generate_content(
                model=self._model, contents=[*pictures, request.prompt], config=config
            )
        except self._errors.APIError as error:
            raise error_of_status(error.code, str(error.message), _retry_after(error)) from error
        except (OSError, ValueError) as error:
            raise TransientError(f"{type(error).__name__}: {error}") from error
        except Exception as error:  # the HTTP client's own classes, which depend on the installed version
            if type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2"):
                raise TransientError(f"{type(error).__name__}: {error}") from error
            raise
        usage = response.usage_metadata
        feedback = response.prompt_feedback
        blocked = feedback.block_reason if feedback is not None else None
        reason = response.candidates[0].finish_reason if response.candidates else None
        if blocked is None and reason is not None and reason.name not in ("STOP", "MAX_TOKENS"):
            blocked = reason
        return Reply(
            response.text or "",
            (usage.prompt_token_count or 0) if usage else 0,
            # Thoughts are billed as output.
            (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0) if usage else 0,
            str(blocked.name) if blocked is not None else None,
        )


def _retry_after(error: Any) -> float | None:
    """Seconds that Gemini asks to wait, in the header or in the error's details."""
    header = seconds(getattr(error.response, "headers", {}).get("retry-after"))
    if header is not None or not isinstance(error.details, dict):
        return header
    details = error.details.get("error", error.details).get("details") or []
    return next((seconds(detail["retryDelay"]) for detail in details if "retryDelay" in detail), None)
