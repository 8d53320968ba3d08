"""Timelines: who is followed, what is told of them, and the files of it, of clips that change at known times."""

import csv
import io
import json
import signal
import weakref
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers import pipeline

import emo_llama_command as cli
import emo_llama_hf
import killing
from emo_llama_hf.chat.timeline.annotated_video import annotated_video
from emo_llama_hf.chat.timeline.faces import FaceReader
from emo_llama_hf.chat.timeline.file_view import FileView
from emo_llama_hf.chat.timeline.files import timeline_files
from emo_llama_hf.chat.timeline.moments import frames_on_screen
from emo_llama_hf.chat.timeline.people import PeopleTracker
from emo_llama_hf.chat.timeline.plot import MOST_POINTS, TimelinePlot
from emo_llama_hf.chat.timeline.segments import Segments
from emo_llama_hf.input_error import InputError
from emo_llama_hf.processing.face_detection import Face
from emo_llama_hf.processing.media_source import UnreadableMediaError
from media import animation, clip, encoded, numbered, sound
from rtsp_server import RtspServer
from test_isolation import serving

SAMPLES = Path(__file__).parent / "samples"
FPS = 10
SIDE = 200  # pixels of each person's half
CHANGE, SECONDS = 1.2, 2.4


def photo(name: str, box: tuple[int, int, int, int] | None = None) -> Image.Image:
    return Image.open(SAMPLES / name).convert("RGB").resize((SIDE, SIDE), box=box)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder with `two.mp4`: a happy and a neutral person, whose pictures change places at 1.2 s; with sound."""
    folder = tmp_path_factory.mktemp("films")
    happy, neutral = photo("astronaut.png", (124, 0, 380, 256)), photo("grace_hopper.jpg")  # faces of one size
    halves = [np.asarray(happy), np.asarray(neutral)]
    before, after = (np.hstack(pair) for pair in (halves, halves[::-1]))
    with av.open(folder / "two.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "15"})
        stream.height, stream.width, _ = before.shape
        stream.pix_fmt = "yuv420p"
        heard = container.add_stream("aac", rate=8000, layout="mono")
        for number in range(round(SECONDS * FPS)):
            picture = before if number < CHANGE * FPS else after
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            wave = np.sin(np.arange(800) * (1 + number))[None].astype(np.float32)
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, number * 800, Fraction(1, 8000)
            container.mux(heard.encode(frame))
        container.mux(stream.encode(None))
        container.mux(heard.encode(None))
    return folder


@pytest.fixture(scope="module")
def two(films):
    return str(films / "two.mp4")


@pytest.fixture(scope="module")
def pipe():
    return pipeline("emotion-chat", model=emo_llama_hf.default_model())


@pytest.fixture(scope="module")
def tiny_pipe(tiny):
    return pipeline("emotion-chat", model=str(tiny))


@pytest.fixture(scope="module")
def seen(pipe, two):
    """The timeline of `two.mp4`, and its rows."""
    timeline = pipe.timeline(two, every=0.3)
    return timeline, list(timeline)


# -- rows


def test_people_are_followed_and_their_changes_are_told(seen):
    timeline, rows = seen
    assert [row["time"] for row in rows[::2]] == pytest.approx([0.3 * i for i in range(8)])
    for person in (0, 1):
        own = [row for row in rows if row["person"] == person]
        assert len({row["box"]["xmin"] > SIDE for row in own}) == 1  # stays in one half
        left = own[0]["box"]["xmin"] < SIDE
        emotions = ["happy", "neutral"] if left else ["neutral", "happy"]
        assert [row["emotion"] for row in own] == [emotions[0]] * 4 + [emotions[1]] * 4
        segments = [segment for segment in timeline.segments if segment["person"] == person]
        assert [segment["emotion"] for segment in segments] == emotions
        times = [(segment["start"], segment["end"]) for segment in segments]
        assert times == [pytest.approx((0, CHANGE)), pytest.approx((CHANGE, SECONDS))]
    assert [(person["person"], person["moments"]) for person in timeline.people] == [(0, 8), (1, 8)]
    assert timeline.problem is None and timeline.duration == pytest.approx(SECONDS)
    for row in rows:
        assert sum(row["scores"].values()) == pytest.approx(1, abs=1e-5)
        assert set(row["perceived"]) == {"age", "gender", "race"}


def test_each_moment_says_what_the_pipeline_says_of_its_frame(seen, pipe, two):
    _, rows = seen
    with av.open(two) as container:
        frame = next(container.decode(video=0)).to_image()
    everybody = AllFaces(pipe)
    for row, result in zip(rows[:2], everybody(frame), strict=True):
        assert row["scores"] == pytest.approx(result["scores"], abs=0.02)
        assert row["emotion"] == result["emotion"]


class AllFaces:
    """The pipeline's answers about every face of a picture."""

    def __init__(self, pipe):
        self.pipe = pipe

    def __call__(self, frame):
        from dataclasses import replace

        faces = self.pipe.processor.faces
        before, faces.settings = faces.settings, replace(faces.settings, face_choice="all")
        try:
            return self.pipe(frame, max_new_tokens=1)
        finally:
            faces.settings = before


