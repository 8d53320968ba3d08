"""Work of a pool: how many items wait, what comes back, and that nothing is begun after an error."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from emo_llama_hf.few_at_a_time import few_at_a_time


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_every_item_comes_back_and_few_are_taken_ahead(limit):
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    done = {}
    with ThreadPoolExecutor(2) as pool:
        for item, future in few_at_a_time(pool, lambda number: number**2, items(), limit):
            assert len(taken) - len(done) <= limit
            done[item] = future.result()
    assert done == {number: number**2 for number in range(20)}


def test_after_an_error_no_more_is_taken():
    items = iter(range(1000))
    with ThreadPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
        for _, future in few_at_a_time(pool, lambda number: 1 // (number - 2), items, 4):
            future.result()
    assert next(items) < 20
