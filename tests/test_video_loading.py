"""Reading clips: containers, codecs, seeks, times, rotation, damage."""

import gc
import io
import struct
import weakref

import av
import numpy as np
import pytest
import torch
from PIL import Image

from emo_llama_hf.processing import video_file
from emo_llama_hf.processing.frame_sampling import FACE_BATCH, sample_frames
from emo_llama_hf.processing.image_loading import load_image
from emo_llama_hf.processing.media_source import UnreadableMediaError
from emo_llama_hf.processing.upright_frames import UprightFrames
from emo_llama_hf.processing.video_file import SEEK_COST, VideoFile, open_container
from emo_llama_hf.processing.video_loading import open_clip
from media import animation, clip, decoded_in_order, encoded, number_of, numbered, sound

# What encodes the clip. Each holds 30 numbered frames at 10 frames a second.
CLIPS = {
    "mp4 h264": {},
    "mp4 h264 B-frames": {"reordered": 2},
    "mp4 h264 open GOP": {"reordered": 2, "options": {"x264-params": "open-gop=1:scenecut=0"}},
    "mp4 h264 fragmented": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "mp4 hevc B-frames": {"codec": "libx265", "reordered": 2, "options": {"x265-params": "log-level=none"}},
    "mov prores": {"container": "mov", "codec": "prores_ks", "pixel_format": "yuv422p10le"},
    "mkv ffv1": {"container": "matroska", "codec": "ffv1"},
    "mkv vp9": {"container": "matroska", "codec": "libvpx-vp9"},
    "webm vp8": {"container": "webm", "codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "webm vp9": {"container": "webm", "codec": "libvpx-vp9", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "avi mpeg4": {"container": "avi", "codec": "mpeg4"},
    "avi mpeg4 B-frames": {"container": "avi", "codec": "mpeg4", "reordered": 2},
    "avi mjpeg": {"container": "avi", "codec": "mjpeg", "pixel_format": "yuvj420p"},
    "avi h264 B-frames": {"container": "avi", "reordered": 2},
    "ts h264 B-frames": {"container": "mpegts", "reordered": 2},
    "ts mpeg2": {"container": "mpegts", "codec": "mpeg2video", "fps": 25, "reordered": 2},
    "flv": {"container": "flv", "codec": "flv"},
    "wmv": {"container": "asf", "codec": "wmv2"},
    "bare h264": {"container": "h264", "reordered": 2},
    "bare hevc": {"container": "hevc", "codec": "libx265", "options": {"x265-params": "log-level=none"}},
}
SEEKABLE = {
    name: CLIPS[name]
    for name in (
        "mp4 h264 B-frames",
        "mp4 h264 open GOP",
        "mp4 hevc B-frames",
        "mkv ffv1",
        "mkv vp9",
        "avi mpeg4 B-frames",
        "ts h264 B-frames",
    )
} | {
    "mp4 h264 two in three": {"reordered": 2, "options": {"x264-params": "b-adapt=0:b-pyramid=none:scenecut=0"}},
    "mp4 h264 pyramid": {"reordered": 7, "options": {"x264-params": "b-adapt=0:b-pyramid=normal:scenecut=0"}},
    "mp4 hevc layers": {
        "codec": "libx265",
        "options": {"x265-params": "log-level=none:bframes=7:b-adapt=0:temporal-layers=3:scenecut=0"},
    },
}


@pytest.fixture(scope="module", params=CLIPS)
def kind(request):
    return request.param


def read(content, indices):
    with open_clip(content) as opened:
        return dict(opened.read(indices))


def numbers(sampled) -> list[int]:
    return [number_of(frame) for frame in sampled.frames]


def test_every_container_and_codec_gives_every_frame_at_its_time(kind):
    content = clip(**CLIPS[kind])
    rate = CLIPS[kind].get("fps", 10)
    with open_clip(content) as opened:
        assert opened.times == pytest.approx([i / rate for i in range(30)], abs=0.002)
        assert opened.duration == pytest.approx(30 / rate, abs=0.002)
    sampled = sample_frames(content, num_frames=100)
    expected = decoded_in_order(content)
    assert numbers(sampled) == list(range(30))
    for frame, reference in zip(sampled.frames, expected, strict=True):
        assert np.array_equal(np.asarray(frame), np.asarray(reference))


@pytest.mark.parametrize("kind", SEEKABLE)
def test_frames_reached_by_seeking_are_those_of_sequential_decoding(kind):
    content = clip(**{**SEEKABLE[kind], "frames": 120, "keyframe_every": 12})
    expected = decoded_in_order(content)
    for indices in ([0], [119], [5, 60, 115], [11, 12, 13, 59, 61], [24, 47, 48, 95], list(range(3, 120, 29))):
        frames = read(content, indices)
        assert list(frames) == indices
        for index, frame in frames.items():
            assert np.array_equal(np.asarray(frame), np.asarray(expected[index])), index


@pytest.mark.parametrize("kind", ["mp4 h264 B-frames", "mkv vp9"])
def test_only_packets_between_a_keyframe_and_a_wanted_frame_are_decoded(kind, monkeypatch):
    content = clip(**{**CLIPS[kind], "frames": 200, "keyframe_every": 20})
    with av.open(io.BytesIO(content)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keyframes = [i for i, packet in enumerate(packets) if packet.is_keyframe]
    wanted = [25, 100, 187]
    by_time = sorted(range(200), key=lambda i: packets[i].pts)
    needed = sum(own - max(k for k in keyframes if k <= own) + 1 for own in (by_time[i] for i in wanted))

    decoded = []
    decode = VideoFile._decode
    monkeypatch.setattr(VideoFile, "_decode", lambda self, packet: decoded.append(packet) or decode(self, packet))
    assert [number_of(frame) for frame in read(content, wanted).values()] == wanted
    assert sum(packet is not None for packet in decoded) <= needed < 60


def test_near_keyframes_are_decoded_through_in_one_run(monkeypatch):
    content = clip(frames=60, keyframe_every=4)
    runs = []
    packets_from = VideoFile._packets_from
    monkeypatch.setattr(
        VideoFile, "_packets_from", lambda self, first: runs.append(first) or packets_from(self, first)
    )
    assert list(read(content, [0, SEEK_COST, 2 * SEEK_COST])) == [0, SEEK_COST, 2 * SEEK_COST]
    assert runs == [0]


@pytest.fixture
def decoded(monkeypatch):
    """What came out of the decoder for each packet."""
    frames = []
    decode = VideoFile._decode
    monkeypatch.setattr(VideoFile, "_decode", lambda self, packet: frames.append(decode(self, packet)) or frames[-1])
    return frames


@pytest.mark.parametrize(
    ("kind", "at_most"),
    [("mp4 h264 two in three", 50), ("mp4 h264 pyramid", 75), ("mp4 hevc B-frames", 75), ("mp4 hevc layers", 120)],
)
def test_frames_that_nobody_needs_are_not_decoded(kind, at_most, decoded):
    # In HEVC of several layers, a frame may be needed in a higher one though it is marked as none.
    content = clip(**{**SEEKABLE[kind], "frames": 120, "keyframe_every": 120})
    expected = decoded_in_order(content)
    wanted = [3, 50, 77, 110]
    frames = read(content, wanted)
    assert all(np.array_equal(np.asarray(frames[index]), np.asarray(expected[index])) for index in wanted)
    count = sum(map(len, decoded))
    assert count <= at_most and (count > 110) == ("layers" in kind)


def test_the_start_is_reached_without_opening_the_file_again(monkeypatch):
    opened = []
    monkeypatch.setattr(video_file, "open_container", lambda file: opened.append(1) or open_container(file))
    assert list(read(clip(reordered=2), [0, 4])) == [0, 4]
    assert len(opened) == 1


def test_no_more_than_two_batches_of_candidates_are_alive_at_once(monkeypatch):
    content = clip(frames=200, keyframe_every=200)
    made = []
    alive = []

    def watch(self, frame):
        image = picture(self, frame)
        made.append(weakref.ref(image))
        alive.append(sum(reference() is not None for reference in made))
        return image

    picture = UprightFrames.__call__
    monkeypatch.setattr(UprightFrames, "__call__", watch)
    batches = []
    sample_frames(content, "face", 8, has_face=lambda frames: batches.append(len(frames)) or [True] * len(frames))
    assert len(made) == 32 + 8 and sum(batches) == 32
    assert max(alive) <= 2 * FACE_BATCH  # the batch being filled and, until it is full, the one before
    assert len(sample_frames(content, num_frames=100).frames) == 100


def test_variable_frame_rate_is_sampled_in_time():
    # 20 frames in the first second, then one every second
    milliseconds = [50 * i for i in range(20)] + [1000 * i for i in range(1, 11)]
    for container, codec in (("mp4", "libx264"), ("matroska", "ffv1")):
        content = clip(container, codec, milliseconds=milliseconds)
        sampled = sample_frames(content, num_frames=5)
        duration = sampled.duration
        assert 10 < duration <= 11
        centres = [(i + 0.5) * duration / 5 for i in range(5)]
        on_screen = [max(i for i, time in enumerate(milliseconds) if time <= 1000 * c) for c in centres]
        assert numbers(sampled) == on_screen
        assert sampled.timestamps == pytest.approx([milliseconds[i] / 1000 for i in on_screen], abs=0.002)


def test_times_count_from_the_first_frame():
    content = clip(container="matroska", codec="ffv1", milliseconds=[5000 + 100 * i for i in range(10)])
    sampled = sample_frames(content, num_frames=10)
    assert sampled.timestamps == pytest.approx([i / 10 for i in range(10)])
    assert sampled.duration == pytest.approx(1.0)


CORNERS = np.zeros((48, 64, 3), np.uint8)
CORNERS[:24, :32], CORNERS[:24, 32:], CORNERS[24:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def corners(image: Image.Image) -> list[str]:
    """Colours of the corners, clockwise from the top left."""
    w, h = image.size
    points = [(8, 8), (w - 9, 8), (w - 9, h - 9), (8, h - 9)]
    return ["".join("rgb"[c] for c in range(3) if image.getpixel(point)[c] > 128) or "-" for point in points]


# 2×2 of the display matrix, a picture's corners clockwise from the top left, as the MP4 specification shows them:
# x' = ax + cy, y' = bx + dy
MATRICES = {
    (1, 0, 0, 1): ["r", "g", "-", "b"],
    (0, 1, -1, 0): ["b", "r", "g", "-"],  # a phone held upright: a quarter turn clockwise
    (-1, 0, 0, -1): ["-", "b", "r", "g"],
    (0, -1, 1, 0): ["g", "-", "b", "r"],
    (-1, 0, 0, 1): ["g", "r", "b", "-"],
    (1, 0, 0, -1): ["b", "-", "g", "r"],
    (0, 1, 1, 0): ["r", "b", "-", "g"],
    (0, -1, -1, 0): ["-", "g", "r", "b"],
}


@pytest.mark.parametrize("matrix", MATRICES)
def test_rotation_and_mirroring_in_the_track_header_are_honoured(matrix):
    content = clip(frames=[CORNERS] * 3)
    header = content.index(b"tkhd") + 4 + 40  # after version, times, ids, layer and volume
    a, b, c, d = (value << 16 for value in matrix)
    patched = content[:header] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + content[header + 36 :]
    frame = sample_frames(patched, num_frames=1).frames[0]
    assert frame.size == ((64, 48) if matrix[0] else (48, 64))
    assert corners(frame) == MATRICES[matrix]


def test_transparent_video_is_laid_on_white():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mov") as output:
        stream = output.add_stream("qtrle", rate=10, width=32, height=32, pix_fmt="argb")
        pixels = np.zeros((32, 32, 4), np.uint8)
        pixels[:, 16:, 3] = 255
        output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format="argb")))
        output.mux(stream.encode(None))
    frame = sample_frames(buffer.getvalue()).frames[0]
    assert frame.getpixel((2, 2)) == (255, 255, 255) and frame.getpixel((30, 30)) == (0, 0, 0)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF"])
