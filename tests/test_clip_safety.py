"""Clips and pictures made to mislead: damaged times, limits passed after the header, crashes in the decoder."""

import gc
import io
import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from resource import RUSAGE_SELF, getrusage

import av
import numpy as np
import pytest
from PIL import Image, ImageCms

from emo_llama_hf.processing.frame_sampling import sample_frames
from emo_llama_hf.processing.image_loading import load_image
from emo_llama_hf.processing.media_kind import is_video
from emo_llama_hf.processing.media_limits import MediaLimits, media_limits
from emo_llama_hf.processing.media_source import UnreadableMediaError
from emo_llama_hf.processing.video_file import VideoFile
from emo_llama_hf.processing.video_loading import open_clip
from forked import forked
from media import animation, clip, encoded, numbered

CLIP = clip(frames=20, noise=True, reordered=2)


def patched(box: bytes, offset: int, *values: int) -> bytes:
    """The clip with these 32-bit values so far behind the name of a box."""
    start = CLIP.index(box) + 4 + offset
    new = struct.pack(f">{len(values)}I", *values)
    return CLIP[:start] + new + CLIP[start + len(new) :]


@pytest.mark.parametrize(
    "content",
    [patched(b"mdhd", 12, scale) for scale in (1, 100, 1000, 1_000_000, 2**31 - 1)]
    + [patched(b"stts", 8, *entry) for entry in ((20, 0), (20, 1), (1, 512), (5, 512), (20, 2**31 - 1))]
    + [patched(b"elst", 8, 2000, 10**8)],
)
def test_damaged_times_of_an_mp4_are_reported(content):
    assert sample_frames(CLIP, on_error="partial").problem is None
    with pytest.raises(UnreadableMediaError, match="`video`") as caught:
        sample_frames(content)
    assert "no error given" not in str(caught.value)
    try:
        assert sample_frames(content, on_error="partial").problem
    except UnreadableMediaError:
        pass


def test_partial_says_what_raise_refuses():
    random = np.random.default_rng(0)
    moov = CLIP.index(b"moov")
    for _ in range(300):
        content = bytearray(CLIP)
        first, last = (moov, len(CLIP)) if random.random() < 0.6 else (36, moov)
        for _ in range(random.integers(1, 6)):
            content[random.integers(first, last)] = random.integers(256)
        if random.random() < 0.15:
            content = content[: random.integers(40, len(content))]
        try:
            sample_frames(bytes(content), num_frames=6)
        except UnreadableMediaError:
            try:
                assert sample_frames(bytes(content), num_frames=6, on_error="partial").problem
            except UnreadableMediaError:
                pass


def refused_png(kind: bytes) -> bytes:
    """A PNG with a colour profile and a chunk that Pillow refuses."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = encoded(Image.fromarray(numbered(3)), icc_profile=profile)
    body = kind + b"a\0\0" + zlib.compress(b"A" * 2_000_000, 9)
    return content[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + content[33:]


def test_a_refused_picture_is_a_damaged_picture_by_path_and_by_bytes(tmp_path):
    content = refused_png(b"zTXt")
    (tmp_path / "a.mp4").write_bytes(content)
    for source in (content, str(tmp_path / "a.mp4")):
        assert not is_video(source)
        for read in (load_image, sample_frames):
            with pytest.raises(
                UnreadableMediaError, match="is a damaged or cut-off picture, or one that Pillow refuses"
            ):
                read(source)


def test_a_colour_profile_does_not_crash_the_garbage_collection(tmp_path):
    (tmp_path / "a.png").write_bytes(refused_png(b"zTXt"))

    def read() -> None:
        for _ in range(3):
            with open(tmp_path / "a.png", "rb") as file:
                video = VideoFile(file, False)
                list(video.read([0]))
                video.close()
            gc.collect()

    assert forked(read)[0] == 0


def test_a_reader_left_behind_says_that_the_clip_is_closed():
    with open_clip(clip(frames=30)) as opened:
        reader = opened.read([0, 29])
        next(reader)
    with pytest.raises(ValueError, match="is closed"):
        next(reader)
    gc.collect()


# What may outlive a clip, or fail while it is read. PyAV's own objects crash where a closed container is read on.
LEFT_BEHIND = """
import gc, io, sys
from emo_llama_hf.processing.video_file import VideoFile

