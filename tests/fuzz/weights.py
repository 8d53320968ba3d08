"""Model folders whose weights are damaged, or whose safetensors header says what cannot be."""

import json
import struct

from case import Case
from damage import EXTREMES, damaged
from hypothesis import strategies as st
from model_folders import content_of, load_and_ask

FILES = ["model.safetensors", "face_detector/model.safetensors"]
DTYPES = ["F32", "F16", "BF16", "F64", "I8", "I64", "U8", "BOOL", "F8_E4M3", "F4", "C64", "X", "", 3, None]
SHAPES = [[], [0], [1], [-1], [2**40], [1, 2, 3], [2**63], ["1"], None, 3, [[1]], [1.5]]


@st.composite
def odd_headers(draw: st.DrawFn, content: bytes) -> tuple[str, bytes]:
    """A header that is JSON, but not of these tensors."""
    (length,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    name = draw(st.sampled_from(sorted(header)[:20]))
    kind = draw(
        st.sampled_from(["dtype", "shape", "start", "end", "out", "new", "renamed", "metadata", "length", "body"])
    )
    if kind == "length":
        wrong = draw(st.sampled_from([length - 1, length + 1, length + 8, *EXTREMES])) % 2**64
        return f"header length {wrong}", struct.pack("<Q", wrong) + content[8:]
    if kind == "body":
        change, body = draw(damaged(body))
        return f"tensors: {change}", content[: 8 + length] + body
    value = None
    if kind == "dtype":
        header[name]["dtype"] = value = draw(st.sampled_from(DTYPES))
    elif kind == "shape":
        header[name]["shape"] = value = draw(st.sampled_from(SHAPES))
    elif kind in ("start", "end"):
        value = draw(st.sampled_from([0, 4, 8, -1, len(body), len(body) + 4, *EXTREMES, "0", None]))
        if "data_offsets" in header[name]:
            header[name]["data_offsets"][kind == "end"] = value
    elif kind == "out":
        del header[name]
    elif kind == "new":
        header["foo"] = value = {"dtype": "F32", "shape": [0], "data_offsets": [len(body), len(body)]}
    elif kind == "renamed":
        header["foo"] = header.pop(name)
    else:
        header["__metadata__"] = value = draw(st.sampled_from([None, {}, {"format": "tf"}, {"format": 1}, [], "pt"]))
    written = json.dumps(header).encode()
    return f"{name} {kind} {value}", struct.pack("<Q", len(written)) + written + body


@st.composite
def cases(draw: st.DrawFn, cheap: bool = False) -> Case:
    """Changed folders; there are no cheap ones."""
    file = draw(st.sampled_from(FILES))
    change, content = draw(
        st.one_of(odd_headers(content_of(file)), odd_headers(content_of(file)), damaged(content_of(file)))
    )
    return Case(
        f"{file}: {change}", lambda folder: load_and_ask(folder, file, content), names=(file, "model", "weights")
    )
