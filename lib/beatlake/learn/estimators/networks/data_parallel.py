"""Synchronous data-parallel training: processes that take every step together.

Spark's TorchDistributor starts one for each shard, in barrier tasks. They step by the sum of their
gradients (gloo): the step that one process would take with all their rows. Shards need not be
alike: one that has no rows left adds nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from beatlake.errors import InputError, ProcessLostError
from beatlake.learn.estimators.networks.architecture import Arrays
from beatlake.learn.estimators.networks.learner import Learner, Learning
from beatlake.learn.estimators.networks.rounds import Record, State, run
from beatlake.learn.estimators.networks.shards import Shard, rows_of, watched

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Bytes of all processes' gradients up to which each is sent to every one.
_SHORT = 1 << 20
#: How Spark says that a process has ended.
_LOST = "TorchDistributor failed"


def data_parallel(
    spark: SparkSession,
    learning: Learning,
    shards: Sequence[Shard],
    start: State,
    record: Record,
) -> State:
    """Train in processes that step together, one for each task slot that is asked for.

    Raises:
        InputError: the training diverged.
        ProcessLostError: one of the processes has ended before its time.
    """
    from pyspark.ml.torch.distributor import TorchDistributor

    distributor = TorchDistributor(len(shards), local_mode=False, use_gpu=False)
    distributor.logger.setLevel(logging.WARNING)
    try:
        found = distributor.run(together, learning, tuple(shards), start.content(), record)
    except Exception as error:
        if _LOST not in str(error):
            raise
        raise ProcessLostError(
            f"One of the {len(shards)} processes that train the network together has ended before"
            " its time; what it said of it is above. Do it again: a training goes on from its last"
            " round. If the system ended it for want of memory, take fewer workers."
        ) from error
    if isinstance(found, InputError):
        raise found
    assert found is not None
    return State.parse(found)


def together(
    learning: Learning, shards: tuple[Shard, ...], start: bytes, record: Record
) -> bytes | InputError:
    """What each process of a data-parallel training does.

    Returns:
        The last state, or why there is none: Spark would tell of an exception without its words.
    """
    import torch
    import torch.distributed as dist

    with group():
        rank = dist.get_rank()
        batch = -(-learning.settings.step_rows(rows_of(shards)) // len(shards))
        steps = max(-(-shard.rows // batch) for shard in shards)
        learner = Learner(learning, shards[rank], batch, steps, add_up)

        def judge(weights: Arrays) -> tuple[float, float]:
            both = torch.tensor(learner.loss(weights), dtype=torch.float64)
            add_up(both)
            return float(both[0]), float(both[1])

        keep = record.keep if rank == 0 else lambda _: None
        look = judge if watched(shards) else None
        try:
            state = run(learning.settings, State.parse(start), learner.epoch, look, keep)
        except InputError as error:
            return error
        return replace(state, moments={}).content()


@contextmanager
def group() -> Iterator[None]:
    """Be one of the processes that step together, as their environment says which."""
    import torch.distributed as dist

    # What is imported later, by the first step of an optimizer, would take the group for a default
    # argument and keep its threads alive: these abort a process that ends while they run.
    import torch.distributed.nn  # noqa: F401

    dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def add_up(flat: Any) -> None:
    """Add up a flat tensor over all processes, in place; all come to the same digits.

    gloo reduces in a ring, which sends least and waits most: what is short takes half the time when
    every process sends it to all others (Thakur, Rabenseifner and Gropp 2005, "Optimization of
    Collective Communication Operations in MPICH", choose by length, too).
    """
    import torch
    import torch.distributed as dist

    size = dist.get_world_size()
    if size * flat.nbytes > _SHORT:
        dist.all_reduce(flat)
        return
    of_all = flat.new_empty(size * len(flat))
    dist.all_gather_into_tensor(of_all, flat)
    torch.sum(of_all.view(size, -1), dim=0, out=flat)
