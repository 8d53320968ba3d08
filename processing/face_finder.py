"""The faces of pictures and clips: whose face each shows, and what is cut out for it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image

from .face_detection import EmoLlamaFaceDetector, Face
from .face_following import follow_faces
from .face_selection import expand_box, usable_faces
from .face_tracks import FACE_CHOICES, FaceChoice, link_faces, select_tracks
from .setting_checks import check_choice, check_number
from .visual import Visual

MissingFace = Literal["mask", "full_frame", "error"]
MISSING_FACE: tuple[MissingFace, ...] = ("mask", "full_frame", "error")


@dataclass(frozen=True)
class FaceSettings:
    """
    Which faces are looked at.

    Args:
        face_choice (`str`, *optional*, defaults to `"largest"`):
            `"largest"`, `"most_confident"` or `"all"`, see [`select_tracks`].
        face_margin (`float`, *optional*, defaults to 0.5):
            How much a face's box grows before it is cropped, as a part of its sides.
        min_face_size (`float`, *optional*, defaults to 20):
            Faces whose box has a side below this many pixels are not looked at.
        min_face_confidence (`float`, *optional*, defaults to 0.9):
            Faces that the detector is less certain of, 0 to 1, are not looked at.
        min_whole_confidence (`float`, *optional*):
            A frame without such a face may be one as a whole, which the detector's search misses: it is, if the
            confidence of [`~EmoLlamaFaceDetector.detect_whole`] is at least this, 0 to 1. By default no frame is.
        missing_face (`str`, *optional*, defaults to `"mask"`):
            What happens to a frame without a face: `"mask"` (nothing is said about one), `"full_frame"` (the whole
            frame is taken for a face: for pictures that are face crops already) or `"error"`.
        full_frame_below (`float`, *optional*, defaults to 0):
            A frame without a side longer than this many pixels in which no face is found is taken for one as a whole:
            so small a picture is a face crop, and detectors overlook faces that fill it.

    Raises:
        `ValueError`: a setting is none of its choices or out of its range.
    """

    face_choice: FaceChoice = "largest"
    face_margin: float = 0.5
    min_face_size: float = 20
    min_face_confidence: float = 0.9
    min_whole_confidence: float | None = None
    missing_face: MissingFace = "mask"
    full_frame_below: float = 0

    def __post_init__(self) -> None:
        check_choice("face_choice", self.face_choice, FACE_CHOICES)
        check_choice("missing_face", self.missing_face, MISSING_FACE)
        check_number("face_margin", self.face_margin, 0, math.inf)
        check_number("min_face_size", self.min_face_size, 0, math.inf)
        check_number("min_face_confidence", self.min_face_confidence, 0, 1)
        if self.min_whole_confidence is not None:
            check_number("min_whole_confidence", self.min_whole_confidence, 0, 1)
        check_number("full_frame_below", self.full_frame_below, 0, math.inf)


class FaceFinder:
    """
    Finds faces with a detector and chooses among them by settings.

    Args:
        detector ([`EmoLlamaFaceDetector`], *optional*): without it no face is looked for.
        settings ([`FaceSettings`], *optional*): the defaults if left out. To change one, set a new [`FaceSettings`].
    """

    def __init__(self, detector: EmoLlamaFaceDetector | None = None, settings: FaceSettings | None = None) -> None:
        self.detector = detector
        self.settings = settings or FaceSettings()

    def detect(self, frames: Sequence[Image.Image]) -> list[list[Face]]:
        """
        The faces of each frame that are large and certain enough to look at, largest first.

        Args:
            frames (`list[PIL.Image.Image]`): RGB pictures of any size.

        Raises:
            `ValueError`: there is no detector.
        """
        found = [self._usable(faces) for faces in self._detector().detect(frames)]
        least, empty = self.settings.min_whole_confidence, [index for index, faces in enumerate(found) if not faces]
        if least is not None and empty:
            whole = self._detector().detect_whole([frames[index] for index in empty])
            for index, face in zip(empty, whole, strict=True):
                found[index] = usable_faces([face] if face else [], self.settings.min_face_size, least)
        return found

    def follow(self, frame: Image.Image, faces: Sequence[Face]) -> list[Face] | None:
        """
        Faces that [`~FaceFinder.detect`] found in the frame before, in this one; see [`follow_faces`].

        Args:
            frame (`PIL.Image.Image`): RGB.
            faces (`list[Face]`): of the frame before.

        Raises:
            `ValueError`: there is no detector.
        """
        followed = follow_faces(self._detector(), frame, faces)
        if followed is None or len(self._usable(followed)) < len(faces):
            return None
        return followed

    def shows_face(self, frames: Sequence[Image.Image]) -> list[bool]:
        """Whether each frame shows a face to look at; see [`~FaceFinder.detect`]."""
        return [bool(faces) for faces in self.detect(frames)]

    def find(self, visuals: list[Visual], split: bool = True) -> list[Visual]:
        """
        Detect the faces of all frames and choose whose face each visual shows; where they are known, or there is no
        detector, nothing happens, and in face crops none is looked for.

        Args:
            visuals (`list[Visual]`): pictures and clips.
            split (`bool`, *optional*, defaults to `True`):
                With `face_choice="all"`, give one visual a person; otherwise the most prominent person is shown.

        Returns:
            `list[Visual]`: the visuals with `detections` and `faces`, in the same order.

        Raises:
            `ValueError`: no face in a visual and `missing_face="error"`.
        """
        if self.detector is None:
            return visuals
        visuals = [_as_crop(visual) if visual.face_crop else visual for visual in visuals]
        waiting = [visual for visual in visuals if visual.detections is None]
        detected: Iterator[list[Face]] = iter(self.detect([frame for visual in waiting for frame in visual.frames]))
        choice = self.settings.face_choice
        found: list[Visual] = []
        for index, visual in enumerate(visuals):
            if visual.detections is not None:
                found.append(visual)
                continue
            detections = [next(detected) for _ in visual.frames]
            tracks = select_tracks(link_faces(detections), "largest" if choice == "all" and not split else choice)
            small = all(map(self._is_small, visual.frames))
            if not tracks and self.settings.missing_face == "error" and not small:
                raise ValueError(
                    f"Visual {index} shows no face of at least {self.settings.min_face_size} pixels and confidence "
                    f"{self.settings.min_face_confidence}: give another one, or set `missing_face` to 'mask' or "
                    "'full_frame'."
                )
            found += [
                replace(visual, detections=detections, faces=track) for track in tracks or [[None] * len(detections)]
            ]
        return found

    def sources(self, visual: Visual) -> list[str]:
        """What each frame's crop is: `"detected"` (a face), `"full_frame"` (taken for one) or `"none"`."""
        sources = []
        for frame, face in zip(visual.frames, visual.faces or [None] * len(visual.frames), strict=True):
            missing = face is None and (self._is_small(frame) or self.settings.missing_face == "full_frame")
            whole = visual.face_crop or missing
            sources.append("full_frame" if whole else "none" if face is None else "detected")
        return sources

    def shown_in(self, visual: Visual) -> list[int]:
        """The frames that show a face, or that are taken for one; without a detector, all."""
        if self.detector is None:
            return list(range(len(visual.frames)))
        return [index for index, source in enumerate(self.sources(visual)) if source != "none"]

    def boxes(self, visual: Visual) -> list[tuple[int, int, int, int] | None]:
        """The whole-pixel box (x0, y0, x1, y1) that is cropped from each frame, `None` where there is no face."""
        boxes: list[tuple[int, int, int, int] | None] = []
        for frame, face, source in zip(visual.frames, visual.faces or [], self.sources(visual), strict=True):
            if source == "full_frame":
                boxes.append((0, 0, *frame.size))
            else:
                boxes.append(None if face is None else expand_box(face.box, self.settings.face_margin, *frame.size))
        return boxes

    def _detector(self) -> EmoLlamaFaceDetector:
        if self.detector is None:
            raise ValueError("`face_detector` is missing: give the processor one, or look for no faces.")
        return self.detector

    def _usable(self, faces: Sequence[Face]) -> list[Face]:
        return usable_faces(faces, self.settings.min_face_size, self.settings.min_face_confidence)

    def _is_small(self, frame: Image.Image) -> bool:
        return max(frame.size) <= self.settings.full_frame_below


def _as_crop(visual: Visual) -> Visual:
    """A face crop, in which nothing is left to find."""
    return replace(visual, detections=[[] for _ in visual.frames], faces=[None] * len(visual.frames))
