"""The documentation as a site: it builds without a warning, and leads nowhere that is not there."""

import inspect
import re
from html import unescape
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import emo_llama_hf
from emo_llama_command import COMMANDS, load

pytest.importorskip("mkdocs")
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("bulk", "closed_set", "data", "evaluation", "instruct", "serving", "training", "writers")
LOADING = {"script", "link", "img", "iframe", "source", "video"}  # what a browser fetches by itself
MARKUP = re.compile(r"<[^>]+>")


class Elements(HTMLParser):
    """Anchors of a page, where it leads, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.anchors |= {value for value in (found.get("id"), found.get("name")) if value}
        target = found.get("href") or found.get("src")
        if target:
            (self.loaded if tag in LOADING and found.get("rel") != "canonical" else self.links).append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))  # `strict`: a warning ends it
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Elements]:
    return {path: Elements(path.read_text("utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_link_and_anchor_leads_somewhere(site, pages):
    checked = 0
    for page, elements in pages.items():
        for target in [*elements.links, *elements.loaded]:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            place = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert place.is_file(), (page.relative_to(site), target)
            anchor = unquote(parts.fragment)
            assert not anchor or anchor in pages[place].anchors, (page.relative_to(site), target)
            checked += bool(anchor)
    assert len(pages) > 20 and checked > 100


def test_nothing_is_loaded_from_elsewhere(site, pages):
    loaded = [target for elements in pages.values() for target in elements.loaded]
    assert loaded and not [target for target in loaded if urlsplit(target).netloc]
    sheets = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert sheets and not re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", sheets)


@pytest.mark.parametrize("name", emo_llama_hf.__all__)
def test_the_reference_has_every_public_name_with_its_arguments(site, name):
    """What Python says of a name is on its page; the site is made without importing it."""
    (page,) = [path for path in (site / "reference").glob("*.html") if f'id="emo_llama_hf.{name}"' in path.read_text()]
    told = page.read_text("utf-8").split(f'id="emo_llama_hf.{name}"')[1].split('<h2 id="')[0]
    shown = MARKUP.sub("", told)
    documented = getattr(emo_llama_hf, name)
    assert inspect.getdoc(documented).split("\n\n")[0].split()[0] in shown
    functions = [documented, *(vars(documented).values() if inspect.isclass(documented) else [])]
    public = [
        function
        for function in functions
        if function is documented
        or (inspect.isfunction(function) and (function.__name__ == "__call__" or function.__name__[0] != "_"))
    ]
    sections = [(inspect.getdoc(function) or "").partition("Args:")[2] for function in public]
    arguments = re.findall(r"^    (\w+) \(`", "\n".join(sections), re.MULTILINE)
    assert not {argument for argument in arguments if f"<strong><code>{argument}</code></strong>" not in told}
    assert arguments or name in ("default_model", "EmoLlamaImageProcessor")


@pytest.mark.parametrize("room", ROOMS)
def test_the_reference_has_every_public_class_of_a_room(room):
    module = import_module(f"emo_llama_hf.{room}")
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    listed = set(re.findall(r"^::: [\w.]+?(\w+)$", pages, re.MULTILINE))
    classes = {name for name in module.__all__ if inspect.isclass(getattr(module, name))}
    assert not classes - listed


def test_the_command_line_has_every_command_and_its_options(site):
    """As typer knows them: the page is made of the commands' own help."""
    shown = unescape(MARKUP.sub("", (site / "reference" / "command-line.html").read_text("utf-8")))
    for name, command in ((name, load(name)) for name in COMMANDS):
        assert f"Usage: emo-llama {name} [OPTIONS]" in shown
        options = [word for parameter in command.params for word in parameter.opts if word.startswith("-")]
        assert options and not [word for word in options if f" {word}" not in shown]


def test_no_docstring_is_shown_as_it_is_written(pages):
    """Every section became a list, every [`Name`] a link or a name."""
    for page in pages:
        if page.parent.name == "reference":
            text = re.sub(r"<pre.*?</pre>", "", page.read_text("utf-8"), flags=re.DOTALL)
            assert not re.search(r"<p>(Args|Returns|Raises|Attributes|Yields):|\[<code>", text), page.name
