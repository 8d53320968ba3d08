"""The options that say which data to read; shared by every command that reads some."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from ..data.face_cache import FaceCache, default_cache
from ..data.record_stream import Records
from ..data.sample import Sample
from ..data.samples import samples_of
from .options import Data, DataOption, LabelMapFile, Layout, OnError, Split


@dataclass(frozen=True)
class DataOptions:
    """DATA, --layout, --split, --label-map, --data-option and --on-error."""

    path: Data
    layout: Layout = None
    split: Split = None
    label_map: LabelMapFile = None
    data_option: DataOption = field(default_factory=list)
    on_error: OnError = "raise"

    def records(self, **settings: Any) -> Records:
        """
        The data that the options name.

        Args:
            settings: of the layout, beside those of --data-option.

        Raises:
            `InputError`, `FileNotFoundError`: see [`Records`].
        """
        return Records(
            self.path,
            layout=self.layout,
            split=self.split,
            label_map=self.label_map,
            on_error=self.on_error,
            **{**dict(map(_setting, self.data_option)), **settings},
        )

    def samples(
        self, labels: list[str], faces: Path | None = None, phrasing: str | None = None, **settings: Any
    ) -> list[Sample]:
        """
        Samples of this data for training and evaluation.

        Args:
            labels (`list[str]`), phrasing (`str`, *optional*): of the closed question.
            faces (`Path`, *optional*): folder of the prepared faces; by default the one beside the data, if there.
            settings: see [`DataOptions.records`].

        Raises:
            `InputError`, `FileNotFoundError`: see [`Records`] and [`FaceCache`].
        """
        records = self.records(**settings)
        folder = faces or default_cache(self.path)
        return samples_of(records, labels, FaceCache(folder) if faces or folder.is_dir() else None, phrasing)


def _setting(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"must be NAME=VALUE, got {text!r}", param_hint="--data-option")
    try:
        return name, json.loads(value)  # numbers, true, false and lists
    except ValueError:
        return name, value
