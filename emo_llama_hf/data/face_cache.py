"""Faces and perceived attributes that `prepare` found, kept in a folder beside the data."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
from transformers import PreTrainedModel

from ..input_error import InputError
from ..json_text import read_object
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..processing.download import is_url
from ..processing.face_detection import Face
from ..processing.frame_sampling import frames_at
from ..processing.processing_emo_llama import EmoLlamaProcessor
from ..processing.visual import Visual
from .record import Record, RecordError, frame_files

SETTINGS_FILE = "settings.json"
ADVICE = "Remove the folder and run `emo-llama prepare` again."
SHARD_PATTERN = "faces-*.jsonl"


def default_cache(data: str | Path) -> Path:
    """
    Where the faces of a data set lie unless told otherwise: `NAME.faces` beside it.

    Args:
        data (`str` or `Path`): the data set's file or folder.
    """
    data = Path(data)
    if data.name in ("", ".."):  # of the working folder, say
        data = data.resolve()
    return data.parent / f"{data.name}.faces"


def cache_settings(
    processor: EmoLlamaProcessor, model: EmoLlamaForConditionalGeneration | None = None
) -> dict[str, Any]:
    """
    What a cache depends on: the processor's settings and fingerprints of the face detector and face prior.

    Args:
        processor ([`EmoLlamaProcessor`]): with a face detector.
        model ([`EmoLlamaForConditionalGeneration`], *optional*): perceives the attributes, if it has a face prior.
    """
    face_prior = None if model is None else model.model.face_prior
    return {
        **reading_settings(processor),
        "face_detector": _fingerprint(processor.faces.detector),
        "face_prior": None if face_prior is None else _fingerprint(face_prior),
    }


def reading_settings(processor: EmoLlamaProcessor) -> dict[str, Any]:
    """
    The settings by which frames and faces are chosen.

    Args:
        processor ([`EmoLlamaProcessor`])
    """
    clips = processor.video_processor
    return {
        "num_frames": clips.num_frames,
        "frame_sampling": clips.strategy,
        "fps": clips.fps,
        "max_frames": clips.max_frames,
        "on_video_error": clips.on_error,
        **asdict(processor.faces.settings),
    }


def _fingerprint(module: PreTrainedModel) -> str:
    digest = hashlib.sha256(module.config.to_json_string().encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().float().numpy()).tobytes())
    return digest.hexdigest()[:16]


class CacheEntry(TypedDict):
    """
    What a cache keeps of one picture or clip, as JSON.

    Args:
        key (`str`): what it is found by, see [`key_of`].
        stamp (`str`): what its file was like, see [`stamp_of`].
        timestamps (`list[float]`): seconds of each of the F sampled frames.
        strategy, problem (`str`, *optional*): see [`Visual`].
        faces (`list[list[list]]`): of each frame every face as box, confidence and landmarks.
        chosen (`list[int | None]`): of each frame which face was chosen.
        perceived (`dict[str, list]`, *optional*):
            Age, gender and race with their probabilities; `None` where nothing was perceived.
    """

    key: str
    stamp: str
    timestamps: list[float]
    strategy: str | None
    problem: str | None
    faces: list[list[list[Any]]]
    chosen: list[int | None]
    perceived: dict[str, tuple[str, float]] | None


class FaceCache:
    """
    The faces of a data set. Only where each entry stands is kept in memory; entries are read when asked for.

    Args:
        folder (`str` or `Path`): a folder that [`prepare`] wrote.

    Raises:
        `FileNotFoundError`: it is none.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / SETTINGS_FILE).is_file():
            raise FileNotFoundError(f"{folder} holds no prepared faces: run `emo-llama prepare` first.")
        file = self.folder / SETTINGS_FILE
        self.settings = read_object(file.read_bytes(), str(file), ADVICE)
        self._places: dict[str, tuple[Path, int]] = {}
        for shard in sorted(self.folder.glob(SHARD_PATTERN)):  # by time, so that the latest entry counts
            with open(shard, "rb") as lines:
                start = 0
                for line in lines:
                    where = f"{shard} at byte {start}"
                    self._places[_checked(read_object(line, where, ADVICE), where)["key"]] = (shard, start)
                    start += len(line)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, record: Record) -> bool:
        return self._find(record) is not None

    def check(self, settings: dict[str, Any]) -> None:
        """
        Look whether faces were prepared as they would be now.

        Args:
            settings (`dict`): from [`cache_settings`], or of [`reading_settings`] those that matter.

        Raises:
            `InputError`: they were not.
        """
        changed = [name for name in settings if self.settings.get(name) != settings[name]]
        if changed:
            raise InputError(
                f"{self.folder} was prepared with other {', '.join(f'`{name}`' for name in changed)}: use the same, "
                "remove the folder, or name another."
            )

    def visual(self, record: Record, processor: EmoLlamaProcessor) -> Visual:
        """
        A record's picture or sampled frames with their faces, as `processor.faces.find` would give it.

        Args:
            record ([`Record`])
            processor ([`EmoLlamaProcessor`]): reads the file.

        Raises:
            `InputError`: it was not prepared, or its file has changed since.
            `RecordError`: the file cannot be read.
        """
        entry = self._entry(record)
        faces = [[_face(face) for face in frame] for frame in entry["faces"]]
        chosen = [None if index is None else frame[index] for frame, index in zip(faces, entry["chosen"], strict=True)]
        if record.is_video:
            try:
                frames = frames_at(record.source(), entry["timestamps"], processor.video_processor.on_error)
            except (OSError, ValueError) as error:
                raise RecordError(record.row, str(error)) from error
        else:
            frames = record.load(processor).frames
        return Visual(
            frames,
            entry["timestamps"],
            record.is_video,
            strategy=entry["strategy"],
            problem=entry["problem"],
            detections=faces,
            faces=chosen,
            face_crop=record.face_crop,
        )

    def attributes(self, record: Record) -> dict[str, tuple[str, float]] | None:
        """
        Perceived age, gender and race with their probabilities, the mean over the frames with a face; or `None`.

        Args:
            record ([`Record`])

        Raises:
            `InputError`: it was not prepared, or its file has changed since.
        """
        perceived = self._entry(record)["perceived"]
        return None if perceived is None else {name: (value, score) for name, (value, score) in perceived.items()}

    def _entry(self, record: Record) -> CacheEntry:
        entry = self._find(record)
        if entry is None:
            raise InputError(f"{record.row}: not in {self.folder}, or changed since: run `emo-llama prepare` again.")
        return entry

    def _find(self, record: Record) -> CacheEntry | None:
        place = self._places.get(key_of(record, self.folder))
        if place is None:
            return None
        with open(place[0], "rb") as file:
            file.seek(place[1])
            entry: CacheEntry = json.loads(file.readline())
        return entry if entry["stamp"] == stamp_of(record) else None


