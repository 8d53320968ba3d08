"""EmoLlama: an implementation of EMO-LLaMA (arXiv 2408.11424) on Hugging Face transformers."""

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent
# In a source checkout `modeling/`, `processing/` and `conversion/` lie beside this folder, not inside it.
if (_CHECKOUT / "setup.py").is_file() and (_CHECKOUT / "modeling").is_dir():
    __path__.append(str(_CHECKOUT))

__version__ = "0.1.0"
