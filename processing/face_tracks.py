"""Follow faces over the frames of a clip, so that one visual shows one person."""

from operator import attrgetter

from .face_detection import Face

FACE_CHOICES = ("largest", "most_confident", "all")


def overlap(first: Face, second: Face) -> float:
    """Intersection over union of two faces' boxes, in [0, 1]."""
    left, top = max(first.box[0], second.box[0]), max(first.box[1], second.box[1])
    right, bottom = min(first.box[2], second.box[2]), min(first.box[3], second.box[3])
    shared = max(right - left, 0.0) * max(bottom - top, 0.0)
    union = area(first) + area(second) - shared
    return shared / union if union > 0 else 0.0


def area(face: Face) -> float:
    """Area of the box in square pixels."""
    return (face.box[2] - face.box[0]) * (face.box[3] - face.box[1])


def link_faces(frames: list[list[Face]], min_overlap: float = 0.1) -> list[list[Face | None]]:
    """
    Link the faces of successive frames into tracks, best overlap first.

    Args:
        frames (`list[list[Face]]`): the faces of each frame.
        min_overlap (`float`, *optional*, defaults to 0.1):
            Least intersection over union of a face with the last one of its track.

    Returns:
        `list[list[Face | None]]`: one list a track, with one entry a frame, in order of first appearance.
    """
    tracks: list[list[Face | None]] = []
    for index, faces in enumerate(frames):
        last = [next(face for face in reversed(track) if face is not None) for track in tracks]
        # Equal overlaps are told apart by the boxes, so that the order within a frame does not matter.
        pairs = sorted(
            (
                (overlap(old, face), old.box, face.box, t, f)
                for t, old in enumerate(last)
                for f, face in enumerate(faces)
            ),
            reverse=True,
        )
        matched_tracks: dict[int, Face] = {}
        matched_faces: set[int] = set()
        for score, _, _, t, f in pairs:
            if score >= min_overlap and t not in matched_tracks and f not in matched_faces:
                matched_tracks[t] = faces[f]
                matched_faces.add(f)
        for position, track in enumerate(tracks):
            track.append(matched_tracks.get(position))
        tracks += [[None] * index + [face] for number, face in enumerate(faces) if number not in matched_faces]
    return tracks


def select_tracks(tracks: list[list[Face | None]], choice: str) -> list[list[Face | None]]:
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
