"""The model that a PEFT adapter is for: how an adapter names it, and where it is found again."""

import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import CONFIG_NAME, GENERATION_CONFIG_NAME, SAFE_WEIGHTS_NAME, cached_file
from transformers.utils.hub import extract_commit_hash
from transformers.utils.peft_utils import ADAPTER_CONFIG_NAME, find_adapter_config_file

from .carried_pipeline import carry_pipeline
from .default_model import default_model
from .input_error import InputError
from .modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from .whole_file import whole_file, write_text

BESIDE = "."  # named as the base by an adapter that has it in its own folder
FILES = (CONFIG_NAME, GENERATION_CONFIG_NAME, SAFE_WEIGHTS_NAME)  # that make the package's own checkpoint a base
_SNAPSHOT = re.compile(r"models--(?P<owner>[^/]+?)--(?P<name>[^/]+)/snapshots/(?P<revision>[0-9a-f]{40})/?$")


@contextmanager
def quiet_peft() -> Iterator[None]:
    """PEFT asks a transformers that is newer than itself for what will be renamed: no news for users."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        yield


@dataclass(frozen=True)
class AdapterBase:
    """
    The model that an adapter is for.

    Args:
        name (`str`): hub id, folder, or `"."` for the checkpoint that comes with the package.
        revision (`str`, *optional*): commit of the hub repository.
    """

    name: str
    revision: str | None = None

    @classmethod
    def of(cls, model: str | None) -> "AdapterBase":
        """
        What an adapter should say about a model: the hub id and commit, also of a folder that is a copy in the hub's
        cache. A folder's path is said only where there is nothing else, since it means nothing on another machine.

        Args:
            model (`str`, *optional*): folder or hub id; the checkpoint that comes with the package by default.
        """
        if model is None or (os.path.isdir(model) and os.path.samefile(model, default_model())):
            return cls(BESIDE)
        if not os.path.isdir(model):
            return cls(model, extract_commit_hash(cached_file(model, CONFIG_NAME), None))
        path = os.path.abspath(model)
        snapshot = _SNAPSHOT.search(path)
        return cls(f"{snapshot['owner']}/{snapshot['name']}", snapshot["revision"]) if snapshot else cls(path)

    @property
    def hub_id(self) -> str | None:
        """Its hub id, if it has one."""
        return None if self.name == BESIDE or os.path.isabs(self.name) else self.name

    @contextmanager
    def alone(self) -> Iterator[str]:
        """A name to load it by without an adapter in its own folder, which transformers would load along."""
        if find_adapter_config_file(self.name) is None:
            yield self.name
            return
        with TemporaryDirectory() as folder:
            for file in FILES:
                os.symlink(os.path.abspath(cached_file(self.name, file, revision=self.revision)), Path(folder) / file)
            yield folder

    def record(self, folder: Path, model: EmoLlamaForConditionalGeneration, repo_id: str | None = None) -> None:
        """
        Let a saved adapter name its base. Next to it goes the package's own checkpoint if that is the base: it is
        small, has no hub id, and other versions of the package may come with another one.

        Args:
            folder (`Path`): the adapter's.
            model ([`EmoLlamaForConditionalGeneration`]): the base, whose code goes with its weights.
            repo_id (`str`, *optional*):
                Hub repository that the folder goes to: there transformers looks for the base by the name in the
                adapter's settings only, so that must be the repository itself.
        """
        name = self.name
        if name == BESIDE:
            name = repo_id or BESIDE
            for file in FILES:
                with whole_file(folder / file) as unfinished:
                    shutil.copyfile(Path(default_model()) / file, unfinished)
            for module in (model, model.model):
                custom_object_save(module, folder)
            carry_pipeline(folder)
        settings = json.loads((folder / ADAPTER_CONFIG_NAME).read_text("utf-8"))
        settings |= {"base_model_name_or_path": name, "revision": self.revision}
        write_text(folder / ADAPTER_CONFIG_NAME, json.dumps(settings, indent=2, sort_keys=True) + "\n")


def find_base(name: str, base: str | None = None) -> AdapterBase | None:
    """
    The base of an adapter, by a name that can be loaded here.

    Args:
        name (`str`): folder or hub id of a model or an adapter.
        base (`str`, *optional*): folder or hub id of the base, instead of what the adapter names.

    Returns:
        [`AdapterBase`], or `None` where `name` is no adapter.

    Raises:
        `InputError`: `base` for what is no adapter, or the adapter names a base that is not here.
    """
    if find_adapter_config_file(name) is None:
        if base is not None:
            raise InputError(f"`base` is of an adapter, but {name!r} is a whole model: leave it out.")
        return None
    if base is not None:
        return AdapterBase(base)
    from peft import PeftConfig  # takes longer to import than all that is here

    settings = PeftConfig.from_pretrained(name)
    recorded = settings.base_model_name_or_path
    if recorded in (BESIDE, name) or os.path.isfile(os.path.join(name, CONFIG_NAME)):
        return AdapterBase(name)
    if not recorded or (os.path.isabs(recorded) and not os.path.isdir(recorded)):
        raise InputError(
            f"`model`: the adapter {name!r} is for the model {recorded!r}, which is not on this machine: name its "
            f"folder or hub id with `base`, or write it as `base_model_name_or_path` into its {ADAPTER_CONFIG_NAME}."
        )
    return AdapterBase(recorded, settings.revision)
