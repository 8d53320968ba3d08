"""Whoever writes a text about pictures: a model behind an endpoint or on this machine, and patience with them."""

from .gemini_writer import GeminiWriter
from .openai_writer import OpenAIWriter
from .patience import Patience
from .provider import provider_of, provider_writer
from .transformers_writer import TransformersWriter
from .writer import NoReplyError, Reply, Request, RequestError, TransientError, Writer, WriterError

__all__ = [
    "GeminiWriter",
    "NoReplyError",
    "OpenAIWriter",
    "Patience",
    "Reply",
    "Request",
    "RequestError",
    "TransformersWriter",
    "TransientError",
    "Writer",
    "WriterError",
    "provider_of",
    "provider_writer",
]
