"""Importing without the garbage collector, and with it again."""

import gc

import pytest

from emo_llama_hf.paused_collector import paused_collector


@pytest.fixture(autouse=True)
def collector():
    """The collector runs before and after each test, with nothing frozen."""
    assert gc.isenabled() and not gc.get_freeze_count()
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_and_what_is_made_is_old():
    collections = []
    gc.callbacks.append(lambda phase, info: collections.append(phase))
    try:
        with paused_collector():
            made = [[number] for number in range(100_000)]
            during = list(collections)
    finally:
        gc.callbacks.pop()
    assert not during
    assert any(one is made for one in gc.get_objects(generation=2))
    assert gc.isenabled() and not gc.get_freeze_count()


def test_it_is_collected_later():
    class Node:
        alive = 0

        def __init__(self):
            self.itself = self
            Node.alive += 1

        def __del__(self):
            Node.alive -= 1

    with paused_collector():
        Node()
    assert Node.alive == 1
    gc.collect()
    assert Node.alive == 0


def test_it_runs_again_after_an_import_that_fails():
    with pytest.raises(ImportError), paused_collector():
        raise ImportError
    assert gc.isenabled()


def test_what_others_disabled_and_froze_stays_so():
    gc.disable()
    with paused_collector():
        pass
    assert not gc.isenabled()
    gc.enable()
    gc.freeze()
    frozen = gc.get_freeze_count()
    with paused_collector():
        pass
    assert gc.get_freeze_count() == frozen
