"""`emo-llama demo`: the page through gradio's own client, the command, and the Space on the stand-in hub."""

import csv
import io
import os
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
import yaml
from PIL import Image
from transformers import LogitsProcessorList, pipeline

import emo_llama_hf
from emo_llama_command import main
from emo_llama_hf.input_error import InputError
from media import clip, decoded_in_order, numbered

gradio = pytest.importorskip("gradio", reason="the extra `demo` is not installed")
from gradio_client import Client, handle_file  # noqa: E402

from emo_llama_hf.demo import DemoLimits, build_page, launch, page_files  # noqa: E402
from emo_llama_hf.demo.layout import CLIPS, EXAMPLES, PHOTOS  # noqa: E402
from emo_llama_hf.demo.streamed_answer import streamed_answer  # noqa: E402

SAMPLES = Path(__file__).parent / "samples"
TWO = EXAMPLES / "two_people.jpg"
LIMITS = DemoLimits(max_file=1, max_seconds=4, every=1)


@pytest.fixture(scope="module")
def pipe():
    return pipeline("emotion-chat", model=emo_llama_hf.default_model())


@pytest.fixture(scope="module")
def page(pipe):
    """A page on this machine, and the folder of its files."""
    with page_files():
        page = build_page(pipe, LIMITS)
        yield launch(page, LIMITS, "127.0.0.1"), Path(os.environ["GRADIO_TEMP_DIR"])
        page.close(verbose=False)


@pytest.fixture
def visitor(page, tmp_path):
    return Visitor(page[0], tmp_path)


class Visitor:
    """A visitor by gradio's client, with what the page's parts show by their names."""

    def __init__(self, url, folder):
        self.client = Client(url, verbose=False, download_files=str(folder))
        parts = {part["id"]: part for part in self.client.config["components"]}
        self.names = {}
        for endpoint in self.client.endpoints.values():
            ids = endpoint.dependency["outputs"]
            kinds = endpoint.output_component_types  # of which some, state among them, are not given to clients
            shown = [parts[i] for i, kind in zip(ids, kinds, strict=True) if not kind.skip]
            self.names[endpoint.api_name] = [part["props"].get("elem_id") or part["type"] for part in shown]

    def told(self, name, values):
        shown = {}
        for part, value in zip(self.names[f"/{name}"], values, strict=True):
            if isinstance(value, dict) and value.get("__type__") == "update":
                value = {key: one for key, one in value.items() if key not in ("__type__", "props")}
            shown[part] = value
        return shown

    def show(self, name, file, attributes=True):
        return self.told(name, self.client.predict(handle_file(str(file)), attributes, api_name=f"/{name}"))

    def ask(self, question, said=(), person=0):
        job = self.client.submit(question, list(said), person, api_name="/ask")
        return [self.told("ask", values) for values in job]


def text(turn):
    return "".join(part["text"] for part in turn["content"])


def the_error(shown):
    """The one sentence of an error, which names no place on this machine."""
    [found] = re.findall(r'role="alert"><p>(.*)</p>', shown["told"])
    assert "/" not in found and "\n" not in found and "Traceback" not in found
    return found


def test_everybody_on_a_photo_is_told_from_left_to_right(visitor, pipe):
    shown = visitor.show("photo", TWO)
    assert [name for name, _ in shown["people"]["choices"]] == ["person 0: happy", "person 1: neutral"]
    assert shown["people"]["visible"] and shown["annotated"]["visible"] and not shown["photo"]["visible"]
    expected = pipe(str(SAMPLES / "astronaut.png"))
    told = {one["label"]: one["confidence"] for one in shown["scores"]["value"]["confidences"]}
    assert shown["scores"]["value"]["label"] == expected["emotion"] and sum(told.values()) == pytest.approx(1)
    assert "female" in shown["perceived"]["value"]
    before = np.asarray(Image.open(TWO).convert("RGB"), float)
    drawn = np.asarray(Image.open(shown["annotated"]["value"]).convert("RGB"), float)
    changed = np.abs(drawn - before).max(axis=2) > 100
    assert changed[:, :360].sum() > 2 * changed[:, 360:].sum() > 0  # the caption is the left person's
    other = visitor.told("person", visitor.client.predict(1, api_name="/person"))
    assert other["scores"]["value"]["label"] == "neutral" and other["chat"] == []
    redrawn = np.asarray(Image.open(other["annotated"]["value"]).convert("RGB"), float)
    assert (np.abs(redrawn - before).max(axis=2) > 100)[:, 360:].sum() > 2 * changed[:, 360:].sum()


