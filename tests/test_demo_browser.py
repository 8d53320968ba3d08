"""
The page of `emo-llama demo` in a real browser: Debian's Chromium without a window, its camera a drawn one.

With `EMO_LLAMA_SCREENSHOTS=docs` the pictures of docs/demo.md are made anew.
"""

import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from transformers import pipeline

import emo_llama_hf

pytest.importorskip("gradio", reason="the extra `demo` is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from PIL import Image  # noqa: E402

from emo_llama_hf.demo import DemoLimits, build_page, launch, page_files  # noqa: E402
from emo_llama_hf.demo.layout import EXAMPLES  # noqa: E402

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium"),
]
SAMPLES = Path(__file__).parent / "samples"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
LIMITS = DemoLimits(max_file=2)
NEAR = "time => Math.abs(document.querySelector('#annotated-clip video').currentTime - time) < 0.1"
expect = playwright.expect
expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def url():
    with page_files():
        page = build_page(pipeline("emotion-chat", model=emo_llama_hf.default_model()), LIMITS)
        yield launch(page, LIMITS, "127.0.0.1")
        page.close(verbose=False)


@pytest.fixture(scope="module")
def run():
    with playwright.sync_playwright() as run:
        yield run


@pytest.fixture
def browser(run, url, tmp_path):
    """Opens the page in a browser of its own, which asks nobody but the page."""

    @contextmanager
    def opened(viewport=DESK, scheme="light"):
        asked = []
        context = run.chromium.launch_persistent_context(
            tmp_path / "user",
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            viewport=viewport,
            color_scheme=scheme,
            permissions=["camera", "microphone"],
        )
        page = context.pages[0]
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: asked.append(f"error: {error}"))
        page.goto(url)
        expect(page.locator("#photo")).to_be_visible()
        yield page
        context.close()
        assert asked and not [one for one in asked if not one.startswith((url, "data:", "blob:"))]

    return opened


@pytest.fixture
def keep(tmp_path):
    """Keeps a picture of what is seen; where asked for, as one of the documents'."""

    def keep(page, name, colors=128):
        whole = tmp_path / "whole.png"
        page.screenshot(path=whole, full_page=True)
        wanted = Path(os.environ.get("EMO_LLAMA_SCREENSHOTS", tmp_path)) / name
        Image.open(whole).convert("RGB").quantize(colors).save(wanted, optimize=True)
        assert 10_000 < wanted.stat().st_size < 300_000
        return wanted

    return keep


def upload(page, part, path):
    page.set_input_files(f"{part} input[type=file]", path)


def answers(page, count):
    """The answers in the chat, once there are so many and the last is whole."""
    bubbles = page.locator("#chat .bot.message")
    expect(bubbles).to_have_count(count)
    expect(bubbles.last).to_contain_text(re.compile(r"\.\s*$"))
    return [text.strip() for text in bubbles.all_inner_texts()]


def test_a_photo_of_two_people_and_a_chat(browser, keep):
    with browser() as page:
        upload(page, "#photo", EXAMPLES / "two_people.jpg")
        expect(page.locator("#annotated img")).to_be_visible()
        expect(page.locator("#scores")).to_contain_text("happy")
        assert "happy" in answers(page, 1)[0]
        # A click on the other face, then back by the keyboard.
        box = page.locator("#annotated img").bounding_box()
        page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
        expect(page.locator("#scores h2")).to_have_text("neutral")
        assert "neutral" in answers(page, 1)[0]
        page.get_by_role("radio", name="person 0").focus()
        page.keyboard.press("Space")
        expect(page.locator("#scores h2")).to_have_text("happy")
        assert "happy" in answers(page, 1)[0]
        page.locator("#question textarea").fill("Is she sad?")
        page.keyboard.press("Enter")
        assert answers(page, 2)[1] == "The person looks happy, so no."
        page.get_by_role("button", name="Is the mood positive or negative?").click()
        answers(page, 3)
        keep(page, "demo.png")
        page.get_by_label("Guess perceived age").uncheck()
        expect(page.locator("#perceived")).to_be_hidden()
        page.get_by_role("button", name="Show something else").click()
        expect(page.locator("#photo")).to_be_visible()
        expect(page.locator("#results")).to_be_hidden()