def test_the_whole_frame_is_searched_now_and_then_and_where_nobody_is_known(tiny_pipe, monkeypatch):
    """Somebody comes in at 0.2 s while another is there, and at 0.9 s both are gone."""
    first, second = photo("astronaut.png", (124, 0, 380, 256)), photo("grace_hopper.jpg")
    empty = Image.new("RGB", (2 * SIDE, SIDE))
    alone, both = empty.copy(), empty.copy()
    for frame, shown in ((alone, [first]), (both, [first, second])):
        for place, person in enumerate(shown):
            frame.paste(person, (place * SIDE, 0))
    finder, searched = tiny_pipe.processor.faces, []
    detect = finder.detect
    monkeypatch.setattr(finder, "detect", lambda frames: searched.append(len(frames)) or detect(frames))

    def film():
        yield from [alone] * 2 + [both] * 7 + [empty] * 2

    def times(**settings) -> tuple[list[float], list[int]]:
        searched.clear()
        rows = list(tiny_pipe.timeline(film(), every=0.1, video_fps=FPS, **settings))
        return [round(row["time"], 1) for row in rows if row["person"] == 1], searched

    assert times(detect_every=0.4) == ([0.4, 0.5, 0.6, 0.7, 0.8], [1] * 5)  # at 0, 0.4, 0.8; then there is nobody
    assert times(detect_every=0) == ([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [8, 3])


def test_a_generator_of_frames_gives_the_same_as_their_file(seen, pipe, two):
    timeline, rows = seen
    with av.open(two) as container:
        frames = (frame.to_image() for frame in container.decode(video=0))
        given = pipe.timeline(frames, every=0.3, video_fps=FPS)
        again = list(given)
    assert given.segments == [
        {**segment, "score": pytest.approx(segment["score"], abs=1e-3)} for segment in timeline.segments
    ]
    assert given.people == timeline.people
    for row, other in zip(rows, again, strict=True):
        assert other["time"] == pytest.approx(row["time"]) and other["emotion"] == row["emotion"]
        assert other["scores"] == pytest.approx(row["scores"], abs=1e-3)


def test_labels_questions_and_attributes(tiny_pipe, two):
    settings = {"labels": ["calm", "tense"], "question": "Pick of {labels}.", "attributes": False, "batch_size": 3}
    [first, *_] = tiny_pipe.timeline(two, every=2, **settings)
    assert list(first["scores"]) == ["calm", "tense"] and "perceived" not in first
    asked = next(tiny_pipe.timeline(two, every=2, labels=["calm", "tense"], attributes=False))
    assert asked["scores"] != first["scores"]  # other words
    own = pipeline("emotion-chat", model=tiny_pipe.model, processor=tiny_pipe.processor, labels=["so", "lala"])
    assert list(next(own.timeline(two))["scores"]) == ["so", "lala"]


def test_frames_are_forgotten(tiny_pipe):
    made = []

    def frames():
        for number in range(30):
            picture = Image.new("RGB", (320, 240), (number, 0, 0))
            made.append(weakref.ref(picture))
            yield picture

    timeline = tiny_pipe.timeline(frames(), every=0.1, video_fps=10, batch_size=4)
    alive = [sum(one() is not None for one in made) for _ in timeline.moments()]
    assert len(alive) == 30 and max(alive) <= 4
    assert list(timeline) == [] and timeline.people == []


def test_what_is_shown_twice_is_looked_at_once(tiny_pipe):
    pictures = [numbered(i, (320, 240)) for i in range(3)]
    film = clip(frames=pictures, fps=2)
    for source, settings in ((film, {}), (io.BytesIO(film), {}), (pictures, {"video_fps": 2})):
        timeline = tiny_pipe.timeline(source, every=0.1, **settings)
        assert [moment.time for moment in timeline.moments()] == [0, 0.5, 1]


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
    st.integers(1, 60),
)
def test_the_frames_on_screen(durations, step):
    starts = np.cumsum([0, *durations])
    times = np.arange(0, starts[-1], step)
    expected = sorted({int(np.searchsorted(starts, time, "right")) - 1 for time in times})
    assert [number for number, _ in frames_on_screen((starts / 100).tolist(), step / 100)] == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"every": 0}, "`every`"),
        ({"every": float("nan")}, "`every`"),
        ({"labels": []}, "`labels`"),
        ({"labels": "happy"}, "`labels`"),
        ({"question": "Which?"}, "`question`"),
        ({"question": "{labels}" * 10_000}, "`question`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"min_duration": -1}, "`min_duration`"),
        ({"patience": "long"}, "`patience`"),
        ({"attributes": {"age": "20-29"}}, "`attributes`"),
        ({"on_error": "skip"}, "`on_error`"),
        ({"video_fps": 0}, "`video_fps`"),
        ({"live": 1}, "`live`"),
    ],
)
def test_wrong_settings(tiny_pipe, settings, words):
    with pytest.raises(InputError, match=words):
        tiny_pipe.timeline("never-opened.mp4", **settings)


