"""Stand-ins for what the common test classes import and the source distribution lacks."""

from pathlib import Path
from types import ModuleType

import av
import numpy as np

SAMPLES = Path(__file__).parents[1] / "samples"


class ExportTesterMixin:
    """Tests of ONNX and executorch export, which this package does not claim."""


class GenerationTesterMixin:
    """Tests of `generate`; the model tests require that a generating model's tester inherits a class of this name."""


CONFIG_KWARGS = {
    "return_dict": False,
    "output_hidden_states": True,
    "output_attentions": True,
    "dtype": "float16",
    "chunk_size_feed_forward": 5,
    "architectures": ["BertModel"],
    "id2label": {0: "happy"},
    "label2id": {"happy": 0},
    "problem_type": "regression",
}

# Module inside the package of tests -> the names that are imported from it.
MISSING = {
    "exporters.test_export": {"ExportTesterMixin": ExportTesterMixin},
    "generation.test_utils": {"GenerationTesterMixin": GenerationTesterMixin},
    "utils.test_configuration_utils": {"config_common_kwargs": CONFIG_KWARGS},
}


def hub_objects(scratch: Path) -> ModuleType:
    """The module `fetch_hub_objects_for_ci`, with local files in place of the images and videos on the hub."""

    def url_to_local_path(url: str, *_, **__) -> str:
        if url.endswith((".png", ".jpg")):
            return str(SAMPLES / ("astronaut.png" if url.endswith(".png") else "grace_hopper.jpg"))
        if url.endswith(".mp4"):
            return str(sample_video(scratch / "sample.mp4"))
        return url

    module = ModuleType("fetch_hub_objects_for_ci")
    module.url_to_local_path = url_to_local_path
    return module


def sample_video(path: Path) -> Path:
    """A two-second 320x240 video of noise at 8 frames per second, written once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.mp4")
        with av.open(str(part), "w") as container:
            stream = container.add_stream("mpeg4", rate=8)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for image in np.random.default_rng(0).integers(0, 255, (16, 240, 320, 3), dtype=np.uint8):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
            container.mux(stream.encode())
        part.replace(path)
    return path
