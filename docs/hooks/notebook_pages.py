"""Notebooks as pages: their texts, their code, and the outputs that were kept with them."""

import base64
from pathlib import Path, PurePosixPath

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Put a page beside each notebook, which stays there to be downloaded."""
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        page = str(PurePosixPath(notebook.src_uri).with_suffix(".md"))
        content = nbformat.read(Path(notebook.abs_src_path or ""), as_version=4)
        parts = []
        for number, cell in enumerate(content.cells):
            if cell.cell_type == "markdown":
                parts.append(cell.source)
                continue
            parts.append(f"```python\n{cell.source}\n```")
            for at, output in enumerate(cell.outputs):
                shown = output.get("data", {})
                if "image/png" in shown:
                    name = f"{PurePosixPath(page).stem}-{number}-{at}.png"
                    picture = base64.b64decode(shown["image/png"])
                    files.append(File.generated(config, f"notebooks/{name}", content=picture))
                    parts.append(f"![output]({name})")
                elif "text/html" in shown:
                    parts.append(shown["text/html"])
                else:
                    text = output.get("text") or shown.get("text/plain", "")
                    parts.append(f"```\n{text.rstrip()}\n```")
        parts.append(f"[Download this notebook]({PurePosixPath(notebook.src_uri).name})")
        files.append(File.generated(config, page, content="\n\n".join(parts)))