@pytest.mark.parametrize(
    ("source", "settings", "error"),
    [
        ("missing.mp4", {}, FileNotFoundError),
        (".", {}, IsADirectoryError),
        (b"", {}, UnreadableMediaError),
        (b"no clip at all", {}, UnreadableMediaError),
        (sound(), {}, UnreadableMediaError),
        (iter(()), {"video_fps": 5}, InputError),
        (iter([np.zeros((8, 8, 3), np.uint8)]), {}, InputError),
        (iter(["missing.png"]), {"video_fps": 5}, FileNotFoundError),
        (iter([np.full((8, 8, 3), np.nan)]), {"video_fps": 5}, InputError),
        ([Image.new("RGB", (99, 99))] * 2, {}, InputError),
        ([np.full((8, 8, 3), np.nan)] * 2, {"video_fps": 5}, InputError),
        (clip(), {"video_fps": 5}, InputError),
        (7, {}, TypeError),
        ("clip.mp4", {"live": True}, InputError),
        ("/dev/no-camera", {"live": True}, UnreadableMediaError),
        ("rtsp://127.0.0.1:1/", {"live": True}, InputError),
    ],
)
def test_bad_clips(tiny_pipe, source, settings, error):
    with pytest.raises(error):
        list(tiny_pipe.timeline(source, **settings))


# -- following


def face(x, y=0.0, side=40.0):
    return Face((x, y, x + side, y + side), 1.0, ())


