"""Foreign checkpoints to be converted, with one file changed."""

import io
import pickle
import random
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from case import Case, WrongAnswer
from damage import damaged
from hypothesis import strategies as st
from json_mutations import linked_copy, mutated

from emo_llama_hf.conversion.add_faces import add_faces
from emo_llama_hf.conversion.face_parts import FaceSources
from emo_llama_hf.conversion.llama_vid_export import export_llama_vid
from emo_llama_hf.conversion.llama_vid_files import LlamaVidSource
from emo_llama_hf.conversion.llama_vid_import import import_llama_vid
from emo_llama_hf.conversion.mtcnn_weights import LAYERS, convert_mtcnn
from emo_llama_hf.conversion.write_settings import WriteSettings
from emo_llama_hf.load_model import load_processor

FIXTURES = Path(__file__).parents[1] / "fixtures"
LLAMA_VID = FIXTURES / "llama_vid" / "b_grid"
FACES = FIXTURES / "facexformer" / "model.pt"
JSON_FILES = ["config.json", "pytorch_model.bin.index.json", "tokenizer_config.json", "special_tokens_map.json"]
OTHERS = ["eva_vit_g.pth", "tokenizer.model", *(f"pytorch_model-0000{number}-of-00003.bin" for number in (1, 2, 3))]
TENSORS: list[Any] = [
    torch.zeros(0), torch.zeros(3), torch.zeros(1, 2, 3), torch.tensor(1), torch.zeros(2, dtype=torch.int64), None, 3,
        "x",
    torch.zeros(4, 4).to_sparse(), torch.zeros(2, dtype=torch.complex64), torch.zeros(8, 8).t(), {"a": 1},
        [torch.ones(1)],
]  # fmt: skip


@cache
def content_of(path: Path) -> bytes:
    return path.read_bytes()


@cache
def wheel() -> bytes:
    """facenet-pytorch's wheel, as far as it matters, with this package's weights."""
    weights = load_processor(None).faces.detector.state_dict()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for net, layers in LAYERS.items():
            tensors = {}
            for name, tensor in weights.items():
                layer, _, parameter = name.removeprefix(f"mtcnn.{net}.").rpartition(".")
                if name.startswith(f"mtcnn.{net}."):
                    tensors[f"{layers[layer]}.{parameter}"] = tensor.clone()
            saved = io.BytesIO()
            torch.save(tensors, saved)
            archive.writestr(f"facenet_pytorch/data/{net}.pt", saved.getvalue())
    return buffer.getvalue()


@st.composite
def odd_tensors(draw: st.DrawFn, content: bytes) -> tuple[str, bytes]:
    """A file of `torch.save` in which a tensor is another, or is gone."""
    saved = torch.load(io.BytesIO(content), weights_only=True)
    inner = saved.get("state_dict_backbone", saved)
    name = draw(st.sampled_from(sorted(inner)))
    kind = draw(st.sampled_from(["value", "value", "out", "new", "whole", "old format", "pickle", "key"]))
    value = draw(st.sampled_from(TENSORS))
    if kind == "whole":
        saved = value
    elif kind == "out":
        del inner[name]
    elif kind == "new":
        inner["foo.weight"] = value
    elif kind == "key":
        inner[draw(st.sampled_from([3, None, "", "a" * 1000, ("a",)]))] = value
    elif kind == "value":
        inner[name] = value
    if kind == "pickle":
        return "a bare pickle", pickle.dumps({name: 1})
    buffer = io.BytesIO()
    torch.save(saved, buffer, _use_new_zipfile_serialization=kind != "old format")
    return f"{name} {kind} {str(value)[:40]!r}", buffer.getvalue()


@st.composite
def llama_vid(draw: st.DrawFn) -> Case:
    name = draw(st.sampled_from([*JSON_FILES, *OTHERS]))
    content = content_of(LLAMA_VID / name)
    if name in JSON_FILES:
        change, content = mutated(content, random.Random(draw(st.integers(0, 2**64))))
    elif name.endswith(".model"):
        change, content = draw(damaged(content))
    else:
        change, content = draw(st.one_of(damaged(content), odd_tensors(content)))
    dry, faces = draw(st.booleans()), draw(st.sampled_from([None, None, FaceSources(FACES)]))

    def ask(folder: Path) -> None:
        linked_copy(LLAMA_VID, folder / "source", name).write_bytes(content)
        settings = WriteSettings(progress=False, dry_run=dry)
        written(folder / "out", dry, lambda out: import_llama_vid(
            LlamaVidSource(folder / "source"), out, faces=faces, settings=settings))  # fmt: skip

    return Case(f"{name}: {change} dry={dry} faces={faces is not None}", ask, names=(name, "source", "checkpoint"))


def written(output: Path, dry: bool, convert: Any) -> None:
    """A folder is there whole after a conversion, and not at all after an error."""
    try:
        convert(output)
    except Exception:
        if output.exists():
            raise WrongAnswer(f"an error, but {sorted(path.name for path in output.iterdir())} was written") from None
        raise
    if output.exists() == dry:
        raise WrongAnswer("written by a dry run" if dry else "nothing was written")


@st.composite
def faces(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["facexformer", "mtcnn"]))
    whole = content_of(FACES) if kind == "facexformer" else wheel()
    odd = damaged(whole) if kind == "mtcnn" else st.one_of(damaged(whole), odd_tensors(whole))
    change, content = draw(odd)
    name = "model.pt" if kind == "facexformer" else "facenet_pytorch.whl"

    def ask(folder: Path) -> None:
        if kind == "mtcnn":
            written(folder / "out", False, lambda out: convert_mtcnn(folder / name, out))
        else:
            settings = WriteSettings(progress=False)
            written(folder / "out", False, lambda out: add_faces(
                without_faces(folder), out, FaceSources(folder / name), settings=settings))  # fmt: skip

    return Case(f"{kind}: {change}", ask, {name: content}, ("checkpoint",))


def without_faces(folder: Path) -> Path:
    """A converted model without a face prior."""
    import_llama_vid(LlamaVidSource(LLAMA_VID), folder / "plain", settings=WriteSettings(progress=False))
    return folder / "plain"


@st.composite
def exported(draw: st.DrawFn) -> Case:
    """A converted folder with a changed config, written back."""
    dice = random.Random(draw(st.integers(0, 2**64)))
    name = draw(st.sampled_from(["config.json", "processor_config.json", "tokenizer_config.json", "origin.json"]))

    def ask(folder: Path) -> None:
        plain = without_faces(folder)
        file = plain / name
        if file.is_file():
            file.write_bytes(mutated(file.read_bytes(), dice)[1])
        written(folder / "out", False, lambda out: export_llama_vid(
            plain, out, settings=WriteSettings(progress=False)))  # fmt: skip

    return Case(f"export with another {name}", ask, names=(name, "plain"))


def warm() -> None:
    """Import what torch imports when tensors are first read lazily, and make the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        settings = WriteSettings(progress=False, dry_run=True)
        import_llama_vid(LlamaVidSource(LLAMA_VID), Path(folder) / "out", faces=FaceSources(FACES), settings=settings)
    wheel()


def cases(cheap: bool = False) -> st.SearchStrategy[Case]:
    """Checkpoints; they are small already."""
    return st.one_of(llama_vid(), llama_vid(), faces(), exported())
