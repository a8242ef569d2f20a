"""Three ways to train one network on shards of the rows, behind one interface.

* `single`: one process, here, on one shard: the reference.
* `federated`: Spark tasks train on shards, and what they come to is averaged, round by round.
* `data_parallel`: one process for each shard, which take every step together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from beatlake.learn.estimators.networks.data_parallel import data_parallel
from beatlake.learn.estimators.networks.federated import federated
from beatlake.learn.estimators.networks.learner import Learner, Learning
from beatlake.learn.estimators.networks.rounds import Record, State, run
from beatlake.learn.estimators.networks.shards import Shard

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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


STRATEGIES: dict[str, Strategy] = {
    "single": single,
    "federated": federated,
    "data_parallel": data_parallel,
}
