"""The options that say which data to read; shared by every command that reads some."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import typer

from ..closed_set.question import Preset
from ..data.face_cache import FaceCache, default_cache
from ..data.reading import Reading
from ..data.record import Record
from ..data.record_stream import Records
from ..data.sample import Sample
from ..data.samples import samples_of
from ..input_error import InputError
from ..json_text import UNREADABLE
from .options import (
    Data,
    DataOption,
    FullFrameBelow,
    LabelMapFile,
    Layout,
    MissingFaceOption,
    NumFrames,
    OnError,
    Split,
)


@dataclass(frozen=True)
class DataOptions:
    """DATA, --layout, --split, --label-map, --data-option and --on-error."""

    path: Data
    layout: Layout = None
    split: Split = None
    label_map: LabelMapFile = None
    data_option: DataOption = field(default_factory=list)
    on_error: OnError = "raise"

    @property
    def name(self) -> str:
        """What the data are called in a model card: without their place on this machine."""
        names = ", ".join(path.resolve().name for path in self.path)
        return " ".join(word for word in (self.layout, names, self.split) if word)

    def records(
        self,
        labels: Sequence[str] | Preset | None = None,
        default_labels: Sequence[str] | None = None,
        **settings: Any,
    ) -> list[Records]:
        """
        The data sets that the options name.

        Args:
            labels, default_labels (*optional*): see [`Records`].
            settings: of the layout, beside those of --data-option.

        Raises:
            `InputError`, `FileNotFoundError`: see [`Records`].
        """
        data = [
            Records(
                path,
                layout=self.layout,
                split=self.split,
                label_map=self.label_map,
                labels=labels,
                default_labels=default_labels,
                name=name,
                on_error=self.on_error,
                **{**dict(map(_setting, self.data_option)), **settings},
            )
            for path, name in zip(self.path, _names(self.path), strict=True)
        ]
        if self.layout is None:
            for records in data:
                print(f"{records.path} is read as {records.layout}.", file=sys.stderr)
        return data

    def samples(
        self,
        labels: Sequence[str] | None,
        default_labels: Sequence[str],
        faces: Path | None = None,
        phrasing: str | None = None,
        **settings: Any,
    ) -> list[Sample]:
        """
        Samples of this data for training and evaluation.

        Args:
            labels (`list[str]`, *optional*): label set of the closed question, instead of the data's own.
            default_labels (`list[str]`): label set where the data have none.
            faces (`Path`, *optional*): folder of the prepared faces; by default the one beside the data, if there.
            phrasing (`str`, *optional*): see [`closed_question`].
            settings: see [`DataOptions.records`].

        Raises:
            `InputError`, `FileNotFoundError`: see [`Records`] and [`FaceCache`].
        """
        if faces and len(self.path) > 1:
            raise InputError("`faces` is of one data set: leave it out, the folders beside several are found.")
        samples = []
        data = self.records(labels, default_labels, **settings)
        for records, own in zip(data, with_unique_ids(data), strict=True):
            folder = faces or default_cache(records.path)
            cache = FaceCache(folder) if faces or folder.is_dir() else None
            samples += samples_of(own, faces=cache, phrasing=phrasing)
        return samples


@dataclass(frozen=True)
class ReadingOptions:
    """--missing-face, --num-frames and --full-frame-below."""

    missing_face: MissingFaceOption = None
    num_frames: NumFrames = None
    full_frame_below: FullFrameBelow = None

    @property
    def reading(self) -> Reading:
        """What they change of a processor."""
        return Reading(self.missing_face, self.num_frames, self.full_frame_below)


def with_unique_ids(data: Sequence[Records]) -> list[Iterable[Record]]:
    """
    The records of data sets; of several, with ids that begin with the data set's name.

    Args:
        data (`list[Records]`)
    """

    def renamed(records: Records) -> Iterator[Record]:
        return (replace(record, id=f"{records.name}/{record.id}") for record in records)

    return list(data) if len(data) == 1 else [renamed(records) for records in data]


def _names(paths: Sequence[Path]) -> list[str]:
    """Of data sets: of their files and folders, with as many folders above as tell them apart."""
    whole = [path.resolve() for path in paths]
    if len(set(whole)) < len(whole):
        raise InputError("`path` names a data set twice: name each once.")
    names = [path.stem for path in whole]
    if len(set(names)) < len(names):
        above = os.path.commonpath([path.parent for path in whole])
        names = [path.relative_to(above).as_posix() for path in whole]
    return names


def _setting(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"must be NAME=VALUE, got {text!r}", param_hint="--data-option")
    try:
        return name, json.loads(value)  # numbers, true, false and lists
    except UNREADABLE:
        return name, value
