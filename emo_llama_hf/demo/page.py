"""The page: its parts, and what happens when a visitor does something."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio

from ..chat.pipeline import EmotionChatPipeline
from ..chat_message import ChatMessage, ChatPart, VisualKind
from ..input_error import InputError
from ..processing.visual import Visual
from .clip import look_at_clip
from .layout import Layout, lay_out
from .limits import DemoLimits
from .person import Shown
from .photo import Photo, look_at_photo
from .streamed_answer import streamed_answer
from .timeline_view import timeline_view
from .told import failed, noted, working
from .views import Changes, of_person
from .words import FIRST_QUESTIONS

NOTHING = "Show a photo or a video first."
KEPT = 3600  # seconds for which files of visitors stay


def build_page(
    pipe: EmotionChatPipeline, limits: DemoLimits | None = None, infer_attributes: bool = True
) -> gradio.Blocks:
    """
    The page, to be shown by [`serve_page`] or gradio's own `launch`.

    Args:
        pipe ([`EmotionChatPipeline`]): who looks and answers.
        limits ([`DemoLimits`], *optional*): the defaults if left out.
        infer_attributes (`bool`, *optional*, defaults to `True`):
            Whether visitors may have age, gender and race perceived.
    """
    limits = limits or DemoLimits()
    page: gradio.Blocks
    with gradio.Blocks(title="EmoLlama", analytics_enabled=False, delete_cache=(KEPT // 6, KEPT)) as page:
        layout = lay_out(limits, infer_attributes)
        _connect(layout, _Answers(pipe, layout, limits, infer_attributes))
    page.queue(max_size=limits.max_waiting, default_concurrency_limit=1)
    return page


def _connect(layout: Layout, answers: "_Answers") -> None:
    model: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress": "hidden"}
    about = [layout.people, layout.shown]
    answer: dict[str, Any] = {"outputs": [layout.chat, layout.question, layout.told], **model}
    asked: dict[str, Any] = {"fn": answers.ask, "inputs": [layout.question, layout.chat, *about], **answer}
    first: dict[str, Any] = {"fn": answers.ask_first, "inputs": about, "api_visibility": "private", **answer}
    everything = [part for part in vars(layout).values() if not isinstance(part, (gradio.Tabs, tuple))]
    everything += layout.examples

    def look(show: Any, source: Any, name: str) -> list[Any]:
        inputs = [source, layout.attributes, layout.shown]
        looking = source.change(show, inputs, everything, api_name=name, **model)
        looking.success(**first)
        anew = layout.attributes.input(show, inputs, everything, api_visibility="private", **model)
        anew.success(**first)
        return [looking, anew]

    look(answers.show_photo, layout.photo, "photo")
    at_clip = look(answers.show_clip, layout.clip, "video")
    picked = [layout.people, layout.scores, layout.perceived, layout.annotated, layout.told, layout.chat]
    layout.people.input(answers.pick, about, picked, api_name="person", **model).success(**first)
    at_place = layout.annotated.select(answers.pick_at, about, picked, api_visibility="private", **model)
    at_place.success(**first)
    gradio.on([layout.question.submit, layout.send.click], **asked, api_name="ask")
    layout.questions.click(
        lambda sample: sample[0], layout.questions, layout.question, api_visibility="private", queue=False
    ).then(**asked, api_visibility="private")
    start: dict[str, Any] = {"outputs": everything, "api_visibility": "private", "queue": False}
    gradio.on([layout.again.click, layout.stop.click], answers.forget, cancels=at_clip, **start)
    layout.tabs.change(answers.forget_shown, layout.shown, **start)


class _Answers:
    """What the page's events do; whatever goes wrong is told on the page."""

    def __init__(self, pipe: EmotionChatPipeline, layout: Layout, limits: DemoLimits, infer_attributes: bool) -> None:
        self.pipe, self.layout, self.limits, self.infer_attributes = pipe, layout, limits, infer_attributes

    def show_photo(self, path: str | None, attributes: bool, shown: Shown | None) -> Changes:
        """Look at a photo."""
        layout = self.layout
        if path is None:
            return {layout.shown: shown}
        try:
            photo = look_at_photo(self.pipe, path, self.limits, attributes and self.infer_attributes)
            changes = of_person(layout, self.pipe, photo, 0)
        except Exception as error:
            return {**self.forget(), layout.told: failed(error, path)}
        return {**changes, **self._looked(photo, 0), layout.photo: gradio.update(visible=False)}

    def show_clip(self, path: str | None, attributes: bool, shown: Shown | None) -> Iterator[Changes]:
        """Look at a video, and tell what is known so far."""
        layout = self.layout
        if path is None:
            yield {layout.shown: shown}
            return
        yield {
            layout.shown: None,
            layout.told: working("Looking at the video ..."),
            layout.stop: gradio.update(visible=True),
            layout.results: gradio.update(visible=False),
            layout.rows: gradio.update(visible=False),
            layout.examples[1]: gradio.update(visible=False),
        }
        try:
            with tempfile.TemporaryDirectory() as folder:
                rows, annotated = Path(folder, "timeline.csv"), Path(folder, "annotated.mp4")
                looked = None
                for looked in look_at_clip(
                    self.pipe, path, self.limits, attributes and self.infer_attributes, rows, annotated
                ):
                    far = looked.rows[-1]["time"] if looked.rows else 0.0
                    until = f" of {looked.timeline.duration:.1f}" if looked.timeline.duration else ""
                    yield {
                        layout.told: working(f"Looking at the video: {far:.1f}{until} seconds ..."),
                        layout.timeline: gradio.update(value=timeline_view(looked), visible=True),
                    }
                assert looked is not None
                changes = of_person(layout, self.pipe, looked, looked.most_seen)
                played = str(annotated) if annotated.exists() else path
                yield {
                    **changes,
                    **self._looked(looked, looked.most_seen),
                    layout.clip: gradio.update(visible=False),
                    layout.timeline: gradio.update(value=timeline_view(looked), visible=True),
                    layout.annotated_clip: gradio.update(value=played, visible=True),
                    layout.rows: gradio.update(value=str(rows), visible=True),
                    layout.stop: gradio.update(visible=False),
                }
        except Exception as error:
            yield {**self.forget(), layout.told: failed(error, path)}

    def _looked(self, shown: Shown, index: int) -> Changes:
        layout = self.layout
        choices = [(name, i) for i, name in enumerate(shown.names)]
        return {
            layout.shown: shown,
            layout.people: gradio.update(choices=choices, value=index, visible=len(choices) > 1),
            layout.told: noted(shown.notes),
            layout.results: gradio.update(visible=True),
            layout.again: gradio.update(visible=True),
            layout.chat: [],
            **{examples: gradio.update(visible=False) for examples in layout.examples},
        }

    def pick(self, index: int, shown: Shown | None) -> Changes:
        """Tell of another person."""
        layout = self.layout
        if shown is None:
            return {layout.told: failed(InputError(NOTHING))}
        try:
            return {**of_person(layout, self.pipe, shown, index), layout.chat: []}
        except Exception as error:
            return {layout.told: failed(error)}

    def pick_at(self, index: int, shown: Shown | None, place: gradio.SelectData) -> Changes:
        """Tell of whoever's face was clicked."""
        found = shown.person_at(*place.index) if isinstance(shown, Photo) else None
        return self.pick(index if found is None else found, shown)

    def ask_first(self, index: int, shown: Shown | None) -> Iterator[Changes]:
        """What anybody would ask first."""
        if shown is not None and shown.person(index).result["emotion"] is not None:
            yield from self.ask(FIRST_QUESTIONS[shown.kind], [], index, shown)
        else:
            yield {self.layout.chat: []}

    def ask(self, question: str, said: list[dict[str, Any]], index: int, shown: Shown | None) -> Iterator[Changes]:
        """Answer a question about a person, in the course of a chat."""
        layout = self.layout
        if not question.strip():
            yield {layout.question: question}
            return
        try:
            if shown is None:
                raise InputError(NOTHING)
            if len(said) >= 2 * self.limits.max_turns:
                raise InputError(f"A chat has up to {self.limits.max_turns} questions: show the photo or video again.")
            person = shown.person(index or 0)
            turns = [(turn["role"], _text(turn["content"])) for turn in said] + [("user", question)]
            messages = _messages(turns, shown.kind, person.visual)
            settings = {} if shown.attributes else {"attributes": False}
            chat = [{"role": role, "content": text} for role, text in turns]
            yield {layout.chat: chat, layout.question: "", layout.told: noted(shown.notes)}
            for answer in streamed_answer(self.pipe, messages, max_new_tokens=self.limits.max_tokens, **settings):
                yield {layout.chat: [*chat, {"role": "assistant", "content": answer}]}
        except Exception as error:
            yield {layout.chat: said, layout.question: question, layout.told: failed(error)}

    def forget_shown(self, shown: Shown | None) -> Changes:
        """Begin anew, unless nothing was shown yet: what somebody is just about to show stays."""
        return {self.layout.shown: None} if shown is None else self.forget()

    def forget(self) -> Changes:
        """Begin anew."""
        layout = self.layout
        hidden = (layout.annotated, layout.annotated_clip, layout.timeline, layout.rows)
        return {
            **{part: gradio.update(value=None, visible=False) for part in hidden},
            **{part: gradio.update(visible=False) for part in (layout.stop, layout.again, layout.results)},
            **{part: gradio.update(value=None, visible=True) for part in (layout.photo, layout.clip)},
            **{examples: gradio.update(visible=True) for examples in layout.examples},
            layout.shown: None,
            layout.told: "",
            layout.chat: [],
            layout.question: "",
        }


def _messages(turns: list[tuple[str, str]], kind: VisualKind, visual: Visual) -> list[ChatMessage]:
    """A chat whose first turn shows something."""
    parts: list[list[ChatPart]] = [[{"type": "text", "text": text}] for _, text in turns]
    parts[0].insert(0, {"type": kind, kind: visual})
    return [{"role": role, "content": part} for (role, _), part in zip(turns, parts, strict=True)]


def _text(content: Any) -> str:
    """Of a turn, as gradio gives it."""
    parts = content if isinstance(content, list) else [content]
    return "".join(part["text"] if isinstance(part, dict) else str(part) for part in parts)
