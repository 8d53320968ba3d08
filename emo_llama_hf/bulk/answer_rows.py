"""An input's results as rows of a table."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..chat.flat_columns import flat_perceived, perceived_columns, with_labels
from ..chat.result import EmotionResult, ErrorResult
from ..missing_package import MissingPackageError

if TYPE_CHECKING:
    import pyarrow

PERCEIVED = ("age", "gender", "race")
TEXTS = (
    "id",
    "emotion",
    "generated_text",
    "faces",
    "problem",
    "error",
    *(perceived_columns(name)[0] for name in PERCEIVED),
)


class AnswerRows:
    """
    What the columns are, and what stands in them.

    `id`, `person` (number of the person where all are answered for, else 0), `emotion`, the probability of each label
    in a column of its name, `generated_text`, `num_frames`, `faces` (as the pipeline has them, as JSON),
    `perceived_age`, `perceived_age_score` and so on (of the whole input, empty where attributes are off), `problem` of
    a damaged clip, and `error` where there is no answer.

    Args:
        labels (`list[str]`): the label set.

    Raises:
        `InputError`: a label has the name of another column.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        perceived = [column for name in PERCEIVED for column in perceived_columns(name)]
        after = ["generated_text", "num_frames", "faces", *perceived, "problem", "error"]
        self.labels = list(labels)
        self.columns = with_labels(("id", "person", "emotion"), labels, after)

    @property
    def schema(self) -> "pyarrow.Schema":
        """
        The columns and their types.

        Raises:
            `MissingPackageError`: pyarrow is not installed.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingPackageError("Parquet needs pyarrow: pip install 'emo_llama_hf[bulk]'.") from error
        types = {**dict.fromkeys(TEXTS, pa.string()), "person": pa.int32(), "num_frames": pa.int32()}
        return pa.schema([(name, types.get(name, pa.float32())) for name in self.columns])

    def of(self, name: str, result: EmotionResult | ErrorResult | list[EmotionResult]) -> list[dict[str, Any]]:
        """
        The rows of one input.

        Args:
            name (`str`): its id.
            result (`dict` or `list[dict]`): what the pipeline says, with `return_perceived`.
        """
        people = result if isinstance(result, list) else [result]
        return [self._row(name, person, one) for person, one in enumerate(people)]

    def _row(self, name: str, person: int, result: EmotionResult | ErrorResult) -> dict[str, Any]:
        row: dict[str, Any] = {"id": name, "person": person}
        if "error" in result:
            return {**row, "error": result["error"]}
        row |= result["scores"]
        row |= {key: result[key] for key in ("emotion", "generated_text", "num_frames")}
        row |= {"faces": json.dumps(result["faces"]), "problem": result.get("problem")}
        return row | flat_perceived(result["perceived"])
