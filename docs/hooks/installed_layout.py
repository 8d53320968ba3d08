"""The package laid out as it is installed, for what reads it without importing it."""

import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority

ROOT = Path(__file__).resolve().parents[2]
_tree = tempfile.TemporaryDirectory()  # goes with the process


@event_priority(100)  # before mkdocstrings takes its settings
def on_config(config: MkDocsConfig) -> None:
    """Let mkdocstrings find the package in a tree of links: in a checkout three subpackages lie beside it."""
    package = Path(_tree.name) / "emo_llama_hf"
    if not package.is_dir():
        package.mkdir()
        for path in (ROOT / "emo_llama_hf").iterdir():
            (package / path.name).symlink_to(path)
        for folder in ("modeling", "processing", "conversion"):
            (package / folder).symlink_to(ROOT / folder)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [_tree.name]