def test_animated_pictures_are_clips(format):
    milliseconds = [100, 400, 100, 100, 200, 100]
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}}.get(format, {})
    content = animation(format, milliseconds, **options)
    sampled = sample_frames(content, num_frames=20)
    assert numbers(sampled) == list(range(6))
    assert sampled.timestamps == pytest.approx([0, 0.1, 0.5, 0.6, 0.7, 0.9])
    assert sampled.duration == pytest.approx(1.0)
    assert numbers(sample_frames(content, num_frames=2)) == [1, 4]  # on screen at 0.25 s and 0.75 s


def test_gif_agrees_with_ffmpeg_on_times_and_on_frames_without_a_duration():
    content = animation("GIF", [100, 50, 0, 200])
    with av.open(io.BytesIO(content)) as container:
        expected = [frame.time for frame in container.decode(video=0)]
    assert sample_frames(content).timestamps == pytest.approx(expected)


def test_still_pictures_are_clips_of_one_frame():
    picture = Image.fromarray(numbered(77))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(picture, "JPEG", exif=exif)
    for video in (encoded(picture), picture, numbered(77), torch.tensor(numbered(77)).permute(2, 0, 1), turned):
        sampled = sample_frames(video, num_frames=4)
        assert sampled.timestamps == [0.0] and sampled.duration is None
        assert np.array_equal(np.asarray(sampled.frames[0]), np.asarray(load_image(video)))
    assert sample_frames(picture, "fps", fps=5).timestamps == [0.0]