def test_a_question_gets_the_pipelines_answer_piece_by_piece(visitor, pipe):
    photo = SAMPLES / "astronaut.png"
    visitor.show("photo", photo)
    views = visitor.ask("Why do you think so?")
    answers = [text(view["chat"][1]) for view in views if len(view["chat"]) == 2]
    assert len(answers) > 4 and all(whole.startswith(part) for part, whole in pairwise(answers))
    content = [{"type": "image", "image": str(photo)}, {"type": "text", "text": "Why do you think so?"}]
    chat = [{"role": "user", "content": content}]
    assert answers[-1] == pipe(chat)["generated_text"]
    said = views[-1]["chat"]
    chat += [{"role": "assistant", "content": answers[-1]}, {"role": "user", "content": "Is she sad?"}]
    further = visitor.ask("Is she sad?", said)[-1]["chat"]
    assert [turn["role"] for turn in further] == ["user", "assistant"] * 2
    assert text(further[-1]) == pipe(chat)["generated_text"]


def test_a_cat_has_no_emotion(visitor):
    shown = visitor.show("photo", SAMPLES / "chelsea.png")
    assert not shown["scores"]["visible"] and not shown["people"]["visible"] and not shown["perceived"]["visible"]
    assert "No face was found" in shown["told"] and "%" not in shown["annotated"]["alt_text"]


def test_the_switch_leaves_attributes_out(visitor, pipe):
    shown = visitor.show("photo", SAMPLES / "astronaut.png", attributes=False)
    assert not shown["perceived"]["visible"] and shown["perceived"]["value"] == ""
    content = [{"type": "image", "image": str(SAMPLES / "astronaut.png")}]
    content.append({"type": "text", "text": "How old does this person look?"})
    expected = pipe([{"role": "user", "content": content}], attributes=False)["generated_text"]
    assert text(visitor.ask("How old does this person look?")[-1]["chat"][-1]) == expected


