"""Three ways to train one network on shards of the rows, behind one interface.

* `single`: one process, here, on one shard: the reference.
* `federated`: federated averaging (McMahan et al. 2017, "Communication-Efficient Learning of Deep
  Networks from Decentralized Data", algorithm 1, with all shards in every round). A Spark task
  trains on each shard for some epochs from the same weights, and the driver averages what they come
  to by their rows. The optimizer begins anew in each round.
* `data_parallel`: one process for each shard, started by Spark's TorchDistributor in barrier tasks.
  All take a step together, by the sum of their gradients (gloo): the step that one process would
  take with all their rows. Shards need not be alike: one that has no rows left adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.config import ConfigError
from beatlake.learn.estimators.networks.architecture import Arrays
from beatlake.learn.estimators.networks.learner import Learner, Learning
from beatlake.learn.estimators.networks.rounds import Record, State, run
from beatlake.learn.estimators.networks.settings import NetworkSettings
from beatlake.learn.estimators.networks.shards import Shard
from beatlake.learn.estimators.networks.weights import packed, unpacked
from beatlake.workers import forget_archives

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

#: Rows of a federated step, at the least.
_SMALLEST_BATCH = 32
#: Bytes of all processes' gradients up to which each is sent to every one.
_SHORT = 1 << 20

Strategy = Callable[["SparkSession", Learning, Sequence[Shard], State, Record], State]


def train(
    spark: SparkSession,
    learning: Learning,
    shards: Sequence[Shard],
    start: State,
    record: Record,
) -> State:
    """Train a network by the strategy of its settings.

    Args:
        spark: runs the tasks.
        learning: what is trained, and how.
        shards: the rows, one shard for a single process.
        start: the state to go on from.
        record: is given the state after each round.

    Raises:
        InputError: the training diverged.
    """
    return STRATEGIES[learning.settings.strategy](spark, learning, shards, start, record)


def check_device(spark: SparkSession, settings: NetworkSettings) -> None:
    """Find the device that the settings name where they have a network trained.

    Raises:
        ConfigError: it is not there.
    """
    if settings.device != "cuda":
        return
    here = settings.strategy == "single"
    parts = [{"found": _has_cuda()}] if here else _by_shard(spark, _Has(), _HAS, settings.shards)
    if not all(part["found"] for part in parts):
        where = "here" if here else "in every one of Spark's workers"
        raise ConfigError(
            f"The network is to train with device: cuda, which torch does not find {where};"
            " device: auto takes it where it is, and the CPU elsewhere."
        )


def _has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


_HAS = "shard long, found boolean"


class _Has:
    """Says of each shard whether its worker has CUDA. A class, so that workers import its code."""

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        forget_archives()
        for place in _places(batches):
            yield pa.RecordBatch.from_pylist([{"shard": place, "found": _has_cuda()}])


def rows_of(shards: Sequence[Shard]) -> int:
    """The rows that train."""
    return sum(shard.rows for shard in shards)


def _watched(shards: Sequence[Shard]) -> bool:
    return any(shard.watching for shard in shards)


def single(
    spark: SparkSession,
    learning: Learning,
    shards: Sequence[Shard],
    start: State,
    record: Record,
) -> State:
    """Train in this process."""
    (shard,) = shards
    learner = Learner(learning, shard, learning.settings.step_rows(shard.rows))
    judge = learner.loss if shard.watching else None
    return run(learning.settings, start, learner.epoch, judge, record.keep)


def federated(
    spark: SparkSession,
    learning: Learning,
    shards: Sequence[Shard],
    start: State,
    record: Record,
) -> State:
    """Train in Spark tasks, and average what they come to."""

    def advance(round_: int, weights: Arrays, moments: Arrays) -> tuple[Arrays, Arrays]:
        task = _Train(learning, tuple(shards), round_, packed(weights, {}))
        found = _by_shard(spark, task, "shard long, rows long, weights binary", len(shards))
        parts = [(row["rows"], unpacked(row["weights"])[0]) for row in found]
        return averaged(parts), {}

    def judge(weights: Arrays) -> tuple[float, float]:
        task = _Judge(learning, tuple(shards), packed(weights, {}))
        found = _by_shard(spark, task, "shard long, loss double, weight double", len(shards))
        return sum(row["loss"] for row in found), sum(row["weight"] for row in found)

    watched = judge if _watched(shards) else None
    return run(learning.settings, start, advance, watched, record.keep)


def averaged(parts: Iterable[tuple[int, Arrays]]) -> Arrays:
    """The mean of weights, each counting by its rows; added up in the order given, in doubles."""
    counted = [(rows, arrays) for rows, arrays in parts if rows]
    total = sum(rows for rows, _ in counted)
    return {
        name: sum(
            (arrays[name].astype(np.float64) * (rows / total) for rows, arrays in counted),
            start=np.zeros(array.shape),
        ).astype(array.dtype)
        for name, array in counted[0][1].items()
    }


def _by_shard(spark: SparkSession, task: Any, ddl: str, shards: int) -> list[dict[str, Any]]:
    """What a task gives for each shard, in their order.

    Spark takes one result of each partition, however often its task was tried.
    """
    frame = spark.range(0, shards, 1, shards).mapInArrow(task, ddl)
    found: list[dict[str, Any]] = frame.toArrow().to_pylist()
    found.sort(key=lambda row: row["shard"])
    assert [row["shard"] for row in found] == list(range(shards))
    return found


@dataclass(frozen=True)
class _Train:
    """Trains on the shard of a task for a round. A class, so that workers import its code."""

    learning: Learning
    shards: tuple[Shard, ...]
    round_: int
    content: bytes

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        forget_archives()
        for place in _places(batches):
            shard = self.shards[place]
            weights, _ = unpacked(self.content)
            moments: Arrays = {}
            learner = Learner(self.learning, shard, self._batch)
            if shard.rows:
                for epoch in self.learning.settings.epochs_of(self.round_):
                    weights, moments = learner.epoch(epoch, weights, moments)
            told = {"shard": place, "rows": shard.rows, "weights": packed(weights, {})}
            yield pa.RecordBatch.from_pylist([told])

    @property
    def _batch(self) -> int:
        # As many steps in an epoch as one process would make with all rows, unless they get tiny.
        size = self.learning.settings.step_rows(rows_of(self.shards))
        return max(min(size, _SMALLEST_BATCH), size // len(self.shards))


@dataclass(frozen=True)
class _Judge:
    """Judges weights by the rows of a shard that watch."""

    learning: Learning
    shards: tuple[Shard, ...]
    content: bytes

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        forget_archives()
        for place in _places(batches):
            loss, weight = Learner(self.learning, self.shards[place], 1).loss(
                unpacked(self.content)[0]
            )
            told = {"shard": place, "loss": loss, "weight": weight}
            yield pa.RecordBatch.from_pylist([told])


def _places(batches: Iterable[pa.RecordBatch]) -> Iterator[int]:
    for batch in batches:
        yield from batch.column(0).to_pylist()


def data_parallel(
    spark: SparkSession,
    learning: Learning,
    shards: Sequence[Shard],
    start: State,
    record: Record,
) -> State:
    """Train in processes that step together, one for each task slot that is asked for."""
    from pyspark.ml.torch.distributor import TorchDistributor

    distributor = TorchDistributor(len(shards), local_mode=False, use_gpu=False)
    found = distributor.run(together, learning, tuple(shards), start.content(), record)
    assert found is not None
    return State.parse(found)


def together(learning: Learning, shards: tuple[Shard, ...], start: bytes, record: Record) -> bytes:
    """What each process of a data-parallel training does; the last state."""
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
        watched = judge if _watched(shards) else None
        state = run(learning.settings, State.parse(start), learner.epoch, watched, keep)
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


STRATEGIES: dict[str, Strategy] = {
    "single": single,
    "federated": federated,
    "data_parallel": data_parallel,
}