def test_a_video_and_its_timeline(browser, keep):
    with browser(scheme="dark") as page:
        page.get_by_role("tab", name="Video").click()
        upload(page, "#clip", EXAMPLES / "two_people.mp4")
        expect(page.locator("#timeline .person").first).to_be_visible()
        video = page.locator("#annotated-clip video")
        expect(video).to_be_visible()
        assert answers(page, 1)[0].startswith("The expression changes from")
        late = page.locator("#timeline .band button").last
        start = float(late.get_attribute("data-time"))
        assert 2 < start < 5
        late.focus()
        page.keyboard.press("Enter")
        page.wait_for_function(NEAR, arg=start)
        track = page.locator("#timeline .track").first.bounding_box()
        page.mouse.click(track["x"] + 0.25 * track["width"], track["y"] + 40)
        page.wait_for_function(NEAR, arg=1.5)
        playhead = page.locator("#timeline .playhead").first
        expect(playhead).to_have_attribute("style", re.compile(r"left: 2[45]\."))
        page.mouse.click(track["x"] + 0.8 * track["width"], track["y"] + 40)
        page.wait_for_timeout(1000)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        keep(page, "demo-video.png")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download the timeline").click()
        assert download.value.path().read_text("utf-8").startswith("time,person,")


def test_the_webcam(browser):
    with browser() as page:
        page.get_by_role("button", name="Capture from camera").click()
        page.get_by_text("Click to Access Webcam").click()
        page.wait_for_function("() => document.querySelector('#photo video')?.currentTime > 0.5")  # it shows something
        page.locator("#photo button[aria-label='capture photo']").click()
        expect(page.locator("#annotated img")).to_be_visible()
        expect(page.locator("#told")).to_contain_text("No face was found")
        expect(page.locator("#scores")).to_be_hidden()


def test_a_recording_of_the_webcam(browser):
    with browser() as page:
        page.get_by_role("tab", name="Video").click()
        page.locator("#clip").get_by_role("button", name="Capture from camera").click()
        page.locator("#clip").get_by_text("Click to Access Webcam").click()
        record = page.locator("#clip").get_by_role("button", name="start recording")
        record.click()
        page.wait_for_timeout(2000)
        record.click()  # it now says Stop
        expect(page.locator("#annotated-clip video")).to_be_visible()
        expect(page.locator("#told")).to_contain_text("No face was found")


def test_errors_are_told_where_the_file_was_given(browser, tmp_path):
    broken, large = tmp_path / "broken.png", tmp_path / "large.png"
    broken.write_bytes((SAMPLES / "chelsea.png").read_bytes()[:3000])
    large.write_bytes(bytes(2_100_000))
    with browser() as page:
        upload(page, "#photo", broken)
        expect(page.get_by_role("alert")).to_contain_text("The photo is a damaged or cut-off picture")
        upload(page, "#photo", large)
        expect(page.get_by_text("exceed the maximum allowed size")).to_be_visible()
        upload(page, "#photo", SAMPLES / "grace_hopper.jpg")  # and it goes on
        expect(page.locator("#scores h2")).to_have_text("neutral")
        expect(page.locator("#told")).to_be_hidden()


def test_a_phone(browser):
    with browser(PHONE) as page:
        page.locator("#limits summary").click()
        expect(page.get_by_text("Do not decide about people by this")).to_be_visible()
        page.locator("#photos button.gallery-item, #photos .gallery-item").first.click()
        expect(page.locator("#annotated img")).to_be_visible()
        answers(page, 1)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        picture = page.locator("#annotated img").bounding_box()
        assert picture["width"] > 0.8 * PHONE["width"]
        assert page.locator("#scores").bounding_box()["y"] > picture["y"] + picture["height"]  # one below the other