class Failing(io.BytesIO):
    left = 5
    def read(self, *args):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("the disk is gone")
        return super().read(*args)

class Collecting(io.BytesIO):
    def read(self, *args):
        gc.collect(0)
        return super().read(*args)

def go_on(*readers):
    gc.collect()
    for reader in readers:
        try:
            list(reader)
        except ValueError:
            pass  # it is closed

def leave_behind(content):
    for file in (io.BytesIO(content), Collecting(content), Failing(content)):
        try:
            clip = VideoFile(file, False)
            last = len(clip.times) - 1
            old, new = clip.read([max(0, last - 1), last]), clip.read([last])
            next(old), next(new)  # both reach for the clip's end
            clip.close()
            clip.close()
            go_on(old, new)
        except RuntimeError:
            pass
    clip = VideoFile(io.BytesIO(content), False)
    reader = clip.read(range(len(clip.times)))
    kept = [clip, reader, next(reader)]  # a circle, which only the garbage collection ends
    kept.append(kept)
    del clip, reader, kept
    gc.collect()

gc.collect()
gc.freeze()  # what was there before need not be looked at
for name in sys.argv[1:]:
    leave_behind(open(name, "rb").read())
"""


def test_what_is_left_behind_does_not_crash(tmp_path):
    contents = [clip(frames=12), clip("matroska", frames=12), animation("GIF", [100] * 5), animation("PNG", [100] * 5)]
    paths = [tmp_path / str(number) for number in range(5)]
    for path, content in zip(paths, [*contents, refused_png(b"zTXt")], strict=True):
        path.write_bytes(content)
    subprocess.run([sys.executable, "-c", LEFT_BEHIND, *map(str, paths)], check=True, timeout=200)


def growing_mjpeg(size: tuple[int, int]) -> bytes:
    """An MJPEG AVI whose header says 64×48 and whose last frames are larger."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as output:
        stream = output.add_stream("mjpeg", rate=10, width=64, height=48, pix_fmt="yuvj420p")
        for i, shape in enumerate([(64, 48)] * 3 + [size] * 2):
            packet = av.Packet(encoded(Image.new("RGB", shape), "JPEG"))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, i, i, Fraction(1, 10)
            packet.is_keyframe = True
            output.mux(packet)
    return buffer.getvalue()


def gif(frames):
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def test_frames_that_grow_and_animations_of_hours_stay_within_memory(tmp_path):
    (tmp_path / "grow").write_bytes(growing_mjpeg((12000, 9000)))
    two, three = (gif([Image.new("P", (2000, 2000), i % 2) for i in range(count)]) for count in (2, 3))
    assert three.startswith(two[:-1])
    (tmp_path / "a.gif").write_bytes(two[:-1] + three[len(two) - 1 : -1] * 260 + three[-1:])  # Pillow writes slowly

    def refusal(name: str) -> tuple[str, int]:
        before = getrusage(RUSAGE_SELF).ru_maxrss
        with pytest.raises(ValueError) as error:
            sample_frames(tmp_path / name)
        return str(error.value), (getrusage(RUSAGE_SELF).ru_maxrss - before) // 1024

    for name, limit in (("grow", "MAX_IMAGE_PIXELS"), ("a.gif", "max_animation_pixels")):
        _, (message, megabytes) = forked(refusal, name)
        assert limit in message and megabytes < 400


def test_the_limit_of_animations_can_be_set():
    content = animation("GIF", [100] * 10)
    with media_limits(MediaLimits(max_animation_pixels=64 * 48 * 10 - 1)):
        with pytest.raises(UnreadableMediaError, match="max_animation_pixels"):
            sample_frames(content, on_error="partial")
    with media_limits(MediaLimits(max_animation_pixels=64 * 48 * 10)):
        assert len(sample_frames(content, num_frames=20).frames) == 10
