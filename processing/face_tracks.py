"""Follow faces over the frames of a clip, so that one visual shows one person."""

import math
from operator import attrgetter
from typing import Literal, TypeAlias

from .face_detection import Face

FaceChoice: TypeAlias = Literal["largest", "most_confident", "all"]
FACE_CHOICES: tuple[FaceChoice, ...] = ("largest", "most_confident", "all")


def shift(first: Face, second: Face) -> float:
    """How far two faces' centres lie apart, in sides of the smaller one; 0 for the same box."""
    (x, y), (other_x, other_y) = _centre(first), _centre(second)
    distance = math.hypot(x - other_x, y - other_y)
    side = math.sqrt(min(area(first), area(second)))
    return distance / side if side > 0 else math.inf if distance > 0 else 0.0


def _centre(face: Face) -> tuple[float, float]:
    return (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2


def area(face: Face) -> float:
    """Area of the box in square pixels."""
    return (face.box[2] - face.box[0]) * (face.box[3] - face.box[1])


def link_faces(frames: list[list[Face]], max_shift: float = 2.0) -> list[list[Face | None]]:
    """
    Link the faces of successive frames into tracks, nearest first. Boxes of one person need not overlap: sampled
    frames may lie seconds apart.

    Args:
        frames (`list[list[Face]]`): the faces of each frame.
        max_shift (`float`, *optional*, defaults to 2.0):
            Largest [`shift`] of a face from the last one of its track.

    Returns:
        `list[list[Face | None]]`: one list a track, with one entry a frame, in order of first appearance.
    """
    tracks: list[list[Face | None]] = []
    for index, faces in enumerate(frames):
        last = [next(face for face in reversed(track) if face is not None) for track in tracks]
        # Equal shifts are told apart by size and place, so that the order within a frame does not matter.
        pairs = sorted(
            (shift(old, face), abs(area(old) - area(face)), old.box, face.box, t, f)
            for t, old in enumerate(last)
            for f, face in enumerate(faces)
        )
        matched_tracks: dict[int, Face] = {}
        matched_faces: set[int] = set()
        for moved, _, _, _, t, f in pairs:
            if moved <= max_shift and t not in matched_tracks and f not in matched_faces:
                matched_tracks[t] = faces[f]
                matched_faces.add(f)
        for position, track in enumerate(tracks):
            track.append(matched_tracks.get(position))
        tracks += [[None] * index + [face] for number, face in enumerate(faces) if number not in matched_faces]
    return tracks


def select_tracks(tracks: list[list[Face | None]], choice: FaceChoice) -> list[list[Face | None]]:
    """
    The tracks to answer about.

    Args:
        tracks (`list[list[Face | None]]`): from [`link_faces`].
        choice (`str`):
            `"largest"` (the most area over the clip) or `"most_confident"` for at most one track, the first of
            equals; `"all"` for every track.

    Raises:
        `ValueError`: `choice` is none of these.
    """
    if choice not in FACE_CHOICES:
        raise ValueError(f"`face_choice` must be one of {', '.join(FACE_CHOICES)}, got {choice!r}.")
    if choice == "all" or not tracks:
        return tracks
    weight = area if choice == "largest" else attrgetter("confidence")
    return [max(tracks, key=lambda track: sum(weight(face) for face in track if face is not None))]
