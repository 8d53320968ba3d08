"""Data sets: readers of many layouts that give one shape of record, and the faces found in them once."""

from .face_cache import FaceCache, default_cache
from .label_map import LabelMap, canonical_labels
from .prepare import PrepareReport, prepare
from .record import Record, RecordError
from .record_stream import LAYOUTS, Records
from .sample import Sample

__all__ = [
    "LAYOUTS",
    "FaceCache",
    "LabelMap",
    "PrepareReport",
    "Record",
    "RecordError",
    "Records",
    "Sample",
    "canonical_labels",
    "default_cache",
    "prepare",
]