def test_people_keep_their_numbers():
    tracker = PeopleTracker(patience=3)
    assert tracker.follow(0.0, [face(0), face(300)]) == [0, 1]
    assert tracker.follow(0.2, [face(310), face(8)]) == [1, 0]  # in whatever order
    assert tracker.follow(0.4, [face(16), face(600)]) == [0, 2]  # one away, one new
    assert tracker.follow(2.4, [face(320)]) == [1]  # back after two seconds
    assert tracker.follow(2.6, []) == []
    assert tracker.follow(6.0, [face(320)]) == [3]  # back after more than three
    assert tracker.follow(6.2, [face(320, side=150)]) == [4]  # so large at once is somebody else
    assert [(p["first"], p["last"], p["moments"]) for p in tracker.people[:2]] == [(0.0, 0.4, 3), (0.0, 2.4, 3)]


def test_moments_that_lie_further_apart_than_patience():
    tracker = PeopleTracker(patience=1)
    assert [tracker.follow(5.0 * i, [face(0)]) for i in range(3)] == [[0], [0], [0]]
    assert tracker.follow(15.0, []) == [] and tracker.follow(20.0, [face(0)]) == [1]


def test_people_who_pass_each_other_keep_their_numbers():
    tracker = PeopleTracker(patience=3)
    numbers = []
    for step in range(21):
        faces = [face(20.0 * step), face(400 - 20.0 * step)]
        if 9 <= step <= 11:
            faces = [face(20.0 * step)]  # hidden behind the other one
        numbers.append(tracker.follow(0.2 * step, faces))
    assert numbers[0] == numbers[-1] == [0, 1]


@given(st.lists(st.lists(st.integers(0, 12), max_size=4, unique=True), max_size=12))
def test_nobody_is_at_two_places(moments):
    tracker = PeopleTracker(patience=1)
    given_numbers = [tracker.follow(0.3 * i, [face(50.0 * x) for x in places]) for i, places in enumerate(moments)]
    assert all(len(set(numbers)) == len(numbers) for numbers in given_numbers)
    seen = [number for numbers in given_numbers for number in numbers]
    assert list(dict.fromkeys(seen)) == [person["person"] for person in tracker.people]
    assert [seen.count(person["person"]) for person in tracker.people] == [p["moments"] for p in tracker.people]


# -- segments


def segments_of(emotions, every=0.2, min_duration=0.5, end=None):
    """The segments of one person whose likeliest emotion is that letter at each moment, "-" where not seen."""
    found = Segments(min_duration)
    for number, letter in enumerate(emotions):
        if letter != "-":
            scores = {label: 0.8 if label == letter else 0.1 for label in "abc"}
            row = {"time": number * every, "person": 0, "box": {}, "emotion": letter, "scores": scores}
            found.add(row, (number + 1) * every)
    found.finish(end)
    return [(one["emotion"], round(one["start"], 3), round(one["end"], 3)) for one in found.found]


def test_segments():
    assert segments_of("aaaaabbbbb") == [("a", 0, 1), ("b", 1, 2)]
    assert segments_of("aaaaabbaaa") == [("a", 0, 2)]  # 0.4 seconds are too short
    assert segments_of("aaaaabbaaa", min_duration=0.3) == [("a", 0, 1), ("b", 1, 1.4), ("a", 1.4, 2)]
    assert segments_of("baaaaaa") == [("a", 0, 1.4)]  # the first ones too
    assert segments_of("aaaaabb") == [("a", 0, 1.4)]  # and the last
    assert segments_of("aaaaabcbcb") == [("a", 0, 1), ("b", 1, 2)]  # not back to a: the likeliest of the others
    assert segments_of("aaaa-aaaa") == [("a", 0, 1.8)]  # missed once
    assert segments_of("aaaa------aaaa") == [("a", 0, 0.8), ("a", 2, 2.8)]  # away
    assert segments_of("b") == [("b", 0, 0.2)]
    assert segments_of("aaa", end=0.5) == [("a", 0, 0.5)]
    assert segments_of("") == []
    assert segments_of("abc", min_duration=0) == [("a", 0, 0.2), ("b", 0.2, 0.4), ("c", 0.4, 0.6)]


