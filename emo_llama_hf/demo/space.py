"""The page as a Space of the hub: a folder with this package in it, uploaded."""

import importlib
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import gradio
from huggingface_hub import HfApi
from huggingface_hub.utils import HFValidationError, validate_repo_id

from ..input_error import InputError
from ..whole_file import write_text
from .limits import DemoLimits

PACKAGE = __package__.partition(".")[0]
FOLDERS = ("modeling", "processing", "conversion")  # subpackages that lie beside the package in a checkout

README = """\
---
title: EmoLlama
emoji: 🙂
colorFrom: indigo
colorTo: gray
sdk: gradio
sdk_version: {gradio}
app_file: app.py
license: apache-2.0
short_description: Perceived emotion in photos and videos
---

# EmoLlama

Which emotion does a face *seem* to show? A page about photos, the webcam and videos. Emotion, age, gender and race are
guesses about how a face looks, often wrong: do not decide about people by them.

Made by `emo-llama demo --push`; `python app.py` shows the same page on your own machine. `emo_llama_hf/` is the
package.
"""

APP = '''\
"""The page of `emo-llama demo`, as a Space."""

from transformers import pipeline

import emo_llama_hf
from emo_llama_hf.demo import DemoLimits, build_page, launch

limits = {limits}
demo = build_page(pipeline("emotion-chat", model={model}), limits, infer_attributes={infer_attributes})

if __name__ == "__main__":
    launch(demo, limits)
    demo.block_thread()
'''


def push_space(
    repo_id: str, limits: DemoLimits | None = None, model: str | None = None, infer_attributes: bool = True
) -> str:
    """
    Make a Space of the page, or replace its files.

    Args:
        repo_id (`str`): `USER/NAME` on the hub.
        limits ([`DemoLimits`], *optional*): the defaults if left out.
        model (`str`, *optional*): hub id; by default what comes with the package, which goes with it.
        infer_attributes (`bool`, *optional*, defaults to `True`):
            Whether visitors may have age, gender and race perceived.

    Returns:
        `str`: its address.

    Raises:
        `InputError`: `repo_id` or `model` is no hub id.
        `OSError`: the hub did not take it.
    """
    _check_id("push", repo_id)
    if model is not None:
        if Path(model).exists():
            raise InputError(f"`model`: {model} is on this machine only: push it to the hub, and give its hub id.")
        _check_id("model", model)
    with tempfile.TemporaryDirectory() as folder:
        write_space(Path(folder), limits or DemoLimits(), model, infer_attributes)
        api = HfApi()
        repo = api.create_repo(repo_id, repo_type="space", space_sdk="gradio", exist_ok=True)
        api.upload_folder(repo_id=repo.repo_id, repo_type="space", folder_path=folder, delete_patterns="*")
    return str(repo)


def write_space(folder: Path, limits: DemoLimits, model: str | None, infer_attributes: bool) -> None:
    """
    Write a Space's files.

    Args:
        folder (`Path`): an empty one.
        limits ([`DemoLimits`]), model (`str`, *optional*), infer_attributes (`bool`): see [`push_space`].
    """
    name = "emo_llama_hf.default_model()" if model is None else repr(model)
    write_text(folder / "README.md", README.format(gradio=gradio.__version__))
    write_text(folder / "app.py", APP.format(limits=limits, model=name, infer_attributes=infer_attributes))
    write_text(folder / "requirements.txt", "".join(f"{line}\n" for line in _requirements()))
    compiled = ("__pycache__", "*.py[co]")
    shutil.copytree(_folder_of(PACKAGE), folder / PACKAGE, ignore=shutil.ignore_patterns(*compiled, *FOLDERS))
    for subpackage in FOLDERS:
        source = _folder_of(f"{PACKAGE}.{subpackage}")
        shutil.copytree(source, folder / PACKAGE / subpackage, ignore=shutil.ignore_patterns(*compiled))
    if model is not None:  # whose weights are on the hub
        (folder / PACKAGE / "default_checkpoint" / "model.safetensors").unlink()


def _folder_of(module: str) -> Path:
    return Path(str(importlib.import_module(module).__file__)).parent


def _requirements() -> list[str]:
    """What the package and its page need; gradio is the Space's own."""
    try:
        lines = requires(PACKAGE) or []
    except PackageNotFoundError as error:
        raise InputError("`push` needs an installed package, not a bare checkout: pip install '.[demo]'.") from error
    named = [line.partition(";") for line in lines]
    wanted = [line.strip() for line, _, extra in named if not extra or "'demo'" in extra.replace('"', "'")]
    return sorted(line for line in wanted if not line.startswith("gradio"))


def _check_id(name: str, repo_id: str) -> None:
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"`{name}` must be a hub id such as 'you/emo-llama': {error}") from error
    if "/" not in repo_id:
        raise InputError(f"`{name}` must be a hub id with an owner, such as 'you/{repo_id}'.")
