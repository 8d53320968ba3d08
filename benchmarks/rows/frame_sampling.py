"""Eight frames, evenly spaced in time, of clips of several lengths, sizes and rates, to RGB in memory.

Ours must be the frames that PyAV gives when it decodes the whole clip, to the bit. Others are told the numbers of the
frames, and torchcodec has PyAV's FFmpeg; its approximate mode does not look at the frames' times, and may give others
of a variable rate."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.row import Row
from inputs.clips import SAMPLED, sampled_clip, sampled_clips
from peers.video import COUNT, PEERS


def package(case: str, inputs: Path) -> Callable[[], Any]:
    from emo_llama_hf.processing.frame_sampling import sample_frames

    clip = str(sampled_clip(inputs, case))
    return lambda: sample_frames(clip, num_frames=COUNT).frames


def told(given: Any) -> list[str]:
    """A hash of each frame's pixels."""
    import numpy as np

    return [hashlib.sha256(np.ascontiguousarray(frame).tobytes()).hexdigest() for frame in given]


def check(case: str, answers: Mapping[str, Any]) -> None:
    whole = answers["PyAV, all frames"]
    for name in answers.keys() & {"ours", "before"}:
        same = sum(mine == other for mine, other in zip(answers[name], whole, strict=True))
        assert same == COUNT, f"only {same} of {COUNT} frames of {name} are those of the whole clip"


ROW = Row(cases=dict.fromkeys(SAMPLED, 1), item="clip", package=package, peers=PEERS, inputs=(sampled_clips,),
          told=told, check=check, repeats=3)  # fmt: skip