@given(st.text("abc-", max_size=40), st.sampled_from([0, 0.3, 0.5, 1.0]))
def test_segments_follow_each_other_and_last(emotions, shortest):
    found = segments_of(emotions, min_duration=shortest)
    for before, after in pairwise(found):
        assert before[2] <= after[1]
        if before[2] == after[1]:  # it did not end with an absence
            assert before[0] != after[0] and before[2] - before[1] >= shortest - 1e-6
    covered = sum(letter != "-" for letter in emotions) * 0.2
    assert sum(end - start for _, start, end in found) >= covered - 1e-6
    if shortest == 0:
        told = [letter for i, letter in enumerate(emotions) if letter != "-" and emotions[i - 1 : i] != letter]
        assert [emotion for emotion, _, _ in found] == told


# -- files


def save(pipe, two, **files):
    timeline = pipe.timeline(two, every=1)
    with timeline_files(timeline, two, **files) as tell:
        for moment in timeline.moments():
            tell(moment)
    return timeline


def test_tables_are_read_back(tiny_pipe, two, tmp_path):
    rows = list(tiny_pipe.timeline(two, every=1))
    assert len(rows) == 6
    for name in ("rows.csv", "rows.parquet", "rows.json"):
        timeline = save(tiny_pipe, two, output=tmp_path / name)
    with open(tmp_path / "rows.csv", newline="") as file:
        read = list(csv.DictReader(file))
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    labels = timeline.labels
    for row, text, values in zip(rows, read, table, strict=True):
        assert {label: float(text[label]) for label in labels} == row["scores"]
        assert {label: values[label] for label in labels} == row["scores"]
        assert (float(text["time"]), int(text["person"])) == (values["time"], values["person"])
        assert (values["time"], values["person"]) == (row["time"], row["person"])
        assert {side: values[side] for side in row["box"]} == row["box"]
        assert text["emotion"] == values["emotion"] == row["emotion"]
        assert text["perceived_age"] == values["perceived_age"] == row["perceived"]["age"]["label"]
        assert values["perceived_race_score"] == row["perceived"]["race"]["score"]
    whole = json.loads((tmp_path / "rows.json").read_text())
    assert whole["rows"] == rows and whole["labels"] == labels and whole["every"] == 1
    assert whole["people"] == timeline.people and whole["segments"] == timeline.segments
    assert {path.name for path in tmp_path.iterdir()} == {"rows.csv", "rows.parquet", "rows.json"}


def packets_of_sound(path):
    with av.open(str(path)) as container:
        return [
            (bytes(packet), packet.duration, packet.pts * packet.time_base)
            for packet in container.demux(audio=0)
            if packet.size
        ]


def test_the_annotated_video(tiny_pipe, two, tmp_path):
    save(tiny_pipe, two, annotated_video=tmp_path / "drawn.mp4", plot=tmp_path / "scores.png")
    assert packets_of_sound(tmp_path / "drawn.mp4") == packets_of_sound(two)
    with av.open(str(tmp_path / "drawn.mp4")) as drawn, av.open(two) as source:
        stream = drawn.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        pairs = list(zip(drawn.decode(video=0), source.decode(video=0), strict=True))
    assert [float(a.time) for a, _ in pairs] == pytest.approx([float(b.time) for _, b in pairs], abs=1e-4)
    [row, *_] = tiny_pipe.timeline(two)
    for a, b in (pairs[0], pairs[10]):
        picture, original = np.asarray(a.to_image(), float), np.asarray(b.to_image(), float)
        x, y = int(row["box"]["xmin"]), int((row["box"]["ymin"] + row["box"]["ymax"]) / 2)
        line = picture[y - 5 : y + 5, x - 1 : x + 3].mean((0, 1))
        assert line[0] - line[2] > 60  # orange
        assert abs(picture[-10:] - original[-10:]).mean() < 6  # elsewhere nothing changes, colours neither
    assert Image.open(tmp_path / "scores.png").format == "PNG"