def test_single_frame_clip():
    sampled = sample_frames(clip(frames=1), num_frames=8)
    assert numbers(sampled) == [0] and sampled.timestamps == [0.0]


def test_one_clip_gives_the_same_frames_whichever_way_it_comes(tmp_path):
    content = clip(container="matroska", codec="ffv1")
    path = tmp_path / "clip.txt"  # wrong extension, good content
    path.write_bytes(content)
    pipe = io.BytesIO(content)
    pipe.seekable = lambda: False
    for video in (path, str(path), content, io.BytesIO(content), pipe):
        assert numbers(sample_frames(video, num_frames=3)) == [5, 15, 25]
    with path.open("rb") as file:
        assert numbers(sample_frames(file, num_frames=3)) == [5, 15, 25]
        assert not file.closed


def test_frames_in_memory():
    frames = np.stack([numbered(i) for i in range(30)])
    ways = [frames, frames.transpose(0, 3, 1, 2), torch.tensor(frames), torch.tensor(frames).permute(0, 3, 1, 2)]
    ways += [list(frames), [Image.fromarray(frame) for frame in frames], [encoded(Image.fromarray(f)) for f in frames]]
    for video in ways:
        sampled = sample_frames(video, num_frames=3, video_fps=10)
        assert numbers(sampled) == [5, 15, 25]
        assert sampled.timestamps == [0.5, 1.5, 2.5] and sampled.duration == 3.0
    assert sample_frames(frames, num_frames=3).timestamps == [5.0, 15.0, 25.0]
    assert sample_frames(frames, num_frames=3).duration is None


