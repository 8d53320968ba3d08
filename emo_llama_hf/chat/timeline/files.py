"""The files of a timeline, written while it is made: whole, or not there."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from ...input_error import InputError
from ...only_writer import only_writer
from ...whole_file import whole_file
from .annotated_video import annotated_video as open_video
from .moments import gives_frames
from .plot import TimelinePlot
from .rows_file import rows_file
from .timeline import Timeline, TimelineMoment

Tell: TypeAlias = Callable[[TimelineMoment], None]


@contextmanager
def timeline_files(
    timeline: Timeline,
    clip: Any,
    output: str | os.PathLike[str] | None = None,
    plot: str | os.PathLike[str] | None = None,
    annotated_video: str | os.PathLike[str] | None = None,
) -> Iterator[Tell]:
    """
    Files to tell each moment of a timeline, in order; they appear on leaving, and after an error none of them does.

    ```python
    timeline = pipe.timeline("clip.mp4")
    with timeline_files(timeline, "clip.mp4", output="rows.csv", plot="scores.png") as tell:
        for moment in timeline.moments():
            tell(moment)
    ```

    Args:
        timeline ([`Timeline`]): of which no row was asked for yet.
        clip (`VideoSource`): what the timeline is of; the annotated video reads it again.
        output (`str` or `os.PathLike`, *optional*): the rows, see [`rows_file`]; `.csv`, `.json` or `.parquet`.
        plot (`str` or `os.PathLike`, *optional*): the scores over time, `.png`.
        annotated_video (`str` or `os.PathLike`, *optional*): see [`annotated_video`]; `.mp4`, `.mov` or `.mkv`.

    Raises:
        `InputError`: a file's name is not one to write to, or says no kind; see [`rows_file`] and [`annotated_video`].
        `MissingPackageError`: see [`rows_file`] and [`TimelinePlot`].
        `OSError`: a file cannot be written.
    """
    given = {"output": output, "plot": plot, "annotated_video": annotated_video}
    paths = {name: Path(path) for name, path in given.items() if path is not None}
    _check_paths(paths, clip)
    drawn = TimelinePlot(timeline) if plot is not None else None
    with ExitStack() as stack:
        unfinished = {name: stack.enter_context(_new_file(path)) for name, path in paths.items()}
        suffixes = {name: path.suffix.lower() for name, path in paths.items()}
        write = show = None
        if output is not None:
            write = stack.enter_context(rows_file(unfinished["output"], suffixes["output"], timeline))
        if annotated_video is not None:
            suffix = suffixes["annotated_video"]
            show = stack.enter_context(
                open_video(unfinished["annotated_video"], suffix, clip, timeline.partial, timeline.video_fps)
            )

        def tell(moment: TimelineMoment) -> None:
            for row in moment.rows:
                if write is not None:
                    write(row)
                if drawn is not None:
                    drawn.add(row)
            if show is not None:
                show(moment)

        try:
            yield tell
        finally:
            timeline.close()
        if drawn is not None:
            drawn.save(unfinished["plot"])


def _check_paths(paths: dict[str, Path], clip: Any) -> None:
    if "annotated_video" in paths and gives_frames(clip):
        raise InputError("`annotated_video` needs a clip that can be read twice, which a generator of frames is not.")
    for name, path in paths.items():
        if name == "plot" and path.suffix.lower() != ".png":
            raise InputError(f"`plot` must end in .png, got {path.name!r}.")
        if not path.parent.is_dir():
            raise InputError(f"`{name}`: there is no folder {path.parent}: make it, or name another file.")
        if path.is_dir():
            raise InputError(f"`{name}`: {path} is a folder: name a file.")
        if isinstance(clip, (str, os.PathLike)) and path.exists() and os.path.exists(clip) and path.samefile(clip):
            raise InputError(f"`{name}`: {path} is the clip itself: name another file.")
    if len({path.resolve() for path in paths.values()}) < len(paths):
        raise InputError(f"{', '.join(f'`{name}`' for name in paths)}: name a different file for each.")


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    with only_writer(path), whole_file(path) as unfinished:
        yield unfinished