def test_sound_that_a_file_cannot_hold_is_told(tiny_pipe, two, tmp_path):
    with av.open(two) as source, av.open(str(tmp_path / "odd.mkv"), "w") as container:
        picture = container.add_stream_from_template(source.streams.video[0])
        heard = container.add_stream("pcm_u8", rate=8000, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                container.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.full((1, 8000), 128, np.uint8), format="u8", layout="mono")
        frame.sample_rate = 8000
        container.mux(heard.encode(frame))
        container.mux(heard.encode(None))
    with pytest.raises(InputError, match=r"pcm_u8.*\.mkv"):
        save(tiny_pipe, str(tmp_path / "odd.mkv"), annotated_video=tmp_path / "drawn.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"odd.mkv"}
    save(tiny_pipe, str(tmp_path / "odd.mkv"), annotated_video=tmp_path / "drawn.mkv")
    assert [p[:2] for p in packets_of_sound(tmp_path / "drawn.mkv")] == [
        p[:2] for p in packets_of_sound(tmp_path / "odd.mkv")
    ]


def test_sizes_and_times_that_are_odd(tmp_path):
    milliseconds = [0, 40, 400, 1000, 1040]
    odd = clip("matroska", "ffv1", "yuv444p", frames=[numbered(i, (65, 47)) for i in range(5)])
    uneven = clip("matroska", "ffv1", milliseconds=milliseconds)
    for content, times, size in (
        (odd, [0, 100, 200, 300, 400], (66, 48)),
        (uneven, milliseconds, (64, 48)),
        (animation("GIF", [100, 400, 100]), [0, 100, 500], (64, 48)),
        (encoded(Image.new("RGB", (9, 9))), [0], (10, 10)),
    ):
        with annotated_video(tmp_path / "drawn", ".mp4", content, False):
            pass
        with av.open(str(tmp_path / "drawn")) as container:
            frames = list(container.decode(video=0))
        assert [frame.time for frame in frames] == pytest.approx([m / 1000 for m in times], abs=1e-3)
        assert (frames[0].width, frames[0].height) == size


def test_the_video_of_frames(tiny_pipe, tmp_path):
    frames = [numbered(i) for i in range(3)]
    timeline = tiny_pipe.timeline(frames, every=1, video_fps=2)
    with timeline_files(timeline, frames, annotated_video=tmp_path / "drawn.mkv") as tell:
        for moment in timeline.moments():
            tell(moment)
    with av.open(str(tmp_path / "drawn.mkv")) as container:
        assert [frame.time for frame in container.decode(video=0)] == [0, 0.5, 1]
    once = iter(frames)
    with (
        pytest.raises(InputError, match="read twice"),
        timeline_files(tiny_pipe.timeline(once, video_fps=2), once, annotated_video=tmp_path / "again.mkv"),
    ):
        pass


def test_a_long_plot_takes_no_more_memory():
    class Long:
        every, labels = 0.2, ["a", "b"]

    plot = TimelinePlot(Long())
    for number in range(18_000):
        plot.add({"time": 0.2 * number, "person": 0, "scores": {"a": number / 18_000, "b": 0.5}})
    points = plot._sums[0]
    assert MOST_POINTS / 2 <= len(points) <= MOST_POINTS
    assert sum(count for count, _, _ in points.values()) == 18_000
    means = [a / count for _, (count, a, _) in sorted(points.items())]
    assert means == sorted(means) and means[-1] > 0.99


def test_views_of_a_file_have_places_of_their_own(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(100)))
    with open(tmp_path / "file", "rb") as file:
        first, second = FileView(file), FileView(FileView(file))
        assert first.read(3) == bytes([0, 1, 2]) and second.read(2) == bytes([0, 1]) and first.read(1) == bytes([3])
        assert first.seek(-1, 2) == 99 and second.seek(5, 1) == 7 and second.read(1) == bytes([7])
        assert first.read() == bytes([99]) and first.read() == b"" and first.tell() == 100


# -- the command line


@pytest.fixture
def run(tiny, capsys):
    """Run the command on the tiny model: exit code, lines of stdout, stderr."""

    def call(*arguments):
        capsys.readouterr()
        code = cli.main(["timeline", "--model", str(tiny), *map(str, arguments)])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return code, captured.out.splitlines(), captured.err

    return call