def test_files_are_closed_and_a_playlist_opens_no_other_file(tmp_path, monkeypatch):
    (tmp_path / "secret.ts").write_bytes(clip(container="mpegts"))
    monkeypatch.chdir(tmp_path)
    for playlist in (
        b"ffconcat version 1.0\nfile secret.ts\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\nsecret.ts\n#EXT-X-ENDLIST\n",
    ):
        with pytest.raises(UnreadableMediaError, match="`video`"):
            sample_frames(playlist)
    closed = []
    monkeypatch.setattr(VideoFile, "close", lambda self: closed.append(self) or self._container.close())
    sample_frames(clip())
    container = closed[-1]._container
    with pytest.raises(AssertionError, match="not open"):
        container.seek(0)
    gc.collect()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"no video at all " * 50, "format"),
        (sound(), "only audio"),
        (clip()[:1000], "cut off"),
        ([], "no frames"),
        (np.zeros((0, 4, 4, 3), np.uint8), "no frames"),
        (clip(frames=1, container="matroska", codec="ffv1")[:400], "`video`"),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "partial"])
def test_clips_without_a_readable_frame(content, reason, on_error):
    with pytest.raises(UnreadableMediaError, match=reason) as caught:
        sample_frames(content, on_error=on_error)
    assert "`video`" in str(caught.value)


def test_paths_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError, match="`video`"):
        sample_frames(tmp_path / "missing.mp4")
    with pytest.raises(IsADirectoryError, match="`video`"):
        sample_frames(tmp_path)
    with pytest.raises(TypeError, match="`video`"):
        sample_frames(None)


CUTTABLE = ["mp4 h264 fragmented", "mkv ffv1", "mkv vp9", "webm vp8", "avi mjpeg", "flv"]


