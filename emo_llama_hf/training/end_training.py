"""The end of a training in several processes."""

import gc

from accelerate import PartialState


def end_training() -> None:
    """
    Destroy the process group and see its threads end, after the trainer was let go.

    gloo's threads end with the last reference to their group, which a trainer's wrapped model has. Those that live
    until Python itself ends abort the process ("terminate called without an active exception") if one of them is late
    in letting go of a tensor: before Python 3.14 no thread may ask for the interpreter then.
    """
    gc.collect()  # a trainer refers to itself
    PartialState().destroy_process_group()