def test_the_command(run, two, tmp_path):
    files = {"--output": "rows.json", "--plot": "scores.png", "--video": "drawn.mp4"}
    options = [part for option, name in files.items() for part in (option, tmp_path / name)]
    code, lines, errors = run(two, "--every", "1.2", "--no-attributes", "--json", *options)
    assert code == 0 and "2.4/2.4 s" in errors
    assert {path.name for path in tmp_path.iterdir()} == set(files.values())
    whole = json.loads((tmp_path / "rows.json").read_text())
    changes = [json.loads(line) for line in lines]
    assert [(c["time"], c["person"], c["emotion"]) for c in changes] == [
        (s["start"], s["person"], s["emotion"]) for s in whole["segments"]
    ]
    assert "perceived" not in whole["rows"][0]
    code, lines, _ = run(two, "--every", "2", "--labels", "calm,tense")
    assert code == 0 and all("perceived calm" in line or "perceived tense" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.mp4", "--output", "OUT/a.csv"], "missing.mp4"),
        (["TWO", "--output", "OUT/a.xlsx", "--plot", "OUT/p.png"], "--output must end in .csv, .json, .parquet"),
        (["TWO", "--plot", "OUT/p.svg"], "--plot must end in .png"),
        (["TWO", "--video", "OUT/v.webm", "--output", "OUT/a.csv"], "--video must end in .mp4"),
        (["TWO", "--output", "OUT/no/a.csv"], "--output: there is no folder"),
        (["TWO", "--output", "OUT", "--plot", "OUT/p.png"], "--output"),
        (["TWO", "--video", "TWO"], "--video: TWO is the clip itself"),
        (["TWO", "--every", "0"], "--every must be a number from 0.001"),
        (["TWO", "--question", "Which?"], "--question must have '{labels}'"),
        (["TWO", "--labels", "time,person", "--output", "OUT/a.csv"], "--labels has 'time'"),
        (["CUT", "--output", "OUT/a.json", "--on-error", "raise", "--video", "OUT/v.mp4"], "damaged or cut off"),
        (["rtsp://127.0.0.1:1/a", "--live", "--output", "OUT/a.csv"], "no public address"),
        (["rtsp://127.0.0.1:1/a", "--live", "--allow-private"], "cannot be opened (Connection refused)"),
        (["TWO", "--live"], "CLIP must be a camera's device"),
        (["/dev/no-camera", "--live", "--video", "OUT/v.mp4"], "leave it out with --live"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(run, two, cut, tmp_path, arguments, words):
    places = {"TWO": two, "OUT": str(tmp_path), "CUT": str(cut)}
    for short, place in places.items():
        arguments = [argument.replace(short, place) for argument in arguments]
        words = words.replace(short, place)
    before = Path(two).read_bytes()
    code, lines, errors = run(*arguments)
    complaint = errors.splitlines()[-1]
    assert (code, lines) == (1, []) and complaint.startswith("emo-llama: ") and words in complaint
    assert list(tmp_path.iterdir()) == [] and Path(two).read_bytes() == before


@pytest.fixture(scope="module")
def cut(films, two):
    """`two.mp4` as Matroska without its end."""
    with av.open(two) as source, av.open(str(films / "whole.mkv"), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    content = (films / "whole.mkv").read_bytes()
    (films / "cut.mkv").write_bytes(content[: len(content) * 2 // 3])
    return films / "cut.mkv"


def test_a_damaged_clip_is_looked_at_as_far_as_it_goes(run, cut, tmp_path):
    code, _, errors = run(cut, "--on-error", "partial", "--every", "0.6", "--output", tmp_path / "rows.json")
    whole = json.loads((tmp_path / "rows.json").read_text())
    assert code == 0 and f"damaged: {whole['problem']}" in errors
    assert 0 < len(whole["rows"]) < 8


def test_a_url_is_fetched_once_and_only_if_allowed(run, two, tmp_path):
    with serving(Path(two).read_bytes()) as (address, asked):
        options = [f"{address}/two.mp4", "--every", "1.2", "--video", tmp_path / "drawn.mp4"]
        code, _, errors = run(*options)
        assert code == 1 and "no public address" in errors and not asked and not list(tmp_path.iterdir())
        code, _, _ = run(*options, "--allow-private")
        assert code == 0 and asked == ["/two.mp4"]
    assert packets_of_sound(tmp_path / "drawn.mp4") == packets_of_sound(two)


def test_interrupted_work_leaves_nothing(run, two, tmp_path, monkeypatch):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in a shell's background
    monkeypatch.setattr(FaceReader, "read", interrupted_at(2))
    files = {"--output": "a.csv", "--video": "v.mp4", "--plot": "p.png"}
    options = [part for option, name in files.items() for part in (option, tmp_path / name)]
    code, _, errors = run(two, "--every", "1", "--batch-size", "1", *options)
    assert code == 130 and errors.endswith("Interrupted.\n") and list(tmp_path.iterdir()) == []


def test_a_live_stream_until_ctrl_c(run, two, tmp_path, monkeypatch):
    monkeypatch.setattr(FaceReader, "read", interrupted_at(4))
    with RtspServer(two) as camera:
        options = ["--live", "--allow-private", "--every", "0.1", "--output", tmp_path / "rows.json"]
        code, lines, errors = run(camera.address, *options)
    whole = json.loads((tmp_path / "rows.json").read_text())
    times = sorted({row["time"] for row in whole["rows"]})
    assert code == 0 and errors == "" and len(times) == 4
    assert all(b - a >= 0.1 for a, b in pairwise(times))
    assert len(lines) == len(whole["segments"]) >= 2


def interrupted_at(wanted):
    """What reads faces, with a Ctrl-C at a call of this number."""
    read, calls = FaceReader.read, []

    def interrupted(self, frames):
        calls.append(len(frames))
        if len(calls) == wanted:
            signal.raise_signal(signal.SIGINT)
        return read(self, frames)

    return interrupted


def test_a_live_stream_that_ends_keeps_what_was_seen(tiny_pipe, two):
    with RtspServer(two) as camera:
        camera.loops = 1
        limits = emo_llama_hf.processing.media_limits.MediaLimits(allow_private=True)
        timeline = tiny_pipe.timeline(camera.address, every=0.2, live=True, limits=limits)
        late = [moment.time for moment in timeline.moments()]
    assert 0 < len(late) <= SECONDS / 0.2 + 1 and late[-1] < SECONDS + 2
    assert timeline.segments


def timeline_of(two, folder, every="1"):
    files = {"--output": "rows.parquet", "--plot": "scores.png", "--video": "drawn.mp4"}
    options = [part for option, name in files.items() for part in (option, str(folder / name))]
    return ["timeline", two, "--every", every, *options], set(files.values())


@pytest.mark.slow
def test_a_kill_leaves_nothing_half_made(two, tiny, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    arguments, files = timeline_of(two, place)
    arguments += ["--model", str(tiny)]
    moments = killing.run(arguments, place).moments
    whole = killing.contents(place)
    assert set(whole) == files
    for at in range(2, moments, 3):
        for path in place.iterdir():
            path.unlink()
        assert killing.run(arguments, place, at=at).code == -signal.SIGKILL
        for name, content in killing.contents(place).items():
            assert name.startswith(".") or content == whole[name], (at, name)
    assert killing.run(arguments, place).code == 0
    assert set(killing.contents(place)) == files  # nothing of the killed ones is left


@pytest.mark.slow
@pytest.mark.parametrize("largest", [500, 5000])
def test_a_full_disk_is_told_and_leaves_nothing(two, tiny, tmp_path, largest):
    place = tmp_path / "place"
    place.mkdir()
    arguments, _ = timeline_of(two, place)
    ending = killing.run([*arguments, "--model", str(tiny)], place, largest=largest)
    assert ending.code == 1 and "File too large" in ending.complaint and killing.contents(place) == {}
