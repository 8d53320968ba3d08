"""A page to try a model in the browser: `pip install ".[demo]"`, then `python examples/demo.py [MODEL]`."""

import sys

import gradio
from transformers import pipeline

import emo_llama_hf


def make_page(model: str) -> gradio.Blocks:
    """The page: a photo or a video and a question in; the answer, the labels and the annotated photo out."""
    pipe = pipeline("emotion-chat", model=model)

    def ask(photo, video, question: str):
        if not photo and not video:
            raise gradio.Error("Choose a photo or a video first.")
        source = {"image": photo} if photo else {"video": video}
        settings = {"question": question} if question.strip() else {}
        try:
            result = pipe(source, max_new_tokens=128, **settings)
        except ValueError as error:
            raise gradio.Error(str(error)) from error
        drawn = pipe.annotate(source, result)
        frames = drawn if isinstance(drawn, list) else [drawn]
        return result["generated_text"], result["scores"], frames

    return gradio.Interface(
        ask,
        inputs=[
            gradio.Image(type="filepath", label="Photo"),
            gradio.Video(label="or video"),
            gradio.Textbox(label="Question", placeholder="Which of the labels is it?"),
        ],
        outputs=[
            gradio.Textbox(label="Answer"),
            gradio.Label(label="Perceived emotion"),
            gradio.Gallery(label="What was seen"),
        ],
        title="EmoLlama",
        description="Emotion, age, gender and race are guesses about how a face looks; they are often wrong.",
    )


if __name__ == "__main__":
    make_page(sys.argv[1] if len(sys.argv) > 1 else emo_llama_hf.default_model()).launch()