def test_whoever_runs_the_page_may_switch_attributes_off_for_all(pipe, tmp_path):
    with page_files():
        page = build_page(pipe, LIMITS, infer_attributes=False)
        try:
            visitor = Visitor(launch(page, LIMITS, "127.0.0.1"), tmp_path)
            shown = visitor.show("photo", SAMPLES / "astronaut.png", attributes=True)
            assert not shown["perceived"]["visible"]
            assert "Age, gender and race are not looked at." in str(visitor.client.config["components"])
        finally:
            page.close(verbose=False)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Three seconds: the two people change places in the middle."""
    picture = Image.open(TWO).convert("RGB").resize((480, 240))
    left, right = picture.crop((0, 0, 240, 240)), picture.crop((240, 0, 480, 240))
    changed = Image.new("RGB", (480, 240))
    changed.paste(right, (0, 0))
    changed.paste(left, (240, 0))
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    path.write_bytes(clip(frames=[np.asarray(picture)] * 8 + [np.asarray(changed)] * 7, fps=5))
    return path


def test_a_video_has_a_timeline(visitor, pipe, film):
    shown = visitor.show("video", film)
    rows = list(pipe.timeline(str(film), 1.0))
    with open(shown["downloadbutton"]["value"], newline="", encoding="utf-8") as file:
        told = [(float(row["time"]), int(row["person"]), row["emotion"]) for row in csv.DictReader(file)]
    assert (
        told == [(row["time"], row["person"], row["emotion"]) for row in rows] and len({row[2] for row in told}) == 2
    )
    video = shown["annotated-clip"]["value"]
    assert len(decoded_in_order(Path(video).read_bytes())) == 15
    segments = [
        (float(time), emotion)
        for time, emotion in re.findall(r'data-time="([\d.]+)"[^>]*>(\w+)</button>', shown["timeline"]["value"])
    ]
    timeline = pipe.timeline(str(film), 1.0)
    list(timeline)
    assert sorted(segments) == sorted((one["start"], one["emotion"]) for one in timeline.segments)
    assert 'data-duration="3.000"' in shown["timeline"]["value"]
    assert [name for name, _ in shown["people"]["choices"]] == ["person 0: 0.0 to 2.0 s", "person 1: 0.0 to 2.0 s"]
    assert "all the time" in text(visitor.ask("How does the mood change?")[-1]["chat"][-1])  # of one of them


def test_a_video_whose_sound_fits_no_mp4_is_shown_as_it_is(visitor, tmp_path):
    path = tmp_path / "film.avi"
    with av.open(str(path), "w") as output:
        picture = output.add_stream("mpeg4", rate=2)
        picture.width, picture.height, picture.pix_fmt = 160, 120, "yuv420p"
        sound = output.add_stream("pcm_u8", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.full((1, 8000), 128, np.uint8), format="u8", layout="mono")
        frame.sample_rate = 8000
        output.mux(sound.encode(frame))
        for number in (1, 2):
            output.mux(picture.encode(av.VideoFrame.from_ndarray(numbered(number, (160, 120)), "rgb24")))
        output.mux(picture.encode(None))
    shown = visitor.show("video", path)
    assert Path(shown["annotated-clip"]["value"]).read_bytes() == path.read_bytes()
    assert "No face was found" in shown["told"] and shown["downloadbutton"]["visible"]


def test_bad_files_are_told_in_one_sentence(visitor, tmp_path):
    broken, long, nothing = tmp_path / "broken.png", tmp_path / "long.mp4", tmp_path / "nothing.mp4"
    broken.write_bytes((SAMPLES / "chelsea.png").read_bytes()[:2000])
    long.write_bytes(clip(frames=50, fps=10))
    nothing.write_bytes(b"nothing of a video")
    shown = visitor.show("photo", broken)
    assert the_error(shown).startswith("The photo is a damaged") and not shown["annotated"]["visible"]
    assert the_error(visitor.show("video", long)) == (
        "The video takes 5 seconds, and this page looks at up to 4: cut a part out."
    )
    assert the_error(visitor.show("video", nothing)).startswith("The video")
    assert the_error(visitor.ask("Why?", person=None)[-1]) == "Show a photo or a video first."
    markup = tmp_path / "<img src=x onerror=alert(1)>.png"
    markup.write_bytes(b"no picture")
    assert "<img" not in visitor.show("photo", markup)["told"]


def test_what_people_write_is_shown_as_text_and_kept_in_limits(visitor):
    visitor.show("photo", SAMPLES / "astronaut.png")
    [chat] = [part for part in visitor.client.config["components"] if part["type"] == "chatbot"]
    assert chat["props"]["render_markdown"] is False
    assert "20,000" in the_error(visitor.ask("why? " * 5000)[-1])
    said = [{"type": "text", "text": "yes"}]
    turns = [{"role": role, "content": said} for _ in range(LIMITS.max_turns) for role in ("user", "assistant")]
    assert "up to 20 questions" in the_error(visitor.ask("Why?", turns)[-1])


def test_files_of_others_and_of_this_machine_stay_where_they_are(page):
    url, _ = page
    for path in ("/etc/passwd", f"{url}config", str(SAMPLES / "astronaut.png")):
        data = {"path": path, "meta": {"_type": "gradio.FileData"}}
        asked = httpx.post(f"{url}gradio_api/call/photo", json={"data": [data, True]})
        answer = httpx.get(f"{url}gradio_api/call/photo/{asked.json()['event_id']}", timeout=30).text
        assert "event: error" in answer and "event: complete" not in answer, path
    assert httpx.get(f"{url}gradio_api/file=/etc/passwd").status_code in (403, 404)


def test_another_name_for_this_machine_is_refused(page):
    assert httpx.get(page[0], headers={"Host": "elsewhere.example"}).status_code == 400


def test_a_large_file_is_refused_while_it_comes(page):
    answer = httpx.post(f"{page[0]}gradio_api/upload", files={"files": ("large.png", io.BytesIO(b"x" * 1_100_000))})
    assert answer.status_code == 413


def test_the_page_loads_nothing_from_elsewhere(page):
    answer = httpx.get(page[0])
    assert answer.status_code == 200 and "default-src 'self'" in answer.headers["content-security-policy"]
    html = re.sub(r"<script>window\.gradio_(config|api_info).*?</script>", "", answer.text, flags=re.S)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert loaded and not [link for link in loaded if link.startswith(("http", "//"))]
    theme = httpx.get(f"{page[0]}theme.css").text
    assert not re.findall(r"url\((?![\"']?data:)[^)]*\)|@import", theme)


def test_files_go_with_the_page(pipe, tmp_path):
    with page_files():
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        page = build_page(pipe, LIMITS)
        Visitor(launch(page, LIMITS, "127.0.0.1"), tmp_path).show("photo", SAMPLES / "astronaut.png")
        page.close(verbose=False)
        assert list(folder.rglob("*.*"))
    assert not folder.exists()


def test_whoever_leaves_stops_the_model(pipe):
    steps = []

    def count(input_ids, scores):
        steps.append(len(input_ids))
        scores[:, pipe.model.generation_config.eos_token_id] = -float("inf")  # it would never end
        return scores

    content = [{"type": "image", "image": str(SAMPLES / "astronaut.png")}, {"type": "text", "text": "Why?"}]
    answer = streamed_answer(
        pipe,
        [{"role": "user", "content": content}],
        max_new_tokens=1500,
        logits_processor=LogitsProcessorList([count]),
    )
    next(answer)
    answer.close()
    assert 0 < len(steps) < 1000


def test_an_error_while_answering_is_raised_to_whoever_waits(pipe):
    with pytest.raises(InputError, match="shows nothing"):
        list(streamed_answer(pipe, [{"role": "user", "content": "Why?"}]))


def test_gradio_writes_nothing_beside_the_source():
    assert not list((Path(emo_llama_hf.__file__).parent / "demo").glob("*.pyi"))


def test_examples_are_pictures_and_clips():
    for name in PHOTOS:
        assert Image.open(EXAMPLES / name).convert("RGB").size >= (512, 360)
    for name in CLIPS:
        assert len(decoded_in_order((EXAMPLES / name).read_bytes())) == 60


# -- the command


@pytest.mark.parametrize(
    "arguments,expected",
    [
        (["--host", "0.0.0.0"], "--password"),
        (["--host", "nowhere.invalid"], "no address of this machine"),
        (["--max-file", "0"], "--max-file"),
        (["--model", "/no/such/folder"], "--model"),
        (["--push", "no id"], "--push"),
        (["--push", "alone"], "'you/alone'"),
        (["--push", "user/emo", "--password", "x"], "--password"),
        (["--push", "user/emo", "--load-in-4bit"], "leave these out"),
        (["--push", "user/emo", "--model", str(SAMPLES)], "on this machine only"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, expected, capsys):
    assert main(["demo", "--port", "0", *arguments]) == 1
    line = capsys.readouterr().err
    assert line.startswith("emo-llama: ") and line.count("\n") == 1 and expected in line


# -- the Space


@pytest.fixture
def space(hub, capsys):
    """The files of a Space on the stand-in hub."""
    assert main(["demo", "--push", f"{hub.user}/emo", "--no-attributes", "--max-seconds", "30"]) == 0
    assert capsys.readouterr().out.strip().endswith(f"spaces/{hub.user}/emo")
    return hub.files(f"{hub.user}/emo", repo_type="space")


def test_a_space_has_all_that_it_needs(space):
    front = yaml.safe_load(space["README.md"].decode().split("---")[1])
    assert (front["sdk"], front["sdk_version"], front["app_file"]) == ("gradio", gradio.__version__, "app.py")
    wanted = space["requirements.txt"].decode().splitlines()
    assert any(line.startswith("torch>=") for line in wanted) and not any("pytest" in line for line in wanted)
    for name in (
        "modeling/modeling_emo_llama.py",
        "processing/mtcnn.py",
        "demo/page.css",
        "demo/examples/astronaut.jpg",
    ):
        assert f"emo_llama_hf/{name}" in space
    default = Path(emo_llama_hf.default_model())
    weights = space["emo_llama_hf/default_checkpoint/model.safetensors"]
    assert weights == (default / "model.safetensors").read_bytes()
    assert not [name for name in space if name.endswith(".pyc")]
    assert b"infer_attributes=False" in space["app.py"] and b"max_seconds=30" in space["app.py"]


def test_a_hub_that_refuses_is_one_line(hub, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert main(["demo", "--push", f"{hub.user}/emo"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("emo-llama: ") and error.count("\n") == 1 and not hub.repos


@pytest.mark.slow  # loads everything anew
def test_a_space_runs(space, tmp_path):
    for name, content in space.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON"))}
    with subprocess.Popen(
        [sys.executable, "app.py"], cwd=tmp_path, env=environment | {"GRADIO_SERVER_PORT": "7899"}
    ) as run:
        try:
            for _ in range(240):
                try:
                    httpx.get("http://127.0.0.1:7899")
                    break
                except httpx.TransportError:
                    if run.poll() is not None:
                        break
                    time.sleep(0.5)
            shown = Visitor("http://127.0.0.1:7899", tmp_path).show("photo", SAMPLES / "astronaut.png")
            assert shown["scores"]["value"]["label"] == "happy" and not shown["perceived"]["visible"]
        finally:
            run.terminate()
