"""Other ways to frames of a clip, whose numbers they are told: which frames to take costs them nothing."""

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness.row import Peer
from inputs.clips import sampled_clip, wanted

COUNT = 8
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))


def decord(case: str, inputs: Path) -> Callable[[], Any]:
    from decord import VideoReader

    clip = sampled_clip(inputs, case)
    indices = wanted(clip, COUNT)
    return lambda: VideoReader(str(clip), num_threads=THREADS).get_batch(indices).asnumpy()


def torchcodec(case: str, inputs: Path, seek_mode: str) -> Callable[[], Any]:
    from torchcodec.decoders import VideoDecoder

    clip = sampled_clip(inputs, case)
    indices = wanted(clip, COUNT)
    open_clip = partial(VideoDecoder, str(clip), num_ffmpeg_threads=THREADS, seek_mode=seek_mode)
    return lambda: open_clip().get_frames_at(indices).data.permute(0, 2, 3, 1).numpy()


def decode_all(case: str, inputs: Path) -> Callable[[], Any]:
    """Every frame decoded in order by PyAV, as tutorials do; only the wanted ones become pictures."""
    import av

    clip = sampled_clip(inputs, case)
    indices = set(wanted(clip, COUNT))

    def frames() -> list[Any]:
        with av.open(str(clip)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "AUTO", THREADS
            decoded = enumerate(container.decode(stream))
            return [frame.to_ndarray(format="rgb24") for number, frame in decoded if number in indices]

    return frames


def ffmpeg_of_pyav(folder: Path) -> dict[str, str]:
    """PyAV's copy of FFmpeg, under the names by which torchcodec looks for one."""
    import av

    libraries = Path(av.__file__).resolve().parents[1] / "av.libs"
    for path in libraries.glob("lib[as][vw]*.so.*"):
        if found := re.fullmatch(r"(lib\w+)-[0-9a-f]+(\.so\.\d+)\..*", path.name):
            (folder / (found[1] + found[2])).symlink_to(path)
    return {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("LD_LIBRARY_PATH")]))}


# Of torchcodec, the latest that PyPI has for CPUs.
TORCHCODEC = {"packages": ("torchcodec==0.13.0",), "environment": ffmpeg_of_pyav}
PEERS = {
    "decord": Peer(decord, packages=("decord==0.6.0",)),
    "torchcodec": Peer(partial(torchcodec, seek_mode="exact"), **TORCHCODEC),
    "torchcodec, approximate": Peer(partial(torchcodec, seek_mode="approximate"), **TORCHCODEC),
    "PyAV, all frames": Peer(decode_all),
}
