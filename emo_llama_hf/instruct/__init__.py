"""Instruction data: category questions, and conversations that a language model or templates write."""

from .category import CategoryQuestions
from .conversation import Conversations
from .gemini_writer import GeminiWriter
from .instruct import instruct
from .instruct_report import InstructReport
from .openai_writer import OpenAIWriter
from .template_writer import TemplateWriter
from .transformers_writer import TransformersWriter
from .writer import Reply, Request, RequestError, TransientError, Writer, WriterError

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
