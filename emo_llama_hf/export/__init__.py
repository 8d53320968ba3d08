"""Models as graphs for torch.export, ONNX Runtime and OpenVINO, and how these answer."""

from .exported_emo_llama import ExportedEmoLlama, is_export

__all__ = ["ExportedEmoLlama", "is_export"]
