"""Federated averaging: Spark tasks train on shards, and the driver averages what they come to.

McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks from Decentralized Data",
algorithm 1, with all shards in every round. A task trains on its shard for some epochs from the
weights of all, and they are averaged by their rows. The optimizer begins anew in each round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beatlake.learn.estimators.networks.architecture import Arrays
from beatlake.learn.estimators.networks.learner import Learner, Learning
from beatlake.learn.estimators.networks.rounds import Record, State, run
from beatlake.learn.estimators.networks.shards import Shard, rows_of, watched
from beatlake.learn.estimators.networks.tasks import by_shard, places
from beatlake.learn.estimators.networks.weights import packed, unpacked
from beatlake.workers import forget_archives

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

#: Rows of a step, at the least.
_SMALLEST_BATCH = 32


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
        found = by_shard(spark, task, "shard long, rows long, weights binary", len(shards))
        parts = [(row["rows"], unpacked(row["weights"])[0]) for row in found]
        return averaged(parts), {}

    def judge(weights: Arrays) -> tuple[float, float]:
        task = _Judge(learning, tuple(shards), packed(weights, {}))
        found = by_shard(spark, task, "shard long, loss double, weight double", len(shards))
        return sum(row["loss"] for row in found), sum(row["weight"] for row in found)

    return run(learning.settings, start, advance, judge if watched(shards) else None, record.keep)


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
        for place in places(batches):
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
        for place in places(batches):
            loss, weight = Learner(self.learning, self.shards[place], 1).loss(
                unpacked(self.content)[0]
            )
            told = {"shard": place, "loss": loss, "weight": weight}
            yield pa.RecordBatch.from_pylist([told])
