"""Instruction data: category questions, and conversations that a language model or templates write."""

from ..writers import (
    GeminiWriter,
    OpenAIWriter,
    Reply,
    Request,
    RequestError,
    TransformersWriter,
    TransientError,
    Writer,
    WriterError,
)
from .category import CategoryQuestions
from .conversation import Conversations
from .instruct import instruct
from .instruct_report import InstructReport
from .template_writer import TemplateWriter

__all__ = [
    "CategoryQuestions",
    "Conversations",
    "GeminiWriter",
    "InstructReport",
    "OpenAIWriter",
    "Reply",
    "Request",
    "RequestError",
    "TemplateWriter",
    "TransformersWriter",
    "TransientError",
    "Writer",
    "WriterError",
    "instruct",
]
