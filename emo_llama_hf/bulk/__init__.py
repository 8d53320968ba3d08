"""Many photos and videos annotated into Parquet, resumably, by one process, several or a Ray cluster."""

from .annotate import AnnotateReport, annotate

__all__ = ["AnnotateReport", "annotate"]
