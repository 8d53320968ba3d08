"""What the page consists of, from top to bottom."""

from dataclasses import dataclass
from pathlib import Path

import gradio

from .file_inputs import ClipInput, PhotoInput
from .limits import DemoLimits
from .words import ATTRIBUTES, LIMITS, NO_ATTRIBUTES, QUESTIONS, TITLE

HERE = Path(__file__).parent
EXAMPLES = HERE / "examples"
PHOTOS = ("astronaut.jpg", "grace_hopper.jpg", "two_people.jpg")
CLIPS = ("two_people.mp4",)


@dataclass(frozen=True)
class Layout:
    """The parts of the page that events read or change."""

    shown: gradio.State
    attributes: gradio.Checkbox
    tabs: gradio.Tabs
    photo: PhotoInput
    annotated: gradio.Image
    clip: ClipInput
    annotated_clip: gradio.Video
    timeline: gradio.HTML
    rows: gradio.DownloadButton
    stop: gradio.Button
    again: gradio.Button
    told: gradio.HTML
    examples: tuple[gradio.Dataset, gradio.Dataset]
    results: gradio.Column
    people: gradio.Radio
    scores: gradio.Label
    perceived: gradio.HTML
    chat: gradio.Chatbot
    question: gradio.Textbox
    send: gradio.Button
    questions: gradio.Dataset


def lay_out(limits: DemoLimits, infer_attributes: bool) -> Layout:
    """
    Make the parts of the page, within gradio's `Blocks`.

    Args:
        limits ([`DemoLimits`]): which are told.
        infer_attributes (`bool`): whether there is a switch for perceived age, gender and race.
    """
    shown = gradio.State(None, time_to_live=3600)
    gradio.Markdown(TITLE, elem_id="title")
    attributes_words = ATTRIBUTES if infer_attributes else NO_ATTRIBUTES
    gradio.HTML(LIMITS.format(attributes=attributes_words, seconds=limits.max_seconds, megabytes=limits.max_file))
    with gradio.Row():
        with gradio.Column(scale=3, min_width=320):
            told = gradio.HTML(elem_id="told", apply_default_css=False)
            with gradio.Tabs() as tabs:
                with gradio.Tab("Photo or webcam", id="photo"):
                    photo = PhotoInput(
                        type="filepath",
                        label="Photo",
                        sources=["upload", "webcam", "clipboard"],
                        height=420,
                        buttons=[],
                        placeholder="Drop a photo here, or click to choose one\nBelow: upload, webcam, clipboard",
                        elem_id="photo",
                    )
                    annotated = gradio.Image(
                        label="What was seen",
                        show_label=False,
                        format="jpeg",
                        visible=False,
                        interactive=False,
                        buttons=["download", "fullscreen"],
                        elem_id="annotated",
                    )
                    photos = gradio.Examples(
                        [[str(EXAMPLES / name)] for name in PHOTOS],
                        photo,
                        label="Or try one of these",
                        elem_id="photos",
                    )
                with gradio.Tab("Video", id="video"):
                    clip = ClipInput(label="Video", sources=["upload", "webcam"], buttons=[], elem_id="clip")
                    annotated_clip = gradio.Video(
                        label="What was seen",
                        show_label=False,
                        visible=False,
                        interactive=False,
                        buttons=["download"],
                        elem_id="annotated-clip",
                    )
                    timeline = gradio.HTML(
                        visible=False,
                        js_on_load=(HERE / "timeline.js").read_text("utf-8"),
                        apply_default_css=False,
                        elem_id="timeline",
                    )
                    with gradio.Row():
                        stop = gradio.Button("Stop", visible=False, size="sm", elem_id="stop")
                        rows = gradio.DownloadButton("Download the timeline (CSV)", visible=False, size="sm")
                    clips = gradio.Examples(
                        [[str(EXAMPLES / name)] for name in CLIPS], clip, label="Or try this one", elem_id="clips"
                    )
            again = gradio.Button("Show something else", visible=False, elem_id="again")
            attributes = gradio.Checkbox(
                infer_attributes,
                label="Guess perceived age, gender and race",
                info="Switched off, they are not told, and not used for the answers either.",
                visible=infer_attributes,
                elem_id="attributes",
            )
        with gradio.Column(scale=2, min_width=320, visible=False, elem_id="results") as results:
            people = gradio.Radio(label="Who?", visible=False, elem_id="people")
            scores = gradio.Label(label="Perceived emotion", elem_id="scores")
            perceived = gradio.HTML(elem_id="perceived", apply_default_css=False)
            chat = gradio.Chatbot(
                label="Questions and answers",
                height=300,
                render_markdown=False,
                buttons=["copy"],
                feedback_options=None,
                elem_id="chat",
            )
            with gradio.Row(equal_height=True):
                question = gradio.Textbox(
                    label="Your question",
                    show_label=False,
                    placeholder="Ask about this person",
                    lines=1,
                    max_lines=4,
                    scale=4,
                    min_width=180,
                    container=False,
                    elem_id="question",
                )
                send = gradio.Button("Ask", variant="primary", scale=1, min_width=70, elem_id="ask")
            questions = gradio.Dataset(
                components=[question], samples=[[text] for text in QUESTIONS], label="Such as", elem_id="questions"
            )
    return Layout(
        shown=shown,
        attributes=attributes,
        tabs=tabs,
        photo=photo,
        annotated=annotated,
        clip=clip,
        annotated_clip=annotated_clip,
        timeline=timeline,
        rows=rows,
        stop=stop,
        again=again,
        told=told,
        examples=(photos.dataset, clips.dataset),
        results=results,
        people=people,
        scores=scores,
        perceived=perceived,
        chat=chat,
        question=question,
        send=send,
        questions=questions,
    )
