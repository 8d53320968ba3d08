"""What the pipeline answers, as two sides are compared."""

from collections.abc import Mapping
from typing import Any

NEAR = 0.01  # of a probability


def scored(given: Any) -> list[dict[str, Any]]:
    """Label and scores of a result or of a list of them."""
    return [
        {"emotion": one["emotion"], "scores": one["scores"]} for one in (given if isinstance(given, list) else [given])
    ]


def check_scores(case: str, answers: Mapping[str, Any]) -> None:
    """The same labels from all sides, and scores within 0.01."""
    ours = answers["ours"]
    for name, others in answers.items():
        assert len(ours) == len(others), f"{name} gives {len(others)} results, ours {len(ours)}"
        for number, (mine, other) in enumerate(zip(ours, others, strict=True)):
            assert mine["emotion"] == other["emotion"], (
                f"result {number}: {mine['emotion']}, {name} {other['emotion']}"
            )
            assert mine["scores"].keys() == other["scores"].keys(), f"result {number} has other labels than {name}"
            most = max(abs(mine["scores"][label] - other["scores"][label]) for label in mine["scores"])
            assert most <= NEAR, f"result {number}: a score is {most:.3f} from that of {name}"