@pytest.mark.parametrize("kind", CUTTABLE)
def test_cut_off_clips_are_an_error_or_give_their_readable_part(kind):
    content = clip(**CLIPS[kind], noise=True)
    with av.open(io.BytesIO(content)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][17]
    cut = content[: packet.pos + packet.size // 2]
    with pytest.raises(UnreadableMediaError, match=r"`video` is damaged or cut off.*on_error='partial'"):
        sample_frames(cut)
    sampled = sample_frames(cut, num_frames=100, on_error="partial")
    assert 10 <= len(sampled.frames) <= 17
    assert numbers(sampled) == list(range(len(sampled.frames)))
    assert sampled.timestamps == pytest.approx([i / 10 for i in range(len(sampled.frames))], abs=0.002)
    assert sampled.problem and sample_frames(content, on_error="partial").problem is None


def test_mp4_cut_off_after_an_index_at_its_front(tmp_path):
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as output:
        stream = output.add_stream("libx264", rate=10, width=64, height=48, pix_fmt="yuv420p")
        for i in range(30):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(i), "rgb24")))
        output.mux(stream.encode(None))
    cut = path.read_bytes()[:-500]
    with pytest.raises(UnreadableMediaError, match="cut off"):
        sample_frames(cut)
    sampled = sample_frames(cut, num_frames=100, on_error="partial")
    assert 3 < len(sampled.frames) < 30 and sampled.problem
    assert [round(10 * time) for time in sampled.timestamps] == numbers(sampled)


def test_cut_off_gif():
    content = animation("GIF", [100] * 10)
    cut = content[: len(content) * 3 // 5]
    with pytest.raises(UnreadableMediaError, match="cut off"):
        sample_frames(cut)
    sampled = sample_frames(cut, num_frames=100, on_error="partial")
    assert numbers(sampled) == list(range(len(sampled.frames))) and 2 < len(sampled.frames) < 9


def test_broken_frames_amid_a_clip():
    content = bytearray(clip(container="avi", codec="mjpeg", pixel_format="yuvj420p", noise=True))
    with av.open(io.BytesIO(bytes(content))) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][12]
    content[packet.pos + 8 : packet.pos + packet.size] = bytes(packet.size - 8)
    with pytest.raises(UnreadableMediaError, match="cannot be decoded"):
        sample_frames(bytes(content), num_frames=30)
    sampled = sample_frames(bytes(content), num_frames=30, on_error="partial")
    assert numbers(sampled) == [i for i in range(30) if i != 12]
    assert sampled.timestamps == pytest.approx([i / 10 for i in range(30) if i != 12])
    assert "decoded" in sampled.problem


@pytest.mark.parametrize("is_reference", [False, True])
def test_damage_counts_where_frames_need_it(is_reference):
    kind = {**SEEKABLE["mp4 h264 two in three"], "frames": 40, "keyframe_every": 40, "noise": True}
    content = bytearray(clip(**kind))
    intact = decoded_in_order(bytes(content))
    with av.open(io.BytesIO(bytes(content))) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    packets.sort(key=lambda packet: packet.pts)
    # The NAL unit's header, behind four bytes of length, says whether it may be referred to.
    number = next(i for i in range(20, 30) if bool(bytes(packets[i])[4] & 0x60) == is_reference)
    start = packets[number].pos + 5
    content[start : packets[number].pos + packets[number].size] = bytes(packets[number].size - 5)
    if is_reference:
        with pytest.raises(UnreadableMediaError, match="damaged"):
            read(bytes(content), [35])
    else:
        assert np.array_equal(np.asarray(read(bytes(content), [35])[35]), np.asarray(intact[35]))
        with pytest.raises(UnreadableMediaError, match="damaged"):
            read(bytes(content), [number, 35])


def test_broken_frames_in_a_list():
    frames = [numbered(0), b"broken", numbered(2)]
    with pytest.raises(UnreadableMediaError, match=r"video\[1\]"):
        sample_frames(frames)
    assert numbers(sample_frames(frames, on_error="partial")) == [0, 2]
    with pytest.raises(UnreadableMediaError, match="no frame"):
        sample_frames([b"broken"], on_error="partial")


def test_frames_beyond_the_pixel_limit(monkeypatch):
    contents = [clip(frames=2), animation("GIF", [100, 100])]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
    for content in contents:
        with pytest.raises(UnreadableMediaError, match=r"`video`.*MAX_IMAGE_PIXELS"):
            sample_frames(content)