def _checked(entry: dict[str, Any], where: str) -> CacheEntry:
    """An entry as [`entry_of`] makes it."""
    kinds = {"key": str, "stamp": str, "timestamps": list, "faces": list, "chosen": list}
    fine = all(isinstance(entry.get(name), kind) for name, kind in kinds.items())
    fine = fine and all(name in entry for name in ("strategy", "problem", "perceived"))
    try:
        for face in (face for frame in entry["faces"] for face in frame) if fine else ():
            _face(face)
        fine = fine and isinstance(entry["perceived"], dict | None)
        fine = fine and all(len(pair) == 2 for pair in (entry["perceived"] or {}).values())
    except (TypeError, ValueError):
        fine = False
    if not fine:
        raise InputError(f"{where} is damaged: it is no entry. {ADVICE}")
    return cast(CacheEntry, entry)


def key_of(record: Record, folder: Path) -> str:
    """
    What an entry is found by: the path relative to the folder around the cache, or a hash of the content.

    Args:
        record ([`Record`])
        folder (`Path`): the cache's.
    """
    if isinstance(record.visual, bytes):
        return hashlib.sha256(record.visual).hexdigest()
    if is_url(record.visual):
        return record.visual
    path, around = os.path.abspath(record.visual), os.path.abspath(folder.parent)
    return os.path.relpath(path, around) if path.startswith(around + os.sep) else path


def stamp_of(record: Record) -> str:
    """
    What changes when the file does: size and time, for a folder of frames their number and the time; and whether it is
    a face crop, which an earlier version did not know.

    Args:
        record ([`Record`])

    Raises:
        `OSError`: the file is not there.
    """
    crop = "-crop" if record.face_crop else ""
    if isinstance(record.visual, bytes) or is_url(record.visual):
        return crop
    status = os.stat(record.visual)
    size = len(frame_files(Path(record.visual))) if os.path.isdir(record.visual) else status.st_size
    return f"{size}-{status.st_mtime_ns}{crop}"


def entry_of(
    record: Record, folder: Path, visual: Visual, perceived: dict[str, tuple[str, float]] | None
) -> CacheEntry:
    """
    What the cache keeps of a visual whose faces were found.

    Args:
        record ([`Record`])
        folder (`Path`): the cache's.
        visual ([`Visual`]): of the record.
        perceived (`dict[str, tuple[str, float]]`, *optional*): age, gender and race, from [`perceive`].
    """
    chosen = [
        None if face is None else detections.index(face)
        for face, detections in zip(visual.faces or [], visual.detections or [], strict=True)
    ]
    faces = [
        [[list(face.box), face.confidence, [list(point) for point in face.landmarks]] for face in frame]
        for frame in visual.detections or []
    ]
    return {
        "key": key_of(record, folder),
        "stamp": stamp_of(record),
        "timestamps": visual.timestamps,
        "strategy": visual.strategy,
        "problem": visual.problem,
        "faces": faces,
        "chosen": chosen,
        "perceived": perceived,
    }


def _face(values: list[Any]) -> Face:
    box, confidence, landmarks = values
    return Face(tuple(box), confidence, tuple((x, y) for x, y in landmarks))
