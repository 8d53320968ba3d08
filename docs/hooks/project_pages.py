"""Documents that lie elsewhere in the repository as pages of the site, and links to files that are no pages."""

import os.path
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "emo_llama_hf/default_checkpoint/README.md": "project/model-card.md",
    "recipes/paper/README.md": "project/paper-recipe.md",
}
ELSEWHERE = {"README.md": "index.md", "docs": "index.md"}  # what a page of the site says in their place
PLACES = {page: document for document, page in PAGES.items()}
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])+)\]\((?![a-z]+:|#|/)([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)

# Where files can be seen, once `repository-code` of CITATION.cff says so.
(REPOSITORY,) = re.findall(r"^repository-code: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M) or [None]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages."""
    for document, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / document).read_text("utf-8")))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to documents to their pages, and links to other files to the repository, or nowhere."""
    here = PurePosixPath(PLACES.get(page.file.src_uri, f"docs/{page.file.src_uri}"))

    def led(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        place = os.path.normpath(here.parent / target)
        inside = PAGES.get(place) or ELSEWHERE.get(place) or place.removeprefix("docs/")
        if inside in files.src_uris:
            return f"[{text}]({os.path.relpath(inside, PurePosixPath(page.file.src_uri).parent)}{anchor})"
        if not (ROOT / place).exists():
            return link[0]  # mkdocs says so
        return text if REPOSITORY is None else f"[{text}]({REPOSITORY}/blob/HEAD/{place}{anchor})"

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(led, part) for part in parts)
