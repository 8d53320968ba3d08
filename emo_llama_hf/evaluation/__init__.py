"""How well a model reads perceived emotions: protocols, figures and pictures."""

from .answer_parser import AnswerParser
from .chat_model_predictor import ChatModelPredictor
from .emo_llama_predictor import EmoLlamaPredictor
from .evaluate import evaluate
from .evaluation_report import make_report, save_confusion_matrix, save_report
from .metrics import calibration_error, emotion_metrics
from .predictor import Answer, Predictor
from .writer_predictor import WriterPredictor

__all__ = [
    "Answer",
    "AnswerParser",
    "ChatModelPredictor",
    "EmoLlamaPredictor",
    "Predictor",
    "WriterPredictor",
    "calibration_error",
    "emotion_metrics",
    "evaluate",
    "make_report",
    "save_confusion_matrix",
    "save_report",
]
