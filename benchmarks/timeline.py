"""
Memory and time of `pipe.timeline` on a long clip: does it stay flat, and is the last minute as fast as the first?

    python benchmarks/timeline.py [--minutes N] [--every S] [--size WxH] [--batch-size N] [--threads N]
                                  [--files FOLDER] [--json FILE]

The clip is made of two photos of `tests/samples` side by side, into which the camera moves, that change places every
five seconds, at 25 frames a second and with a tone. A minute's seconds are wall clock time from the first moment of a
minute of the clip to the first of the next; moments come a batch at a time. With `--files` all files that the command
line can write are written there: CSV, plot and annotated video.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent.parent / "tests" / "samples"
RATE = 25  # frames a second
SOUND_RATE = 16_000
STAY = 5  # seconds until the people change places
UNIT = 1 if platform.system() == "Darwin" else 1024  # of `ru_maxrss`, in bytes


def make_clip(path: str, minutes: float, width: int, height: int) -> None:
    """Write the clip: ten seconds of pictures are encoded once, and their packets repeated."""
    import av
    import numpy as np
    from PIL import Image

    photos = [Image.open(SAMPLES / name).convert("RGB") for name in ("astronaut.png", "grace_hopper.jpg")]
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        packets = []
        for number in range(2 * STAY * RATE):
            turn, into = divmod(number, STAY * RATE)
            margin = into / (STAY * RATE) / 10
            picture = Image.new("RGB", (width, height))
            for place, photo in enumerate(photos[::-1] if turn else photos):
                w, h = photo.size
                box = (w * margin, h * margin, w * (1 - margin), h * (1 - margin))
                picture.paste(photo.resize((width // 2, height), box=box), (place * (width // 2), 0))
            packets += stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), "rgb24"))
        packets += stream.encode(None)
        kept = [(bytes(packet), packet.is_keyframe) for packet in packets]
        for number in range(round(minutes * 60 * RATE)):
            content, is_keyframe = kept[number % len(kept)]
            packet = av.Packet(content)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, RATE), is_keyframe
            packet.pts = packet.dts = number
            container.mux(packet)
            count = SOUND_RATE // RATE
            wave = 0.1 * np.sin(2 * np.pi * 440 * (number * count + np.arange(count)) / SOUND_RATE)
            heard = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = SOUND_RATE, number * count, Fraction(1, SOUND_RATE)
            container.mux(sound.encode(heard))
        container.mux(sound.encode(None))


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="of the clip (default: 10)")
    parser.add_argument("--every", type=float, default=0.2, metavar="S", help="seconds (default: 0.2)")
    parser.add_argument("--size", default="640x360", metavar="WxH", help="of a frame (default: 640x360)")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="default: 8")
    parser.add_argument("--threads", type=int, metavar="N", help="default: torch's")
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="write CSV, plot and annotated video there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save everything that was measured")
    parser.add_argument("--make", metavar="CLIP", help="only make the clip")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    if options.make is not None:
        make_clip(options.make, options.minutes, width, height)
        return

    import torch
    import transformers
    from transformers import pipeline

    import emo_llama_hf
    from emo_llama_hf.chat.timeline.files import timeline_files

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        clip = f"{folder}/clip.mp4"
        # In a process of its own, whose memory is not counted.
        again = [sys.executable, __file__, "--make", clip, "--minutes", str(options.minutes), "--size", options.size]
        subprocess.run(again, check=True)
        pipe = pipeline("emotion-chat", model=emo_llama_hf.default_model())
        list(zip(range(1), pipe.timeline(clip, every=options.every), strict=False))  # what is only needed once
        loaded = peak_bytes()
        timeline = pipe.timeline(clip, every=options.every, batch_size=options.batch_size, progress=True)
        files = nullcontext(lambda moment: None)
        if options.files is not None:
            options.files.mkdir(parents=True, exist_ok=True)
            names = {"output": "rows.csv", "plot": "scores.png", "annotated_video": "video.mp4"}
            files = timeline_files(timeline, clip, **{key: options.files / name for key, name in names.items()})
        begins = [time.perf_counter()]  # of each minute of the clip, on the clock
        peaks = [peak_bytes()]
        with files as tell:
            for moment in timeline.moments():
                if moment.time >= 60 * len(begins):
                    begins.append(time.perf_counter())
                    peaks.append(peak_bytes())
                tell(moment)
            begins.append(time.perf_counter())
    peaks.append(peak_bytes())
    minutes = [after - before for before, after in pairwise(begins)]
    people, segments = len(timeline.people), len(timeline.segments)
    print(
        f"{options.minutes:g} minutes of {options.size}, every {options.every:g} s, {torch.get_num_threads()} threads"
    )
    print(f"{people} people, {segments} segments")
    print(
        f"first minute {minutes[0]:.1f} s, second {minutes[min(1, len(minutes) - 1)]:.1f} s, last {minutes[-1]:.1f} s"
    )
    print(f"peak memory {peaks[-1] / 1e6:.0f} MB; before the first row {loaded / 1e6:.0f} MB")
    if options.json is not None:
        measured = {"minutes_s": minutes, "peaks_bytes": peaks, "loaded_bytes": loaded}
        setting = {name: str(value) for name, value in vars(options).items()}
        options.json.write_text(json.dumps({"setting": setting, **measured}, indent=2) + "\n")


if __name__ == "__main__":
    main()
