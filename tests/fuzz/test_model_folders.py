"""Model folders whose JSON files were changed answer or are refused in words; `model_folders.py` runs many more."""

from itertools import islice

import pytest
from json_mutations import mutations
from model_folders import CHECKPOINT, FILES, FINE, outcome


@pytest.mark.parametrize("file", FILES)
def test_changed_settings_are_answered_or_refused(file, tmp_path):
    for number, mutation in enumerate(islice(mutations(CHECKPOINT, [file], seed=13), 8)):
        kind, text = outcome(mutation.write(CHECKPOINT, tmp_path / str(number)))
        assert kind in FINE, f"{mutation.file}: {mutation.change}: {kind}: {text}"


def test_the_same_seed_gives_the_same_mutations():
    first, again = (list(islice(mutations(CHECKPOINT, FILES, seed=3), 20)) for _ in range(2))
    assert first == again
    assert first != list(islice(mutations(CHECKPOINT, FILES, seed=4), 20))
