"""Shows the page: to this machine, or with a password to others; it loads nothing from anywhere else."""

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import gradio
from accelerate.utils import patch_environment
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import DemoLimits

FONTS = ("system-ui", "sans-serif")  # of the visitor's machine: gradio would load others
LOOPBACK = ["127.0.0.1", "localhost", "::1", "[::1]"]
USER = "demo"  # whose name goes with the password
# What browsers may load: nothing that is not the page's own. gradio's pages have scripts within them.
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)


class OwnSourcesOnly:
    """
    Tells browsers to load nothing from elsewhere.

    Args:
        app (`ASGIApp`): what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self.app(scope, receive, told if scope["type"] == "http" else send)


def launch(
    page: gradio.Blocks,
    limits: DemoLimits,
    host: str | None = None,
    port: int | None = None,
    password: str | None = None,
) -> str:
    """
    Start to show a page, in threads of its own.

    Args:
        page (`gradio.Blocks`): from [`build_page`].
        limits ([`DemoLimits`]): the page's.
        host (`str`, *optional*): address; by default gradio's own choice, this machine only.
        port (`int`, *optional*): by default gradio's own choice.
        password (`str`, *optional*): to be given with the name `demo`.

    Returns:
        `str`: its address.
    """
    middleware = [Middleware(OwnSourcesOnly)]
    if host is not None and password is None:  # no page of others asks by way of a visitor's browser
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, host]))
    _, url, _ = page.launch(
        server_name=f"[{host}]" if host is not None and ":" in host else host,
        server_port=port,
        auth=None if password is None else (USER, password),
        max_file_size=limits.file_bytes,
        share=False,
        ssr_mode=False,
        inbrowser=False,
        quiet=True,
        show_error=True,
        prevent_thread_lock=True,
        footer_links=["settings"],
        state_session_capacity=4 * limits.max_waiting,
        enable_monitoring=False,
        app_kwargs={"middleware": middleware},
        theme=gradio.themes.Default(primary_hue="indigo", neutral_hue="slate", font=FONTS, font_mono=FONTS),
        css_paths=Path(__file__).with_name("page.css"),
    )
    return str(url)


@contextmanager
def page_files() -> Iterator[None]:
    """A folder for what visitors of pages that are built within the block show, which is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="emo-llama-demo-", ignore_cleanup_errors=True) as folder,
        patch_environment(GRADIO_TEMP_DIR=folder),
    ):
        yield


def serve_page(page: gradio.Blocks, limits: DemoLimits, host: str, port: int, password: str | None = None) -> None:
    """
    Show a page until Ctrl-C or SIGTERM.

    Args:
        page, limits, host, port, password: see [`launch`].
    """

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    url = launch(page, limits, host, port, password)
    with suppress(KeyboardInterrupt):
        print(f"The page is at {url} until Ctrl-C.", file=sys.stderr, flush=True)
        while True:
            time.sleep(3600)
    page.close(verbose=False)
